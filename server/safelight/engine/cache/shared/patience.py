"""How long a run waits for the bucket: never longer than is set, however the bucket behaves."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

WINDOW = 30.0
"""Seconds over which waits in vain are added up."""


class Patience:
    """Two bounds on waiting. May be used from any thread.

    A bucket that gives no answer is left alone for a while. One that answers, but has nothing, or is slow about it,
    costs `wait` seconds in `WINDOW` at most: then it is not asked for what it might have until that is over.
    """

    def __init__(self, wait: float, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._wait = wait
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._vain: deque[tuple[float, float]] = deque()
        self._away_until = -1.0

    @property
    def away(self) -> bool:
        """Whether the bucket has lately given no answer."""
        return self._clock() < self._away_until

    def left(self) -> float:
        """Seconds that the next question may wait; 0 where none is to be asked."""
        now = self._clock()
        with self._lock:
            while self._vain and self._vain[0][0] < now - WINDOW:
                self._vain.popleft()
            if now < self._away_until:
                return 0.0
            left = self._wait - sum(seconds for _, seconds in self._vain)
            # A question that may hardly wait would take a bucket that is merely slow for one that is away.
            return left if left >= self._wait / 4 else 0.0

    def in_vain(self, seconds: float) -> None:
        """An answer came, and it was no."""
        with self._lock:
            self._vain.append((self._clock(), seconds))

    def failed(self, seconds: float) -> None:
        """No answer came."""
        self.in_vain(seconds)
        with self._lock:
            self._away_until = self._clock() + self._rest

    def answered(self) -> None:
        """It is there."""
        with self._lock:
            self._away_until = -1.0
