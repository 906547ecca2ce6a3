"""A worker's process as its pool sees it: bytes in, bytes out, and an end. That of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Protocol

_LOOK = 0.05


class WorkerProcess(Protocol):
    """Frames are written to it and come from `stdout`. `returncode` is None as long as it lives, `said` why it ended
    where the code alone does not tell; `starved`: its system ended it for want of memory."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader: ...
    @property
    def said(self) -> str: ...
    @property
    def starved(self) -> bool: ...

    def send(self, data: bytes) -> bool:
        """False when it takes nothing any more."""
        ...

    def end(self) -> None:
        """Ends it at once."""
        ...

    def close(self) -> None:
        """Lets go of what is held of it. It has ended."""
        ...


class LocalProcess:
    """A process of this machine."""

    said = ""
    starved = False

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._process = process
        self.stdout = process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def send(self, data: bytes) -> bool:
        stdin = self._process.stdin
        if stdin is None or self.returncode is not None or stdin.is_closing():
            return False
        stdin.write(data)
        return True

    def end(self) -> None:
        if self.returncode is not None:
            return  # its number may be another's by now
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                # `process.kill` looks whether it has ended before, and then nobody learns how (exit code 255).
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._process._transport.close()  # type: ignore[attr-defined]  # else its pipe stays open as long as any fork


async def exit_code(process: WorkerProcess) -> int:
    """The exit code, as soon as the process has ended. `Process.wait` waits for its pipes to be closed, too."""
    while process.returncode is None:
        await asyncio.sleep(_LOOK)
    return process.returncode
