"""What the host knows of where runs are executed. `local_pool` is this machine.

Another pool (a cluster's actors, say) implements `Pool` and tells a `PoolListener` the same six things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from safelight.protocol.events import AnyEvent
from safelight.protocol.records import Device, WorkerInfo
from safelight.sdk.problem import Problem

from .wire import Begin, Ended, Logged, Preview

PartEnd = Literal["done", "stopped", "died"]
"""How a helper has left a run: it found nothing more to begin, was told to stop, or its process has ended."""


class PoolListener(Protocol):
    """Who is told what happens in the pool. All are called on the event loop and return at once."""

    def told(self, run: str, attempt: int, events: Sequence[AnyEvent]) -> None: ...
    def shown(self, preview: Preview) -> None: ...
    def logged(self, logged: Logged) -> None: ...
    def ended(self, ended: Ended) -> None: ...
    def died(self, run: str, attempt: int, problem: Problem) -> None:
        """The worker of a run is gone before the run had ended."""
        ...

    def helped(self, run: str, attempt: int, how: PartEnd) -> None:
        """A worker that was to help with a run does so no more."""
        ...

    def changed(self, worker: WorkerInfo) -> None:
        """A worker's state is another one. One that became idle can be given a run."""
        ...


class Pool(Protocol):
    """Runs documents somewhere else. With `shares` there are several workers on one cache folder, which can help each
    other."""

    @property
    def shares(self) -> bool: ...

    async def start(self, listener: PoolListener) -> None: ...
    def fault(self) -> str:
        """Why nothing can be run here any more; empty as long as something can."""
        ...

    def idle(self) -> list[WorkerInfo]:
        """The workers that can be given a run now."""
        ...

    def begin(self, worker: str, begin: Begin) -> bool:
        """Gives a worker a run, or a part of one. False when it cannot take it any more."""
        ...

    def parts(self) -> int:
        """How many workers help with a run of another."""
        ...

    def stop_parts(self, wanted: Callable[[WorkerInfo], bool]) -> None:
        """Asks those workers that help, and are wanted, to stop; what has the run goes on."""
        ...

    def stop_run(self, run: str, *, hard: bool, grace: float) -> bool:
        """Asks a run to stop; after `grace` seconds, or with `hard` at once, its worker is ended. False: not here."""
        ...

    def watch(self, run: str, watched: bool) -> None: ...
    def free(self, *, cache: bool = False) -> None: ...
    def renew(self) -> None:
        """Has every worker replaced by a fresh one, which imports the packs as they are now, as soon as it is idle."""
        ...

    def workers(self) -> list[WorkerInfo]: ...
    def devices(self) -> list[Device]:
        """What the workers compute on, as far as it is known by now."""
        ...

    def numerics(self) -> str:
        """What workers compute with, as keys name it; empty where it is what this machine computes with, or unknown."""
        ...

    async def stop(self, grace: float) -> None:
        """Lets runs stop at their next step, waits for that as long as `grace` seconds, and ends all workers."""
        ...
