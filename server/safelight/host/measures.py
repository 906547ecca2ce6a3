"""How long runs, nodes and waiting took since the server was started: what `/metrics` has histograms of.

Lives on the event loop alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from functools import partial

from safelight.protocol.events import without_turns
from safelight.protocol.records import Run

from .workers import Ended

_LONG = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0)
_SHORT = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_TYPES = 500
"""Types of nodes that have a histogram of their own; further ones share one."""


class Histogram:
    """Counts of what is at most so much. `bounds` are in seconds, in order."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> Iterator[tuple[str, float]]:
        """Upper bounds as text, and how many were at most that."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            yield ("+Inf" if bound == float("inf") else repr(bound)), float(total)


class Measures:
    """`runs` by status, `nodes` that ran by type, `waits` from acceptance to the first start; `ends` counts nodes by
    what became of them."""

    def __init__(self) -> None:
        self.waits = Histogram(_LONG)
        self.runs: defaultdict[str, Histogram] = defaultdict(partial(Histogram, _LONG))
        self.nodes: defaultdict[str, Histogram] = defaultdict(partial(Histogram, _SHORT))
        self.ends: Counter[str] = Counter()

    def began(self, run: Run) -> None:
        """A run was given to a worker."""
        if run.attempts == 1 and run.started is not None:
            self.waits.add(max(0.0, run.started - run.created))

    def ended(self, run: Run) -> None:
        """A run has come to its end, for good."""
        self.runs[run.status].add(run.seconds or 0.0)

    def worked(self, ended: Ended, ran: Collection[str]) -> None:
        """A worker has told what became of the nodes of a run; `ran` are those that some worker has computed."""
        for name, report in ended.nodes.items():
            status = "ran" if name in ran else report.status
            self.ends[status] += 1
            if status == "ran":
                kind = ended.types.get(name) or ended.types.get(without_turns(name), "other")
                known = kind in self.nodes or len(self.nodes) < _TYPES
                self.nodes[kind if known else "other"].add(report.seconds)
