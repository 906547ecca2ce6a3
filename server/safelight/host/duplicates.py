"""The search for equal models, which reads files of one size to their end: in a thread, telling how far it is."""

from __future__ import annotations

import asyncio
import time

from safelight.app import Studio
from safelight.models import ModelEntry
from safelight.models.hub import Stopped

_FRESH = 5.0


class Duplicates:
    """`groups` is what was found last; `done` of `total` files of those that may be equal were read."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._task: asyncio.Task[list[list[ModelEntry]]] | None = None
        self._ended = 0.0
        self._closing = False
        self.groups: list[list[ModelEntry]] = []
        self.done = 0
        self.total = 0

    @property
    def working(self) -> bool:
        return self._task is not None and not self._task.done()

    async def look(self, patience: float) -> list[list[ModelEntry]]:
        """The groups; after `patience` seconds gives what is known. What was read is remembered, also over restarts.

        Raises:
            ProblemError: the search itself failed.
        """
        if not self.working and (not self._ended or time.monotonic() - self._ended > _FRESH):
            self.done = self.total = 0
            self._task = asyncio.create_task(asyncio.to_thread(self._search), name="duplicates")
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience)
            if self._task.done() and not self._task.cancelled():
                self.groups = self._task.result()
        return self.groups

    def close(self) -> None:
        self._closing = True

    def _search(self) -> list[list[ModelEntry]]:
        def going_on(done: int, total: int) -> None:
            if self._closing:
                raise Stopped
            self.done, self.total = done, total

        found = self._studio.models.manager.duplicates(going_on)
        self._ended = time.monotonic()
        return found
