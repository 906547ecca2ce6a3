"""Workers that have nothing to do help with runs that others have."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from .documents import Graphs
from .queue import Live
from .workers import Begin, PartEnd, Pool

_DEATHS = 3
"""Helpers of a run that may die; what they die of is the run's own then, and is met by the worker that has it."""


@dataclass
class _Wide:
    """A run that may have room for helpers: for how many more is known once it has been asked for."""

    part: Begin
    places: int | None = None
    deaths: int = 0


class Helping:
    """Which runs idle workers are given a part of. How much there is to do side by side is found out when a worker is
    idle, not before: on a busy server nobody helps."""

    def __init__(
        self,
        pool: Pool,
        graphs: Graphs,
        live: Live,
        spawn: Callable[[Coroutine[Any, Any, Any]], None],
        wake: Callable[[], None],
    ) -> None:
        """`spawn` runs something beside, `wake` has `give` called again."""
        self._pool = pool
        self._graphs = graphs
        self._live = live
        self._spawn = spawn
        self._wake = wake
        self._wide: dict[str, _Wide] = {}

    def began(self, begin: Begin) -> None:
        """A worker has this run, and others may help with it."""
        self._wide[begin.run] = _Wide(msgspec.structs.replace(begin, part=True))
        self._wake()

    def came_back(self, run: str, attempt: int, how: PartEnd) -> None:
        """A helper has found nothing more to begin of it; or was stopped or died, and another may take its place."""
        wide = self._wide.get(run)
        if wide is None or wide.part.attempt != attempt or wide.places is None:
            return
        wide.deaths += how == "died"
        if how == "done":
            wide.places = 0
        elif wide.deaths < _DEATHS:
            wide.places += 1
            self._wake()

    def over(self, run: str) -> None:
        """Nobody needs to help with it any more."""
        self._wide.pop(run, None)
        self._pool.stop_parts(lambda worker: worker.run == run)

    def give(self) -> None:
        """Gives idle workers a part of what goes on."""
        idle = self._pool.idle() if self._wide else []
        for wide in list(self._wide.values()) if idle else ():
            if wide.places is None:
                wide.places = 0
                self._spawn(self._measure(wide))
            if not wide.places:
                continue
            numerics = self._numerics(wide.part.run)
            for worker in [worker for worker in idle if worker.numerics == numerics][: wide.places]:
                if self._pool.begin(worker.id, wide.part):
                    wide.places -= 1
                    idle.remove(worker)

    def _numerics(self, run: str) -> str | None:
        """What the worker that has a run computes with: results of other devices have other keys, and are no help."""
        active = self._live.active(run)
        found = (worker.numerics for worker in self._pool.workers() if active and worker.id == active.worker)
        return next(found, None)

    async def _measure(self, wide: _Wide) -> None:
        part = wide.part
        found = await self._graphs.breadth(part.document, part.inputs, part.targets)
        active = self._live.active(part.run)
        if found > 1 and active is not None and active.attempt == part.attempt:
            wide.places = found - 1
            self._wake()
