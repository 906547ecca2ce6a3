"""Images from files, values into files, and the rules for their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, File, Format, Problem, ProblemError
from safelight.sdk.file_names import pattern_fault
from safelight.sdk.media import MediaFile

if TYPE_CHECKING:
    from torch import Tensor

WHERE = (
    "Where below the output folder. {counter} becomes the next free number; {date}, {time}, {seed} and the value "
    "of a port, {sample.steps}, are filled in; a / makes a folder."
)
"""The help of the name that a node which saves is given."""


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
        raise (too_large if fault.kind == "too_large" else _unreadable)(shown, str(fault)) from fault
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


def too_large(shown: str, size: str) -> ProblemError:
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
    return [
        save_made(one, numbered(pattern, place, len(made)), embed, ctx, keep=keep) for place, one in enumerate(made)
    ]


def save_made(made: MediaFile, name: str, embed: bool, ctx: Context, *, keep: bool = True) -> File:
    """Saves one finished file under a name without its ending."""
    sizes = {key: getattr(made.measures, key) for key in ("width", "height", "frames", "seconds")}
    return ctx.save(
        made.data,
        name=name + made.format.suffixes[0],
        media_type=made.format.media_type,
        keep=keep,
        embed="workflow" if embed else "nothing",
        **sizes,
    )


def numbered(pattern: str, place: int, count: int) -> str:
    """The name of one of several files of a pattern, numbered unless there is a counter in it."""
    return pattern if count == 1 or "{counter}" in pattern else f"{pattern}_{place + 1}"


def checked_name(pattern: str, format: str, formats: Sequence[Format]) -> str:
    """A name pattern below the output folder, without the suffix of its format, one of `formats`.

    Raises:
        ProblemError: it leads out of the folder, or is no name on some system.
    """
    stem = pattern.strip().replace("\\", "/")
    suffix = Path(stem).suffix
    fits = [one.name.lower() for one in formats if suffix.lower() in one.suffixes]
    other = format if format in fits else next(iter(fits), None)
    fault = pattern_fault(pattern)
    if other not in (None, format):
        hint = f"Leave the ending out, or set the format to {other}."
        fault = fault or (f"ends in {suffix}, and the format is {format}.", hint)
    if fault:
        raise ProblemError(
            Problem(code="bad_file_name", message=f"{pattern!r} {fault[0]}", hint=fault[1], port="name", value=pattern)
        )
    return stem.removesuffix(suffix) if other is not None else stem
