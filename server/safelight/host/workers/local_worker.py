"""One worker process of this machine, as the pool knows it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from safelight.protocol.records import Device, WorkerInfo

from .process import WorkerProcess

State = Literal["starting", "warming", "idle", "busy", "stopping", "dead"]


@dataclass(eq=False)
class LocalWorker:
    """A process, or the place of one that has ended and is started again.

    `given` is the device that it is to compute on (empty: what it finds), `place` the one that it computes on; with
    `part` it helps with the run of another.
    """

    id: str
    given: str = ""
    process: WorkerProcess | None = None
    state: State = "starting"
    warm: bool = False
    device: Device = field(default_factory=Device)
    memory: int = 0
    cache: int = 0
    hits: int = 0
    misses: int = 0
    started: float = field(default_factory=time.time)
    heard: float = field(default_factory=time.monotonic)
    place: str = ""
    numerics: str = ""
    models: tuple[str, ...] = ()
    run: str | None = None
    attempt: int = 0
    part: bool = False
    runs: int = 0
    restarts: int = 0
    quick_deaths: int = 0
    failed_starts: int = 0
    note: str = ""
    given_up: bool = False
    stale: bool = False
    """It is to be replaced once it is idle."""
    killed: str = ""
    kills_before: int = 0
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def takes_runs(self) -> bool:
        return self.state == "idle" and self.process is not None and self.process.returncode is None

    def settle(self) -> bool:
        """What it was doing is over: its end is not waited for any more. Whether it was."""
        if self.timer is None:
            return False
        self.timer.cancel()
        self.timer = None
        return True

    def info(self) -> WorkerInfo:
        state = "warming" if self.state == "idle" and not self.warm else self.state
        return WorkerInfo(
            id=self.id,
            state=state,
            device=self.device.name,
            place=self.place or self.given,
            models=self.models,
            numerics=self.numerics,
            pid=self.process.pid if self.process is not None else 0,
            run=self.run,
            memory=self.memory,
            cache=self.cache,
            hits=self.hits,
            misses=self.misses,
            started=self.started,
            runs=self.runs,
            restarts=self.restarts,
            note=self.note,
        )
