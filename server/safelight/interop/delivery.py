"""Finished files written where the user wants them, with the workflow inside."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import msgspec

from safelight.sdk.codec import hash_bytes
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.values import File

from .pictures import embed

_COUNTER = "{counter}"
_DIGITS = 5
_MANY = 100_000


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written, or found to be there already with the very same bytes."""

    path: str
    media_type: str
    digest: str
    size: int
    width: int = 0
    height: int = 0
    written: bool = True


def deliver(file: File, data: bytes, folder: Path, workflow: str) -> Delivered:
    """Writes one finished file below `folder` and returns where it lies.

    Nothing is ever overwritten: `{counter}` becomes the next free number, and a name without one gets `_2`, `_3`, ...
    when it is taken. Where the same bytes already lie under such a name, they are left and named again.

    Args:
        file: its name pattern and kind.
        data: its bytes, without the workflow.
        folder: the output folder; made when it is missing.
        workflow: the document, as text, that goes into the picture.

    Raises:
        ProblemError: `bad_file_name` when the name leaves the folder, `cannot_write` when the system refuses.
    """
    if file.embed == "workflow" and workflow:
        data = embed(data, file.media_type, workflow)
    relative = _checked(file.name)
    target = folder / relative
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder.resolve() not in (target.parent.resolve(), *target.parent.resolve().parents):
            raise _bad_name(file.name)
        path, written = _place(target, data)
    except OSError as error:
        message = f"{file.name!r} cannot be written into {str(folder)!r}: {error.strerror or error}."
        hint = "Choose another folder, or make room on the disk."
        raise ProblemError(Problem(code="cannot_write", message=message, hint=hint, value=file.name)) from None
    return Delivered(
        path=str(path),
        media_type=file.media_type,
        digest=hash_bytes(data),
        size=len(data),
        width=file.width,
        height=file.height,
        written=written,
    )


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
    parts = name.replace("\\", "/").split("/")
    bad = any(part in ("", ".", "..") or part.strip() != part or "\0" in part or ":" in part for part in parts)
    if bad or len(name) > 300:
        raise _bad_name(name)
    return Path(*parts)


def _bad_name(name: str) -> ProblemError:
    message = f"{name!r} cannot be the name of a file in the output folder."
    hint = "Use a plain name, or folder/name; it may hold {counter}."
    return ProblemError(Problem(code="bad_file_name", message=message, hint=hint, value=name))


def _place(target: Path, data: bytes) -> tuple[Path, bool]:
    taken = _numbered(target)
    for path in taken.values():
        if path.stat().st_size == len(data) and path.read_bytes() == data:
            return path, False
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        number = max(taken, default=0) + 1
        while True:
            path = _name(target, number)
            if _claim(temporary, path):
                return path, True
            number += 1
    finally:
        temporary.unlink(missing_ok=True)


def _numbered(target: Path) -> dict[int, Path]:
    """The files that already go by this pattern, by their number."""
    if _COUNTER in target.name:
        before, after = target.name.split(_COUNTER, 1)
        pattern = re.compile(re.escape(before) + r"(\d{1,9})" + re.escape(after.replace(_COUNTER, "")))
    else:
        pattern = re.compile(re.escape(target.stem) + r"(?:_(\d{1,9}))?" + re.escape(target.suffix))
    found: dict[int, Path] = {}
    with os.scandir(target.parent) as entries:
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match and entry.is_file() and len(found) < _MANY:
                found[int(match[1] or 1)] = Path(entry.path)
    return found


def _name(target: Path, number: int) -> Path:
    if _COUNTER in target.name:
        name = target.name.replace(_COUNTER, f"{number:0{_DIGITS}}", 1).replace(_COUNTER, "")
        return target.with_name(name)
    return target if number == 1 else target.with_name(f"{target.stem}_{number}{target.suffix}")


def _claim(temporary: Path, path: Path) -> bool:
    """Gives the finished file its name, unless somebody else has taken it in the meantime."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        temporary.replace(path)
    return True
