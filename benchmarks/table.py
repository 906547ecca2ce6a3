"""Rows of the table, and how times are taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line: what was measured, the figure, the bar, and whether it was reached."""

    what: str
    measured: str
    bar: str
    reached: bool | None = None

    def __str__(self) -> str:
        mark = {True: "yes", False: "NO", None: ""}[self.reached]
        return f"| {self.what} | {self.measured} | {self.bar} | {mark} |"


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def best(function: Callable[[], object], times: int = 7, timed: Callable[..., float] = seconds) -> float:
    """Seconds of the fastest of several calls after a warm-up: what others do on the machine only ever adds to it."""
    function()
    return min(timed(function) for _ in range(times))


def processor_seconds(function: Callable[[], object]) -> float:
    """The time that all threads of this process spend on a processor: what waits for others does not count."""
    started = time.process_time()
    function()
    return time.process_time() - started


def paired(ours: Callable[[], object], theirs: Callable[[], object], times: int = 5) -> tuple[float, float, float]:
    """Median seconds of both and the median of the ratios, taken in turn (A B, B A, ...) so that drift cancels."""
    ours()
    theirs()
    pairs: list[tuple[float, float]] = []
    for number in range(times):
        if number % 2:
            b, a = seconds(theirs), seconds(ours)
        else:
            a, b = seconds(ours), seconds(theirs)
        pairs.append((a, b))
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio
