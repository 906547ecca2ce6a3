"""A worker's process somewhere in the cluster, by what the bridge tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .wire import BridgeMessage, Close, Gone, Send


class RemoteProcess:
    """Implements `WorkerProcess`."""

    def __init__(self, worker: str, tell: Callable[[BridgeMessage], bool]) -> None:
        self._worker = worker
        self._tell = tell
        self.pid = 0
        self.returncode: int | None = None
        self.said = ""
        self.starved = False
        self.stdout = asyncio.StreamReader(limit=1 << 20)
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Set when it runs, or has ended before it did."""

    def send(self, data: bytes) -> bool:
        return self.returncode is None and self._tell(Send(worker=self._worker, data=data))

    def end(self) -> None:
        if self.returncode is None and not self._tell(Close(worker=self._worker)):
            self.gone(Gone(worker=self._worker, said="the way to the cluster is broken."))

    def close(self) -> None:
        pass  # nothing of it is held here

    def ran(self, pid: int) -> None:
        self.pid = pid
        self._open()

    def gone(self, told: Gone) -> None:
        if self.returncode is None:
            self.returncode, self.said, self.starved = told.code, told.said, told.starved
            self.stdout.feed_eof()
            self._open()

    def _open(self) -> None:
        if not self.opened.done():
            self.opened.set_result(None)
