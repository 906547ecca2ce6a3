"""The search for models: in a thread, telling how far it is; what was found last is there at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from safelight.app import Studio
from safelight.models import ModelEntry
from safelight.protocol.records import ModelsChanged

from .documents import Graphs

_FRESH = 5.0
_TELL = 0.2


class ModelScan:
    """`publish` is told of progress and of the end, on the event loop."""

    def __init__(self, graphs: Graphs, publish: Callable[[ModelsChanged], object]) -> None:
        self._graphs = graphs
        self._publish = publish
        self._task: asyncio.Task[None] | None = None
        self._ended = 0.0
        self._told = 0.0
        self._said = False
        self.entries: list[ModelEntry] = []
        self.done = 0
        self.total = 0

    @property
    def scanning(self) -> bool:
        return self._task is not None and not self._task.done()

    async def look(self, patience: float) -> list[ModelEntry]:
        """The models. Searches anew unless that has just been done; after `patience` seconds gives what is known.

        Raises:
            ProblemError: the search itself failed.
        """
        if not self.scanning and time.monotonic() - self._ended > _FRESH:
            self._task = asyncio.create_task(self._scan(), name="model scan")
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=patience)
            if task.done() and not task.cancelled():
                task.result()
        return self.entries

    async def _scan(self) -> None:
        loop = asyncio.get_running_loop()
        self.done, self.total, self._told, self._said = 0, 0, loop.time(), False

        def on_progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._progress, done, total)

        def work(studio: Studio) -> list[ModelEntry]:
            return studio.models.list_models(on_progress)

        found = await self._graphs.call(work)
        news = found != self.entries or self._said
        self.entries = found
        self._ended = time.monotonic()
        self.done = self.total = len(found)
        if news:  # a search that found nothing new in no time need not be told of
            self._publish(ModelsChanged(scanning=False, done=self.done, total=self.total))

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        now = asyncio.get_running_loop().time()
        if now - self._told > _TELL:
            self._told, self._said = now, True
            self._publish(ModelsChanged(scanning=True, done=done, total=total))
