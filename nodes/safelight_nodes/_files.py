"""Pictures from files and to bytes, and the rules for their names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError
from safelight.sdk.file_names import pattern_fault

if TYPE_CHECKING:
    from torch import Tensor

MOST_PIXELS = 80_000_000
SUFFIXES = {"png": (".png", "image/png"), "webp": (".webp", "image/webp"), "jpeg": (".jpg", "image/jpeg")}
_KNOWN_SUFFIXES = {".png": "png", ".webp": "webp", ".jpg": "jpeg", ".jpeg": "jpeg"}


def read_picture(path: Path, shown: str) -> Tensor:
    """(H, W, 3 or 4) in 0..1 of a picture file; `shown` is how messages call it.

    Raises:
        ProblemError: it is no picture, damaged, or larger than `MOST_PIXELS`.
    """
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise _too_large(shown, f"{opened.width} x {opened.height}")
            picture = ImageOps.exif_transpose(opened)
            picture.load()
            array = _array(picture)
    except UnidentifiedImageError as error:
        raise _unreadable(shown, "it is no picture of a known format") from error
    except Image.DecompressionBombError as error:
        raise _too_large(shown, "far too many") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise _unreadable(shown, str(error) or "it is damaged") from error
    return torch.from_numpy(array)


def _array(picture: Any) -> Any:
    """Any of Pillow's modes as float32 RGB or RGBA in 0..1."""
    import numpy

    if picture.mode.startswith("I;16") or picture.mode == "I":
        grey = numpy.asarray(picture).astype(numpy.float32) / 65535
        return numpy.repeat(grey.clip(0, 1)[..., None], 3, axis=-1)
    if picture.mode == "F":
        grey = numpy.asarray(picture).astype(numpy.float32)
        return numpy.repeat(numpy.nan_to_num(grey).clip(0, 1)[..., None], 3, axis=-1)
    transparent = picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info
    picture = _in_srgb(picture).convert("RGBA" if transparent else "RGB")
    return numpy.asarray(picture).astype(numpy.float32) / 255


def _in_srgb(picture: Any) -> Any:
    """Colours brought from the picture's own profile to sRGB; as they are where it has none, or a broken one."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture


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
    return ProblemError(
        Problem(
            code="picture_too_large",
            message=f"{shown} has {size} pixels.",
            hint=f"At most {MOST_PIXELS // 1_000_000} million are read. Scale it down first.",
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
