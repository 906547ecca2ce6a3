"""What is going on right now: the runs that have not ended, the nodes of those that run, and how long it will take.

Lives on the event loop alone, and touches neither disk nor workers.
"""

from __future__ import annotations

import heapq
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain, islice

import msgspec

from safelight.engine import NodeFailed, NodeFinished, NodeProgress, NodeSkipped, NodeStarted, NodeWarned, RunStarted
from safelight.protocol.events import AnyEvent
from safelight.protocol.records import ENDED, WAITING, NodeState, QueueInfo, Run
from safelight.sdk.problem import Problem

Place = tuple[bool, int, float, int]

_FRESH = 0.2
_FORESEEN = 1_000
_TURNS = 1_000
"""Nodes of turns of which a running run knows the state."""
_UNKNOWN: tuple[float, dict[str, float], float | None] = (float("-inf"), {}, None)


@dataclass
class Active:
    """A run that a worker has. `begun` is when each of its nodes started, by the clock of `time.monotonic`."""

    attempt: int
    worker: str
    nodes: dict[str, NodeState] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    turns: dict[str, None] = field(default_factory=dict)
    """The nodes of turns, of which the last ones are kept."""
    ran: set[str] = field(default_factory=set)
    """The nodes that some worker has computed in this attempt."""
    warnings: list[Problem] = field(default_factory=list)
    """What nodes have warned of, whichever worker computed them."""

    def follow(self, event: AnyEvent) -> None:
        """Keeps the states of the nodes by the run's events."""
        if isinstance(event, RunStarted):
            self.nodes.clear()
            self.turns.clear()
            self.nodes.update((name, NodeState()) for name in event.nodes)
            return
        node = getattr(event, "node", None)
        if node is None:
            return
        if node not in self.nodes:
            self._turn(node)
        state = self.nodes.setdefault(node, NodeState())
        if isinstance(event, NodeStarted):
            state.status = "running"
            self.begun[node] = time.monotonic()
        elif isinstance(event, NodeProgress):
            state.status, state.step, state.total = "running", event.step, event.total
            state.curve = event.curve or state.curve
        elif isinstance(event, NodeFinished):
            if not event.cached:
                self.ran.add(node)
            state.status, state.seconds = "cached" if event.cached else "ran", event.seconds
            state.values, state.files = event.values, event.files
        elif isinstance(event, NodeWarned):
            self.warnings.append(event.problem)
        elif isinstance(event, NodeSkipped):
            state.status = "skipped"
        elif isinstance(event, NodeFailed):
            state.status = "failed"

    def progress(self) -> float | None:
        """0 to 1: nodes that are over, and the part of those that run."""
        states = [state for name, state in self.nodes.items() if name not in self.turns]
        if not states:
            return None
        over = sum(state.status not in ("waiting", "running") for state in states)
        part = sum(state.step / state.total for state in states if state.status == "running" and state.total)
        return round(min(1.0, (over + part) / len(states)), 4)

    def _turn(self, node: str) -> None:
        """A node that the run did not name when it began is one of a turn."""
        self.turns[node] = None
        while len(self.turns) > _TURNS:
            first = next(iter(self.turns))
            for known in (self.turns, self.nodes, self.begun):
                known.pop(first, None)

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
        self._waiting: list[tuple[Place, str]] = []
        self._running: dict[str, None] = {}
        self._paused: dict[str, None] = {}
        self._estimates = (0, 0.0)
        self._active: dict[str, Active] = {}
        self._lefts = _UNKNOWN

    def fill(self, runs: Iterable[Run]) -> None:
        for run in runs:
            self.changed(run)

    def changed(self, run: Run) -> None:
        """A run as it is now: kept until it has ended."""
        self.removed(run.id)
        if run.status in ENDED:
            return
        self._runs[run.id] = run
        if run.status in WAITING:
            insort(self._waiting, (_place(run), run.id))
            self._estimated(run, 1)
        elif run.status == "running":
            self._running[run.id] = None
        else:
            self._paused[run.id] = None

    def get(self, run: str) -> Run | None:
        """A run that has not ended, as it was last told."""
        return self._runs.get(run)

    def removed(self, run: str) -> None:
        self._lefts = _UNKNOWN
        old = self._runs.pop(run, None)
        if old is None:
            return
        self._running.pop(run, None)
        self._paused.pop(run, None)
        if old.status in WAITING:
            del self._waiting[bisect_left(self._waiting, (_place(old), run))]
            self._estimated(old, -1)

    def _estimated(self, run: Run, sign: int) -> None:
        if run.estimate is not None:
            count, seconds = self._estimates
            self._estimates = count + sign, seconds + sign * run.estimate

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
        return bool(self._waiting)

    def count(self, wanted: Callable[[Run], bool]) -> int:
        """How many of the runs that wait or run are wanted."""
        return sum(run.status != "paused" and wanted(run) for run in self._runs.values())

    def nodes(self) -> dict[str, dict[str, NodeState]]:
        return {run: active.nodes for run, active in self._active.items()}

    def first(self, limit: int) -> list[Run]:
        """The first runs as they are now: those that run, then those that wait in their order, then paused ones."""
        lefts = self.lefts()
        waiting = (name for _, name in islice(self._waiting, limit))
        names = islice(chain(self._running, waiting, self._paused), limit)
        return [self._current(self._runs[name], lefts) for name in names]

    def standing(self, limit: int) -> tuple[list[Run], list[Run], list[Run]]:
        """What runs, what waits in its order with its position, and what is paused, as it is now: at most `limit` runs
        of each."""
        lefts = self.lefts()
        waiting = (name for _, name in self._waiting)
        parts = [islice(part, limit) for part in (self._running, waiting, self._paused)]
        running, waits, paused = ([self._current(self._runs[name], lefts) for name in part] for part in parts)
        for place, run in enumerate(waits):
            run.position = place
        return running, waits, paused

    def _current(self, run: Run, lefts: dict[str, float]) -> Run:
        """A run with its progress and the time that is left."""
        active = self._active.get(run.id)
        progress = active.progress() if active is not None else None
        return msgspec.structs.replace(run, progress=progress, left=lefts.get(run.id))

    def queue(self, *, paused: bool) -> QueueInfo:
        self.lefts()
        return QueueInfo(paused=paused, waiting=len(self._waiting), running=len(self._running), seconds=self._lefts[2])

    def lefts(self) -> dict[str, float]:
        """Seconds until the end of each run that runs or waits (of the first thousand), by past runs; those that
        nothing is known of are left out.

        Waiting ones are given in thought to the worker that is free first, as the queue will do.
        """
        now = time.monotonic()
        if now - self._lefts[0] > _FRESH:
            self._lefts = now, *self._expected()
        return self._lefts[1]

    def _expected(self) -> tuple[dict[str, float], float | None]:
        """What is left of each run, and of all of them; None when that cannot be told."""
        lefts: dict[str, float] = {}
        free: list[float] = []
        unknown = False
        for name in self._running:
            left = self._left(self._runs[name])
            unknown = unknown or left is None
            free.append(left or 0.0)
            if left is not None:
                lefts[name] = left
        free += [0.0] * (self._workers() - len(free))
        count, seconds = self._estimates
        if self._waiting and not count:
            return lefts, None
        usual = seconds / count if count else 0.0
        heapq.heapify(free)
        for _, name in islice(self._waiting, _FORESEEN):
            estimate = self._runs[name].estimate
            end = heapq.heappop(free) + (usual if estimate is None else estimate)
            heapq.heappush(free, end)
            lefts[name] = round(end, 2)
        beyond = max(0, len(self._waiting) - _FORESEEN) * usual / max(1, len(free))
        return lefts, None if unknown else round(max(free, default=0.0) + beyond, 2)

    def _left(self, run: Run) -> float | None:
        active = self._active.get(run.id)
        least = active.least_left() if active is not None else 0.0
        if run.estimate is None and not least:
            return None
        spent = time.time() - (run.started or time.time())
        return round(max(least, (run.estimate or 0.0) - spent, 0.0), 2)


def _place(run: Run) -> Place:
    return run.status != "interrupted", -run.priority, run.rank, int(run.id[1:])
