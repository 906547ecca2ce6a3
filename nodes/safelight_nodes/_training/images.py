"""Image sets: opening them, and drawing from them. What is drawn depends on (seed, step) alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.sdk import Problem, ProblemError
from safelight_nodes._pixels import rgb_of
from safelight_nodes.training_values import ImageSet

from .captions import PALETTE, caption, draw_colour, nearest_colour
from .loop import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

WHITE = 0
EMPTY_SHARE = 0.1
WHITE_SHARE = 0.4
_AT_ONCE = 256


def opened(index: Path, pixels: Path, limit: int = 0) -> ImageSet:
    """A prepared set: `subjects` and `images` in JSON, the pixels (N, H, W, 4) uint8 in .npy. An image with a `size`
    (height, width) fills that part of its pixels alone.

    Raises:
        ProblemError: `bad_image_set`, when the two do not fit together.
    """
    import torch

    try:
        said = json.loads(index.read_text(encoding="utf-8"))
        # `pictures` in an index that version 0.1 wrote.
        entries, subjects = said.get("images", said.get("pictures")), said["subjects"]
        array = np.load(pixels, mmap_mode="r", allow_pickle=False)
        fits = array.ndim == 4 and array.dtype == np.uint8 and array.shape[3] == 4 and len(array) == len(entries)
        fits &= all(entry["subject"] in subjects for entry in entries)
        whole = (int(array.shape[1]), int(array.shape[2]))
        fits &= all(
            1 <= side <= most for entry in entries for side, most in zip(_size(entry, whole), whole, strict=True)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad_set(index, pixels, str(error)) from error
    if not fits or not entries:
        raise _bad_set(index, pixels, f"{len(entries)} entries, an array of {array.dtype} {array.shape}")
    chosen = np.arange(len(entries))
    if 0 < limit < len(entries):
        chosen = np.linspace(0, len(entries) - 1, limit).astype(int)
    entries = tuple(entries[number] for number in chosen)
    used = {entry["subject"] for entry in entries}
    tensor = torch.from_numpy(np.array(array[chosen]))
    made = ImageSet(tensor, entries, {key: subjects[key] for key in subjects if key in used}, torch.empty(0))
    sizes = tuple(_size(entry, whole) for entry in entries) if any("size" in entry for entry in entries) else ()
    return replace(made, weights=probabilities(made), sizes=sizes)


def _size(entry: dict[str, Any], whole: tuple[int, int]) -> tuple[int, int]:
    height, width = entry.get("size", whole)
    return int(height), int(width)


def probabilities(images: ImageSet, focus: float = 1.0, common: float | None = None, solid: float = 1.0) -> Tensor:
    """Probability of each image (N,) float64: its subject's weight to the power `focus`, the first style `solid`
    times as often; with `common`, that share goes to the subjects that the index marks as such.

    Raises:
        ProblemError: `bad_image_set`, when `common` is given for a set that was prepared before subjects were marked.
    """
    import torch

    subjects = [images.subjects[entry["subject"]] for entry in images.entries]
    styles = np.array([entry["style"] for entry in images.entries])
    weight = np.array([subject.get("weight", 1.0) for subject in subjects], np.float64) ** focus
    weight *= np.where(styles == 0, solid, 1.0)
    if common is not None and any("slug" in subject and "common" not in subject for subject in subjects):
        message = "This image set does not say which subjects are common: it was prepared by an earlier release."
        hint = "Prepare it again with `python -m training.fetch`, or set `common` to 0."
        raise ProblemError(Problem(code="bad_image_set", message=message, hint=hint, port="common", value=common))
    everyday = np.array([subject.get("common", False) for subject in subjects])
    if common is not None and everyday.any() and not everyday.all():
        weight[everyday] *= common / weight[everyday].sum()
        weight[~everyday] *= (1 - common) / weight[~everyday].sum()
    return torch.from_numpy(weight / weight.sum())


def parted(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """A set in two, by subject: `share` of the subjects are in the second. At least one is in either.

    Raises:
        ProblemError: `too_few_images`, for a set of one subject.
    """
    subjects = sorted({entry["subject"] for entry in images.entries})
    if len(subjects) < 2:
        message, hint = "All images of this set are of one subject.", "Split a set of several subjects."
        raise ProblemError(Problem(code="too_few_images", message=message, hint=hint, port="images"))
    count = min(len(subjects) - 1, max(1, round(share * len(subjects))))
    chosen = np.random.default_rng(seed).choice(len(subjects), count, replace=False)
    held = {subjects[number] for number in chosen}
    train = [number for number, entry in enumerate(images.entries) if entry["subject"] not in held]
    rest = [number for number, entry in enumerate(images.entries) if entry["subject"] in held]
    return some_of(images, train), some_of(images, rest)


def some_of(images: ImageSet, numbers: Sequence[int]) -> ImageSet:
    """The images of these numbers, drawn as often among each other as before; all alike where none was drawn."""
    import torch

    entries = tuple(images.entries[number] for number in numbers)
    used = {entry["subject"] for entry in entries}
    weights = images.weights[numbers]
    weights = weights / weights.sum() if float(weights.sum()) > 0 else torch.full_like(weights, 1 / len(weights))
    return ImageSet(
        images.pixels[numbers],
        entries,
        {key: subject for key, subject in images.subjects.items() if key in used},
        weights,
        tuple(images.sizes[number] for number in numbers) if images.sizes else (),
    )


def of_one_size(images: ImageSet) -> ImageSet:
    """The set, for what makes batches of whole images.

    Raises:
        ProblemError: `wrong_size`, where images have sizes of their own.
    """
    if not images.sizes:
        return images
    message = "The images of this set have sizes of their own, and here batches are made of images of one size."
    hint = "Set the shape to square where the images are opened."
    raise ProblemError(Problem(code="wrong_size", message=message, hint=hint, port="images"))


def composited(pixels: Tensor, colours: Sequence[tuple[int, int, int]]) -> Tensor:
    """Images (B, H, W, 4) uint8 over a colour each: (B, 3, H, W) float32 in -1..1."""
    import torch

    return over(pixels, torch.tensor(colours, dtype=torch.float32)[:, :, None, None] / 255)


def over(pixels: Tensor, grounds: Tensor) -> Tensor:
    """Images (B, H, W, 4) uint8 over others (B, 3, H, W or 1, W or 1) in 0..1: (B, 3, H, W) float32 in -1..1."""
    rgba = pixels.permute(0, 3, 1, 2).float() / 255
    alpha = rgba[:, 3:]
    return (rgba[:, :3] * alpha + grounds * (1 - alpha)) * 2 - 1


def weighed(pixels: Tensor) -> Tensor:
    """Images (B, H, W, 4) uint8 as (B, 4, H, W) in 0..1 with colours weighed by alpha, to be scaled or moved: what is
    hidden does not bleed into the rim."""
    import torch

    rgba = pixels.permute(0, 3, 1, 2).float() / 255
    return torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)


def lay(canvas: Tensor, rgba: Tensor, top: int, left: int) -> None:
    """Lays an image (4, h, w) in 0..1 with colours weighed by alpha on a canvas (3, H, W), which is changed."""
    height, width = rgba.shape[1:]
    canvas[:, top : top + height, left : left + width].mul_(1 - rgba[3:]).add_(rgba[:3])


def laid_out(images: ImageSet, count: int, side: int, background: str, seed: int) -> tuple[Tensor, list[str]]:
    """Images (N, H, W, 3) in 0..1 over a colour written as `#rrggbb`, `count` of them evenly spread (0: all) and scaled
    to `side` pixels (0: not), with captions that name style and background: the palette colour that is nearest."""
    import torch

    total = len(images.entries)
    numbers = np.arange(total)
    if 0 < count < total:
        numbers = np.linspace(0, total - 1, count).round().astype(int)
    rgb = rgb_of(background)
    colour = nearest_colour(rgb)
    drawer = Drawer(images, seed)
    texts = [drawer.text(numpy_generator(seed, int(n)), int(n), colour, explicit=True) for n in numbers]
    made: list[Tensor] = []
    for start in range(0, len(numbers), _AT_ONCE):
        some = images.pixels[numbers[start : start + _AT_ONCE]]
        laid = composited(some, [rgb] * len(some))
        made.append(scaled(laid, side or laid.shape[-1]))
    return (torch.cat(made).movedim(1, -1) / 2 + 0.5).clamp(0, 1).contiguous(), texts


class Drawer:
    """Draws images, backgrounds and captions of a set."""

    def __init__(self, images: ImageSet, seed: int) -> None:
        self.images, self.seed = images, seed
        self._edges = np.cumsum(images.weights.numpy())

    def numbers(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Which images, as often as they weigh."""
        return np.minimum(np.searchsorted(self._edges, rng.random(count)), len(self._edges) - 1)

    def text(self, rng: np.random.Generator, number: int, colour: int, explicit: bool = False) -> str:
        """A way of asking for an image over a palette colour."""
        entry = self.images.entries[number]
        return caption(rng, self.images.subjects[entry["subject"]], entry["style"], colour, explicit)

    def captions(self, step: int, count: int, explicit: float = 0.0) -> list[str]:
        """Captions of a step; the part `explicit` of them says style and background in any case."""
        rng = numpy_generator(self.seed, step)
        found: list[str] = []
        for number in self.numbers(rng, count):
            colour = WHITE if rng.random() < WHITE_SHARE else int(rng.integers(len(PALETTE)))
            found.append(self.text(rng, int(number), colour, bool(rng.random() < explicit)))
        return found

    def batch(self, step: int, count: int, anywhere: float = 0.0) -> Tensor:
        """Images (B, 3, H, W) in -1..1 over palette colours, the part `anywhere` over any colour of the cube."""
        return self.drawn(step, count, anywhere)[1]

    def drawn(self, step: int, count: int, anywhere: float = 0.0) -> tuple[np.ndarray, Tensor]:
        """As `batch`, and which images of the set they are."""
        rng = numpy_generator(self.seed, step)
        numbers = self.numbers(rng, count)
        colours = [
            tuple(int(v) for v in rng.integers(0, 256, 3)) if rng.random() < anywhere else draw_colour(rng)[1]
            for _ in numbers
        ]
        return numbers, composited(self.images.pixels[numbers], colours)  # pyright: ignore[reportArgumentType]


def scaled(images: Tensor, side: int) -> Tensor:
    """Images (B, 3, H, W) at so many pixels a side."""
    import torch

    if images.shape[-1] == side:
        return images
    return torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)


def sheet(images: ImageSet, columns: int, rows: int, seed: int) -> Tensor:
    """(1, rows * H, columns * W, 3) in 0..1."""
    drawn = Drawer(images, seed).batch(0, columns * rows)
    return tiled(drawn / 2 + 0.5, columns)


def tiled(images: Tensor, columns: int) -> Tensor:
    """Images (B, 3, H, W) in one, row by row: (1, rows * H, columns * W, 3). B is a multiple of `columns`."""
    count, channels, height, width = images.shape
    rows = count // columns
    grid = images.reshape(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    return grid.reshape(1, rows * height, columns * width, channels).clamp(0, 1).contiguous()


def _bad_set(index: Path, pixels: Path, found: str) -> ProblemError:
    message = f"{index.name} and {pixels.name} are no image set: {found}."
    hint = "Prepare them again; `python -m training.fetch` writes both."
    return ProblemError(Problem(code="bad_image_set", message=message, hint=hint, port="index"))
