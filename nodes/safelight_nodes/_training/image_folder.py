"""Image sets made of a person's own images: a folder of them, with captions or without, or what a workflow gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from safelight.sdk import Context, Image, Problem, ProblemError
from safelight_nodes._natural import natural_key
from safelight_nodes.training_values import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Shape = Literal["square", "keep"]
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_EACH_LINE = 'Each line is to be like {"file_name": "cat.png", "text": "a cat"}.'
_REMOVE = "Save it again as PNG, JPEG or WebP, or take it out of the folder."
_WIDEST = 2.0
"""Sides differ by this factor at most; what is longer is cropped."""


def read_folder(ctx: Context, named: str, caption: str, size: int, shape: Shape) -> ImageSet:
    """The images that a `metadata.jsonl` names; or, where `named` is another file, all that lie beside it.

    Those have the caption of the text file of their name (`cat.txt` beside `cat.png`), else `caption`.

    Raises:
        ProblemError: everything that cannot be used, all at once (at most twenty).
    """
    folder = named.replace("\\", "/").rpartition("/")[0]
    told = _lines(ctx, named) if named.lower().endswith(".jsonl") else _beside(ctx.files.path(named), caption)
    images: list[PILImage] = []
    names: list[list[str]] = []
    problems: list[Problem] = []
    for said in told:
        if isinstance(said, Problem):
            problems.append(said)
            continue
        name, texts = said
        try:
            images.append(_opened(ctx.files.path(f"{folder}/{name}" if folder else name)))
            names.append(texts)
        except ProblemError as error:
            problems += error.problems
        except (ValueError, OSError) as error:
            problems.append(_unusable(f"{name} cannot be used", error, _REMOVE))
    if problems or not images:
        empty = Problem(
            code="bad_caption_line",
            message=f"{named} names no image, and none lies beside it.",
            hint=f"Put images ({', '.join(ENDINGS)}) into a folder, and choose one of them.",
            port="captions",
        )
        raise ProblemError(problems[:20] or [empty])
    return made(images, names, size, shape)


def from_images(images: Sequence[Image], captions: Sequence[str], size: int, shape: Shape) -> ImageSet:
    """Images of a workflow, each batch with one caption; the last caption goes for all that follow."""
    from PIL import Image as pillow

    found: list[PILImage] = []
    names: list[list[str]] = []
    for place, batch in enumerate(images):
        caption = captions[min(place, len(captions) - 1)] if captions else ""
        for pixels in batch.pixels:
            array = (pixels.clamp(0, 1) * 255).round().byte().numpy()
            found.append(pillow.fromarray(array).convert("RGBA"))
            names.append([caption])
    return made(found, names, size, shape)


def made(images: Sequence[PILImage], names: Sequence[list[str]], size: int, shape: Shape) -> ImageSet:
    """The set of these images, each with its captions, scaled and cropped."""
    import torch

    sizes = [bucket(image.size, size) if shape == "keep" else (size, size) for image in images]
    height, width = (max(side) for side in zip(*sizes, strict=True))
    pixels = np.zeros((len(images), height, width, 4), np.uint8)
    for place, (image, (down, across)) in enumerate(zip(images, sizes, strict=True)):
        pixels[place, :down, :across] = _fitted(image, across, down)
    subjects = {str(place): {"names": texts, "keywords": [], "weight": 1.0} for place, texts in enumerate(names)}
    entries = tuple({"subject": key, "style": -1} for key in subjects)
    weights = torch.full((len(entries),), 1 / len(entries), dtype=torch.float64)
    differ = any(one != (height, width) for one in sizes)
    return ImageSet(torch.from_numpy(pixels), entries, subjects, weights, tuple(sizes) if differ else ())


def bucket(given: tuple[int, int], size: int) -> tuple[int, int]:
    """The (height, width) that an image of (width, height) is trained at: about size x size pixels in its proportions,
    both sides whole steps, so that several images share a batch."""
    step = 64 if size >= 256 else 32
    ratio = min(max(given[0] / given[1], 1 / _WIDEST), _WIDEST)
    width = max(step, round(size * ratio**0.5 / step) * step)
    height = max(step, round(size * size / width / step) * step)
    return height, width


def _fitted(image: PILImage, width: int, height: int) -> np.ndarray:
    from PIL import Image as pillow
    from PIL import ImageOps

    return np.asarray(ImageOps.fit(image, (width, height), pillow.Resampling.LANCZOS))


def _lines(ctx: Context, named: str) -> Iterator[tuple[str, list[str]] | Problem]:
    for number, line in enumerate(ctx.files.path(named).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield _line(line)
        except (ValueError, KeyError, TypeError) as error:
            yield _unusable(f"Line {number} of {named} cannot be used", error)


def _beside(chosen: Path, caption: str) -> Iterator[tuple[str, list[str]]]:
    found = (path for path in chosen.parent.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    for path in sorted(found, key=lambda path: (natural_key(path.name), path.name)):
        own = path.with_suffix(".txt")
        text = own.read_text(encoding="utf-8").strip() if own.is_file() else ""
        yield path.name, [text or caption.strip()]


def _line(line: str) -> tuple[str, list[str]]:
    said: dict[str, Any] = json.loads(line)
    text = said["text"]
    names = [text] if isinstance(text, str) else [str(one) for one in text]
    if not names or not isinstance(said["file_name"], str):
        raise ValueError("no file name, or no text")
    return PurePosixPath(said["file_name"]).as_posix(), names


def _opened(path: Path) -> PILImage:
    from safelight.sdk.image_files import read_image

    return read_image(path).pil_image().convert("RGBA")


def _unusable(what: str, error: Exception, hint: str = _EACH_LINE) -> Problem:
    message = f"{what}: {str(error)[:200] or type(error).__name__}."
    return Problem(code="bad_caption_line", message=message, hint=hint, port="captions")
