"""Pictures from files and to bytes, and the rules for their names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.sdk import Problem, ProblemError
from safelight.sdk.file_names import pattern_fault

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {"png": (".png", "image/png"), "webp": (".webp", "image/webp"), "jpeg": (".jpg", "image/jpeg")}
_KNOWN_SUFFIXES = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}


def read_picture(path: Path, shown: str) -> Tensor:
    """(H, W, 3 or 4) in 0..1 of a picture file; `shown` is how messages call it.

    Raises:
        ProblemError: it is no picture, damaged, or larger than `safelight.sdk.image_files.MAX_PIXELS`.
    """
    import torch

    from safelight.sdk.image_files import ImageFault, read_image

    try:
        pixels = torch.tensor(read_image(path).pixels)
    except ImageFault as fault:
        raise (_too_large if fault.kind == "too_large" else _unreadable)(shown, str(fault)) from fault
    except OSError as error:
        raise _unreadable(shown, error.strerror or str(error)) from error
    return pixels if pixels.is_floating_point() else pixels / 255


def _unreadable(shown: str, why: str) -> ProblemError:
    return ProblemError(
        Problem(
            code="picture_unreadable",
            message=f"{shown} cannot be read: {why.rstrip('.')}.",
            hint="Open and save it with another program, or choose another file.",
            port="file",
            value=shown,
        )
    )


def _too_large(shown: str, size: str) -> ProblemError:
    from safelight.sdk.image_files import MAX_PIXELS

    return ProblemError(
        Problem(
            code="picture_too_large",
            message=f"{shown} has {size} pixels.",
            hint=f"At most {MAX_PIXELS // 1_000_000} million are read. Scale it down first.",
            port="file",
            value=shown,
        )
    )


def encode_picture(pixels: Tensor, kind: str, quality: int) -> tuple[bytes, str, str]:
    """The file's bytes, its suffix and its media type. The same pixels and settings give the same bytes."""
    from PIL import Image

    from ._pixels import flattened, to_bytes

    suffix, media_type = SUFFIXES[kind]
    if kind == "jpeg":
        pixels = flattened(pixels[None], 1.0)[0]
    picture = Image.fromarray(to_bytes(pixels))
    buffer = io.BytesIO()
    if kind == "png":
        picture.save(buffer, "PNG", compress_level=4)
    elif kind == "webp":
        picture.save(buffer, "WEBP", quality=quality, lossless=quality == 100, method=4, exact=True)
    else:
        picture.save(buffer, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)
    return buffer.getvalue(), suffix, media_type


def checked_name(pattern: str, kind: str) -> str:
    """A name pattern below the output folder, without the suffix of its format.

    Raises:
        ProblemError: it leads out of the folder, or is no name on some system.
    """
    stem = pattern.strip().replace("\\", "/")
    suffix = Path(stem).suffix
    other = _KNOWN_SUFFIXES.get(suffix.lower(), kind)
    fault = pattern_fault(pattern)
    if other != kind:
        hint = f"Leave the ending out, or set the format to {other}."
        fault = fault or (f"ends in {suffix}, and the format is {kind}.", hint)
    if fault:
        raise ProblemError(
            Problem(code="bad_file_name", message=f"{pattern!r} {fault[0]}", hint=fault[1], port="name", value=pattern)
        )
    return stem.removesuffix(suffix) if suffix.lower() in _KNOWN_SUFFIXES else stem
