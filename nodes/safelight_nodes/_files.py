"""Pictures from files and to bytes, and the rules for their names."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = {"png": (".png", "image/png"), "webp": (".webp", "image/webp"), "jpeg": (".jpg", "image/jpeg")}
_KNOWN_SUFFIXES = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


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
    fault = _name_fault(pattern, kind)
    if fault:
        raise ProblemError(
            Problem(code="bad_file_name", message=f"{pattern!r} {fault[0]}", hint=fault[1], port="name", value=pattern)
        )
    stem = pattern.strip()
    suffix = Path(stem).suffix
    return stem.removesuffix(suffix) if suffix.lower() in _KNOWN_SUFFIXES else stem


def _name_fault(pattern: str, kind: str) -> tuple[str, str] | None:
    stem = pattern.strip()
    if not stem:
        return "is empty.", "Give a name such as picture_{counter}."
    if stem.startswith(("/", "\\", "~")) or re.match(r"^[A-Za-z]:", stem):
        return "is not below the output folder.", "Give a name relative to it."
    parts = stem.split("/")
    if ".." in re.split(r"[/\\]", stem):
        return "leads out of the output folder.", "Leave out the `..`."
    if "\x00" in stem:
        return "holds a NUL character.", "Remove it."
    bare = stem.replace("{counter}", "1")
    found = _FORBIDDEN.search(bare)
    if found:
        return (
            f"holds {found.group()!r}, which is no part of a file name everywhere.",
            "Leave it out; folders take a /.",
        )
    if "{" in bare or "}" in bare:
        return "holds a placeholder that is not known.", "Only {counter} is filled in."
    for part in parts:
        if part in ("", "."):
            return "has an empty part.", "Leave out the superfluous `/`."
        if part != part.strip() or part.endswith("."):
            return f"has a part ({part!r}) that begins or ends with a blank or a dot.", "Leave those out."
        if part.split(".")[0].lower() in _RESERVED:
            return f"uses {part.split('.')[0]!r}, which Windows keeps for a device.", "Choose another name."
        if len(part.encode()) > 150:
            return "has a part that is too long.", "Use at most 150 bytes between two `/`."
    suffix = Path(stem).suffix.lower()
    if suffix in _KNOWN_SUFFIXES and _KNOWN_SUFFIXES[suffix] != kind:
        return (
            f"ends in {suffix}, and the format is {kind}.",
            f"Leave the ending out, or set the format to {_KNOWN_SUFFIXES[suffix]}.",
        )
    return None
