"""At which node a worker is, in a file that outlives it: a process that a node takes down can tell nobody else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from safelight.engine import Event, NodeFailed, NodeFinished, NodeStarted


def place(home: Path, worker: str) -> Path:
    """The file of a worker."""
    return home / "workers" / f"{worker}.node"


def read(home: Path, worker: str) -> str | None:
    """The node that a worker was at when it ended; None when it was at none, or cannot have said."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return place(home, worker).read_text(encoding="utf-8") or None
    return None


class Whereabouts:
    """Written by a worker at the start and the end of each node: two system calls, no wait for a disk."""

    def __init__(self, home: Path, worker: str) -> None:
        self._open: dict[str, None] = {}
        self._file: int | None = None
        with contextlib.suppress(OSError):
            path = place(home, worker)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def follow(self, event: Event) -> None:
        if isinstance(event, NodeStarted):
            self._open[event.node] = None
        elif isinstance(event, NodeFinished | NodeFailed):
            self._open.pop(event.node, None)
        else:
            return
        self._say(next(reversed(self._open), ""))  # calls stay open while the nodes of their turns come and go

    def _say(self, node: str) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._file, 0)
            if node:
                os.lseek(self._file, 0, os.SEEK_SET)
                os.write(self._file, node.encode(errors="replace"))
