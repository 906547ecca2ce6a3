"""Images from files, values into files, and the rules for their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, File, Format, Problem, ProblemError
from safelight.sdk.file_names import pattern_fault

if TYPE_CHECKING:
    from torch import Tensor


def read_image_file(path: Path, shown: str) -> Tensor:
    """(H, W, 3 or 4) in 0..1 of an image file; `shown` is how messages call it.

    Raises:
        ProblemError: it is no image, damaged, or larger than `safelight.sdk.image_files.MAX_PIXELS`.
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
            code="image_unreadable",
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
            code="image_too_large",
            message=f"{shown} has {size} pixels.",
            hint=f"At most {MAX_PIXELS // 1_000_000} million are read. Scale it down first.",
            port="file",
            value=shown,
        )
    )


def save_all(
    value: Any, name: str, format: str, embed: bool, ctx: Context, *, keep: bool = True, **options: Any
) -> list[File]:
    """Saves the files that show a value; several of one name are numbered.

    Args:
        value: what a medium is for.
        name: a pattern below the output folder, with or without the ending of the format.
        format: the format's short name.
        embed: the workflow goes into the files.
        ctx: of the node.
        keep: False for files that are shown and not written.
        options: what the format knows, such as `quality`.

    Raises:
        ProblemError: the name leads out of the folder, or is no name on some system; and what encoding raises.
    """
    pattern = checked_name(name, format, ctx.media.formats(value))
    made = ctx.media.encode(value, format, **options)
    files: list[File] = []
    for place, one in enumerate(made):
        numbered = pattern if len(made) == 1 or "{counter}" in pattern else f"{pattern}_{place + 1}"
        sizes = {key: getattr(one.measures, key) for key in ("width", "height", "frames", "seconds")}
        files.append(
            ctx.save(
                one.data,
                name=numbered + one.format.suffixes[0],
                media_type=one.format.media_type,
                keep=keep,
                embed="workflow" if embed else "nothing",
                **sizes,
            )
        )
    return files


def checked_name(pattern: str, format: str, formats: Sequence[Format]) -> str:
    """A name pattern below the output folder, without the suffix of its format, one of `formats`.

    Raises:
        ProblemError: it leads out of the folder, or is no name on some system.
    """
    stem = pattern.strip().replace("\\", "/")
    suffix = Path(stem).suffix
    other = next((one.name.lower() for one in formats if suffix.lower() in one.suffixes), None)
    fault = pattern_fault(pattern)
    if other not in (None, format):
        hint = f"Leave the ending out, or set the format to {other}."
        fault = fault or (f"ends in {suffix}, and the format is {format}.", hint)
    if fault:
        raise ProblemError(
            Problem(code="bad_file_name", message=f"{pattern!r} {fault[0]}", hint=fault[1], port="name", value=pattern)
        )
    return stem.removesuffix(suffix) if other is not None else stem
