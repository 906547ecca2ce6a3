"""EXR files, by the format's own library. Colours in an EXR are linear, and weighed by their opacity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError
from safelight.sdk.media import file_format

if TYPE_CHECKING:
    from torch import Tensor

EXR = file_format("EXR", "image/x-exr", ".exr", rb"v/1\x01")


def read_exr(path: Path, shown: str) -> tuple[Tensor, Tensor | None]:
    """Light (H, W, 3), 0 and more, with straight alpha, and the opacity (H, W) in 0..1, None where there is none.

    Raises:
        ProblemError: `needs_package`, `image_unreadable`, `image_too_large`.
    """
    import numpy
    import torch

    from safelight.sdk.image_files import MAX_PIXELS

    from ._files import too_large

    library = _library()
    try:
        # The sizes come first: a small file may claim to be a huge image.
        with library.File(str(path), header_only=True) as file:
            low, high = file.header()["dataWindow"]
            width, height = (int(high[side]) - int(low[side]) + 1 for side in (0, 1))
        if width * height > MAX_PIXELS:
            raise too_large(shown, f"{width} x {height}")
        with library.File(str(path), separate_channels=True) as file:
            planes = {name: numpy.array(one.pixels) for name, one in file.channels().items()}
    except ProblemError:
        raise
    except Exception as error:  # the library raises all sorts of things
        raise _unreadable(shown, str(error)) from error
    names = ("R", "G", "B") if "R" in planes else ("Y", "Y", "Y")
    if any(planes.get(name) is None or planes[name].shape != (height, width) for name in names):
        raise _unreadable(shown, f"it has no channels R, G and B, or Y, but {', '.join(sorted(planes)) or 'none'}")

    def plane(name: str) -> Tensor:
        found = torch.from_numpy(planes[name].astype(numpy.float32))
        return found.nan_to_num(0.0, posinf=65504.0, neginf=0.0).clamp(min=0)

    light = torch.stack([plane(name) for name in names], dim=-1)
    if "A" not in planes or planes["A"].shape != (height, width):
        return light, None
    alpha = plane("A").clamp(max=1)
    return light / alpha.where(alpha > 0, 1.0)[..., None], alpha


def exr_file(light: Tensor, alpha: Tensor | None, half: bool) -> bytes:
    """An EXR of light (H, W, 3) and opacity (H, W), of 16 or 32 bits a channel, compressed without loss."""
    import tempfile

    library = _library()
    kind = "float16" if half else "float32"
    planes = dict(zip("RGB", (light if alpha is None else light * alpha[..., None]).unbind(-1), strict=True))
    if alpha is not None:
        planes["A"] = alpha
    channels = {name: plane.contiguous().numpy().astype(kind) for name, plane in planes.items()}
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.exr"
        with library.File(header, channels) as file:
            file.write(str(path))
        return path.read_bytes()


def _library() -> Any:
    from importlib import import_module

    try:
        return import_module("OpenEXR")  # by name: types are checked without it, too
    except ImportError:
        message, hint = "EXR needs the package OpenEXR, which is not installed.", "pip install 'safelight[exr]'"
        raise ProblemError(Problem(code="needs_package", message=message, hint=hint)) from None


def _unreadable(shown: str, why: str) -> ProblemError:
    message, hint = f"{shown} cannot be read: {why.rstrip('.')}.", "Export it again, or choose another file."
    return ProblemError(Problem(code="image_unreadable", message=message, hint=hint, port="file", value=shown))
