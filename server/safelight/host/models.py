"""The search for models: in a thread, telling how far it is; what was found last is there at once.

While somebody listens, the folders are looked at every few seconds, so that a model that is dropped into one, fetched
or trained is told of.
"""

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
_WATCH = 2.0
_SHARE = 20
"""The watch takes no more than this part of the time."""


class ModelScan:
    """`publish` is told of progress and of the end, on the event loop."""

    def __init__(self, graphs: Graphs, publish: Callable[[ModelsChanged], object]) -> None:
        self._graphs = graphs
        self._publish = publish
        self._task: asyncio.Task[None] | None = None
        self._ended = 0.0
        self._told = 0.0
        self._said = False
        self._stamp: int | None = None
        self.entries: list[ModelEntry] = []
        self.done = 0
        self.total = 0

    @property
    def scanning(self) -> bool:
        return self._task is not None and not self._task.done()

    async def look(self, patience: float) -> list[ModelEntry]:
        """The models. Searches again unless that has just been done; after `patience` seconds gives what is known.

        Raises:
            ProblemError: the search itself failed.
        """
        if not self.scanning and time.monotonic() - self._ended > _FRESH:
            self._begin()
        task = self._task
        if task is not None:
            await asyncio.wait([task], timeout=patience)
            if task.done() and not task.cancelled():
                task.result()
        return self.entries

    def again(self) -> None:
        """What is known may be old: models have come, or folders were added."""
        self._ended = 0.0
        if not self.scanning and self._stamp is not None:
            self._begin()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._scan(), name="model scan")

    async def watch(self, wanted: Callable[[], bool]) -> None:
        """Searches again whenever the files of the models have changed since the last search, as long as it is
        `wanted`; for ever."""
        while True:
            began = time.monotonic()
            # Nobody has a list that could be old before the first search.
            if wanted() and not self.scanning and self._stamp is not None:
                stamp = await self._graphs.call(lambda studio: studio.models.stamp())
                if stamp != self._stamp and not self.scanning:
                    self._begin()
            await asyncio.sleep(max(_WATCH, _SHARE * (time.monotonic() - began)))

    async def _scan(self) -> None:
        loop = asyncio.get_running_loop()
        self.done, self.total, self._told, self._said = 0, 0, loop.time(), False

        def on_progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._progress, done, total)

        def work(studio: Studio) -> tuple[int, list[ModelEntry]]:
            return studio.models.stamp(), studio.models.list_models(on_progress)

        self._stamp, found = await self._graphs.call(work)
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
