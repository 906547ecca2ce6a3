"""Finished files written where the user wants them, with the workflow inside."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import msgspec

from safelight.disk import claim, draft, is_below, unnamed
from safelight.media.embedding import with_parameters
from safelight.media.registry import MediaRegistry
from safelight.sdk.codec import hash_bytes, hash_file
from safelight.sdk.file_names import TOKEN, pattern_fault
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.values import File

_COUNTER = "{counter}"
_DIGITS = 5
_MANY = 100_000
_MOST_CHARACTERS = 1_000


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written, or found to be there already with the very same bytes."""

    path: str
    media_type: str
    digest: str
    size: int
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    written: bool = True


def deliver(
    file: File,
    data: bytes | Path,
    folder: Path,
    workflow: str,
    media: MediaRegistry,
    *,
    mark: bool = False,
    parameters: str = "",
) -> Delivered:
    """Writes one finished file below `folder` and returns where it lies.

    Nothing is ever overwritten: `{counter}` becomes the next free number, the same wherever it stands in the name, and
    a name without one gets `_2`, `_3`, ... when it is taken. Where the same bytes already lie under such a name, they
    are left and named again.

    Args:
        file: its name pattern and kind.
        data: its bytes, without the workflow; or a file of them, which is copied and never lies in memory.
        folder: the output folder; made when it is missing.
        workflow: the document, as text, that goes into the file, where its format can carry one.
        media: puts it there.
        mark: the file gets the mark that a model made it, where its format can carry one.
        parameters: settings as A1111 writes them, for images in bytes that have a place for them.

    Raises:
        ProblemError: `bad_file_name` when the name leaves the folder, `cannot_write` when the system refuses.
    """
    carries = file.embed == "workflow" and bool(workflow) and media.can_embed(file.media_type)
    relative = _checked(file.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Path):
            with draft(folder) as copy:
                shutil.copyfile(data, copy)
                media.finish(copy, file.media_type, workflow if carries else None, marked=mark)
                digest, size = hash_file(copy), copy.stat().st_size
                path, written = _place(folder, relative, _Draft(copy, size))
        else:
            if mark:
                data = media.mark(data, file.media_type)
            if parameters:
                data = with_parameters(data, file.media_type, parameters)
            if carries:
                data = media.embed(data, file.media_type, workflow)
            digest, size = hash_bytes(data), len(data)
            path, written = _place(folder, relative, _Bytes(data, size))
    except OSError as error:
        message = f"{file.name!r} cannot be written into {str(folder)!r}: {error.strerror or error}."
        hint = "Choose another folder, or make room on the disk."
        raise ProblemError(Problem(code="cannot_write", message=message, hint=hint, value=file.name)) from None
    return Delivered(
        path=str(path),
        media_type=file.media_type,
        digest=digest,
        size=size,
        width=file.width,
        height=file.height,
        frames=file.frames,
        seconds=file.seconds,
        written=written,
    )


class _Bytes(NamedTuple):
    """A finished file in memory."""

    data: bytes
    size: int

    def same(self, path: Path) -> bool:
        return path.read_bytes() == self.data

    def ready(self, folder: Path) -> AbstractContextManager[Callable[[Path], bool]]:
        return unnamed(folder, self.data)


class _Draft(NamedTuple):
    """A finished file in the output folder that has no name yet."""

    path: Path
    size: int

    def same(self, path: Path) -> bool:
        return filecmp.cmp(path, self.path, shallow=False)

    def ready(self, folder: Path) -> AbstractContextManager[Callable[[Path], bool]]:
        del folder  # of the same disk
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return nullcontext(lambda path: claim(self.path, path))


def require_writable(folder: Path) -> None:
    """Told before a long run rather than after it: whether files can be written into a folder, or it can be made.

    Raises:
        ProblemError: `cannot_write`.
    """
    there = folder.absolute()
    fault = ""
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or str(error)
    if fault:
        pass
    elif not there.is_dir():
        fault = f"{str(there)!r} is a file"
    elif not os.access(there, os.W_OK | os.X_OK):
        fault = f"nothing may be written into {str(there)!r}"
    if fault:
        message = f"The output folder {str(folder)!r} cannot be used: {fault}."
        raise ProblemError(Problem(code="cannot_write", message=message, hint="Choose another one.", value=str(folder)))


def _checked(name: str) -> Path:
    unfilled = any(token != "counter" for token in TOKEN.findall(name))
    if unfilled or pattern_fault(name) or len(name) > _MOST_CHARACTERS:
        raise _bad_name(name)
    return Path(*name.strip().replace("\\", "/").split("/"))


def _bad_name(name: str) -> ProblemError:
    message = f"{name!r} cannot be the name of a file in the output folder."
    hint = "Use a plain name, or folder/name; it may hold {counter}."
    return ProblemError(Problem(code="bad_file_name", message=message, hint=hint, value=name))


def _place(folder: Path, pattern: Path, made: _Bytes | _Draft) -> tuple[Path, bool]:
    parts = pattern.parts
    depth = next((place for place, part in enumerate(parts) if _COUNTER in part), len(parts) - 1)
    _make_folder(folder, folder.joinpath(*parts[:depth]))
    taken = _numbered(folder.joinpath(*parts[:depth]), Path(parts[depth]))
    for number, digits in sorted(taken.items()):
        path = _name(folder, pattern, number, digits)
        try:
            if path.stat().st_size == made.size and made.same(path):
                return path, False
        except (FileNotFoundError, IsADirectoryError):
            continue  # a folder of that number, which holds another file
    number = max(taken, default=0) + 1
    path = _name(folder, pattern, number)
    _make_folder(folder, path.parent)
    with made.ready(path.parent) as named:
        while not named(path):
            number += 1
            path = _name(folder, pattern, number)
            _make_folder(folder, path.parent)
    return path, True


def _make_folder(folder: Path, made: Path) -> None:
    made.mkdir(parents=True, exist_ok=True)
    if not is_below(made, folder):
        raise _bad_name(str(made.relative_to(folder)))


def _numbered(folder: Path, part: Path) -> dict[int, str]:
    """The numbers that are taken, each as it is written. What is counted are the entries of the first part that has a
    `{counter}`, files or folders; without any, the files of that name.
    """
    if _COUNTER in part.name:
        first, *others = (re.escape(piece) for piece in part.name.split(_COUNTER))
        known = re.compile(first + r"(\d{1,9})" + r"\1".join(others))
    else:
        known = re.compile(re.escape(part.stem) + r"(?:_(\d{1,9}))?" + re.escape(part.suffix))
    found: dict[int, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = known.fullmatch(entry.name)
            if match and len(found) < _MANY:
                found[int(match[1] or 1)] = match[1] or ""
    return found


def _name(folder: Path, pattern: Path, number: int, digits: str | None = None) -> Path:
    """The path of a number, written as `digits` have it. Every `{counter}` of a pattern is the same number."""
    if any(_COUNTER in part for part in pattern.parts):
        shown = f"{number:0{_DIGITS}}" if digits is None else digits
        return folder.joinpath(*(part.replace(_COUNTER, shown) for part in pattern.parts))
    suffix = f"_{number if digits is None else digits}" if number > 1 or digits else ""
    return folder / pattern.with_name(f"{pattern.stem}{suffix}{pattern.suffix}")
