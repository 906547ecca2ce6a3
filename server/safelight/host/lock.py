"""One server a data folder: a lock that the system gives back when the process ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from safelight.disk import try_lock, write_file
from safelight.sdk.problem import Problem, ProblemError


class FolderLock:
    """Held from `acquire` to `release`. A file beside it says who holds it, for the message of the second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._note = folder / "server.json"
        self._release: Callable[[], None] | None = None

    def acquire(self) -> None:
        """Raises ProblemError `folder_in_use` when another server has it, `cannot_write` when it cannot be made."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._release = try_lock(self._folder / "server.lock")
            if self._release is None:
                raise self._taken()
            self.note({"pid": os.getpid()})
        except OSError as error:
            self.release()
            message = f"The data folder {str(self._folder)!r} cannot be written: {error.strerror or error}."
            hint = "Set SAFELIGHT_HOME to a folder of your own."
            raise ProblemError(Problem(code="cannot_write", message=message, hint=hint)) from None

    def note(self, said: dict[str, object]) -> None:
        """Writes what others shall be told."""
        if self._release is not None:
            write_file(self._note, [json.dumps(said).encode()])

    def release(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    def _taken(self) -> ProblemError:
        said: dict[str, object] = {}
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(self._note.read_text(encoding="utf-8"))
        where = f" at {said['url']}" if said.get("url") else ""
        who = f" (process {said['pid']})" if said.get("pid") else ""
        message = f"Another Safelight server is running on {str(self._folder)!r}{where}{who}."
        hint = "Use that one, stop it first, or give this one another folder with SAFELIGHT_HOME."
        return ProblemError(Problem(code="folder_in_use", message=message, hint=hint, value=str(self._folder)))
