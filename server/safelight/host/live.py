"""What is going on right now: the runs that have not ended, the nodes of those that run, and how long it will take.

Lives on the event loop alone, and touches neither disk nor workers.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from safelight.engine import NodeFailed, NodeFinished, NodeProgress, NodeSkipped, NodeStarted, RunStarted
from safelight.engine.events import AnyEvent

from .records import ENDED, WAITING, NodeState, QueueInfo, Run

_FRESH = 0.2


@dataclass
class Active:
    """A run that a worker has. `begun` is when each of its nodes started, by the clock of `time.monotonic`."""

    attempt: int
    worker: str
    nodes: dict[str, NodeState] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)

    def follow(self, event: AnyEvent) -> None:
        """Keeps the states of the nodes by the run's events."""
        if isinstance(event, RunStarted):
            self.nodes.clear()
            self.nodes.update((name, NodeState()) for name in event.nodes)
            return
        node = getattr(event, "node", None)
        if node is None:
            return
        state = self.nodes.setdefault(node, NodeState())
        if isinstance(event, NodeStarted):
            state.status = "running"
            self.begun[node] = time.monotonic()
        elif isinstance(event, NodeProgress):
            state.status, state.step, state.total = "running", event.step, event.total
            state.curve = event.curve or state.curve
        elif isinstance(event, NodeFinished):
            state.status, state.seconds = "cached" if event.cached else "ran", event.seconds
        elif isinstance(event, NodeSkipped):
            state.status = "skipped"
        elif isinstance(event, NodeFailed):
            state.status = "failed"

    def progress(self) -> float | None:
        """0 to 1: nodes that are over, and the part of those that run."""
        if not self.nodes:
            return None
        over = sum(state.status not in ("waiting", "running") for state in self.nodes.values())
        part = sum(
            state.step / state.total for state in self.nodes.values() if state.status == "running" and state.total
        )
        return round(min(1.0, (over + part) / len(self.nodes)), 4)

    def least_left(self) -> float:
        """Seconds that the running nodes still need if their steps go on as they did."""
        now = time.monotonic()
        return max(
            (
                (now - self.begun[name]) * (state.total - state.step) / state.step
                for name, state in self.nodes.items()
                if state.status == "running" and 0 < state.step < state.total and name in self.begun
            ),
            default=0.0,
        )


class Live:
    """The runs that wait, run or are paused. `workers` says how many can run at once."""

    def __init__(self, workers: Callable[[], int]) -> None:
        self._workers = workers
        self._runs: dict[str, Run] = {}
        self._active: dict[str, Active] = {}
        self._lefts: tuple[float, dict[str, float]] = (-1.0, {})

    def fill(self, runs: Iterable[Run]) -> None:
        self._runs = {run.id: run for run in runs}

    def changed(self, run: Run) -> None:
        """A run as it is now: kept until it has ended."""
        if run.status in ENDED:
            self._runs.pop(run.id, None)
        else:
            self._runs[run.id] = run

    def removed(self, run: str) -> None:
        self._runs.pop(run, None)

    def begin(self, run: str, attempt: int, worker: str) -> None:
        self._active[run] = Active(attempt, worker)

    def end(self, run: str, attempt: int) -> bool:
        """The attempt is over. False when another one goes on, or none did."""
        active = self._active.get(run)
        if active is None or active.attempt != attempt:
            return False
        del self._active[run]
        return True

    def active(self, run: str) -> Active | None:
        return self._active.get(run)

    def running(self) -> list[str]:
        """The runs that workers have."""
        return list(self._active)

    def any_waiting(self) -> bool:
        return any(run.status in WAITING for run in self._runs.values())

    def nodes(self) -> dict[str, dict[str, NodeState]]:
        return {run: active.nodes for run, active in self._active.items()}

    def first(self, limit: int) -> list[Run]:
        """The first runs as they are now: those that run, then those that wait in their order, then paused ones."""
        lefts = self.lefts()
        return [self._current(run, lefts) for run in heapq.nsmallest(limit, self._runs.values(), key=_place)]

    def current(self, run: Run) -> Run:
        """A run with its progress and the time that is left."""
        return self._current(run, self.lefts())

    def _current(self, run: Run, lefts: dict[str, float]) -> Run:
        active = self._active.get(run.id)
        progress = active.progress() if active is not None else None
        return msgspec.structs.replace(run, progress=progress, left=lefts.get(run.id))

    def queue(self, *, paused: bool) -> QueueInfo:
        waiting = sum(run.status in WAITING for run in self._runs.values())
        running = sum(run.status == "running" for run in self._runs.values())
        lefts = self.lefts()
        seconds = max(lefts.values(), default=0.0)
        # Where the last of them is unknown, so is the end.
        unknown = len(lefts) < waiting + running
        return QueueInfo(
            paused=paused, waiting=waiting, running=running, seconds=None if unknown else round(seconds, 2)
        )

    def lefts(self) -> dict[str, float]:
        """Seconds until the end of each run that runs or waits, by past runs; those nothing is known of are left out.

        Waiting ones are given in thought to the worker that is free first, as the queue will do.
        """
        now = time.monotonic()
        if now - self._lefts[0] > _FRESH:
            self._lefts = now, dict(self._expected())
        return self._lefts[1]

    def _expected(self) -> Iterator[tuple[str, float]]:
        waiting = sorted((run for run in self._runs.values() if run.status in WAITING), key=_place)
        known = [run.estimate for run in waiting if run.estimate is not None]
        usual = sum(known) / len(known) if known else None
        free: list[float] = []
        for run in self._runs.values():
            if run.status != "running":
                continue
            active = self._active.get(run.id)
            least = active.least_left() if active is not None else 0.0
            if run.estimate is None and not least:
                free.append(0.0)
                continue
            spent = time.time() - (run.started or time.time())
            left = max(least, (run.estimate or 0.0) - spent, 0.0)
            free.append(left)
            yield run.id, round(left, 2)
        free += [0.0] * (self._workers() - len(free))
        heapq.heapify(free)
        for run in waiting:
            takes = run.estimate if run.estimate is not None else usual
            if takes is None:
                return
            end = heapq.heappop(free) + takes
            heapq.heappush(free, end)
            yield run.id, round(end, 2)


def _place(run: Run) -> tuple[int, bool, int, float]:
    group = {"running": 0, "paused": 2}.get(run.status, 1)
    return group, run.status != "interrupted", -run.priority, run.rank
