"""One server a data folder: a lock that the system gives back when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import IO

from safelight.sdk.problem import Problem, ProblemError


class FolderLock:
    """Held from `acquire` to `release`. The file says who holds it, for the message of the one who comes second."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "server.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises ProblemError `folder_in_use` when another server has it, `cannot_write` when it cannot be made."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            message = f"The data folder {str(self._path.parent)!r} cannot be written: {error.strerror or error}."
            hint = "Set SAFELIGHT_HOME to a folder of your own."
            raise ProblemError(Problem(code="cannot_write", message=message, hint=hint)) from None
        if not _try_lock(file):
            file.seek(0)
            with contextlib.suppress(ValueError):
                said = json.loads(file.read() or "{}")
                file.close()
                raise _taken(self._path.parent, said)
            file.close()
            raise _taken(self._path.parent, {})
        self._file = file
        self.note({"pid": os.getpid()})

    def note(self, said: dict[str, object]) -> None:
        """Writes what others shall be told."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(json.dumps(said))
            self._file.flush()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _taken(folder: Path, said: dict[str, object]) -> ProblemError:
    where = f" at {said['url']}" if said.get("url") else ""
    who = f" (process {said['pid']})" if said.get("pid") else ""
    message = f"Another Safelight server is running on {str(folder)!r}{where}{who}."
    hint = "Use that one, stop it first, or give this one another folder with SAFELIGHT_HOME."
    return ProblemError(Problem(code="folder_in_use", message=message, hint=hint, value=str(folder)))


def _try_lock(file: IO[str]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 20)  # past the text, which others must be able to read
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
