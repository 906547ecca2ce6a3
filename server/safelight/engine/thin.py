"""Events of turns, thinned out: a thousand turns of a few milliseconds each must not flood those who look."""

from __future__ import annotations

import time
from collections.abc import Callable

from safelight.protocol.events import Event, NodeFailed, NodeFinished, NodeProgress, NodeSkipped, NodeStarted

BURST = 200
"""Nodes that are told of at once."""
PER_SECOND = 50
"""Nodes that are told of from then on, each second."""


class Thin:
    """Lets pass what is rare or slow, and of fast turns a part. Whoever was told of a start is told of the end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._at = clock()
        self._open: set[str] = set()

    def passes(self, event: Event) -> bool:
        """Failures, warnings and files always pass."""
        if isinstance(event, NodeStarted | NodeProgress):
            told = event.node in self._open or self._take()
            if told:
                self._open.add(event.node)
            return told
        if isinstance(event, NodeFinished):
            told = event.node in self._open or bool(event.files) or self._take()
        else:
            told = not isinstance(event, NodeSkipped) or self._take()
        if isinstance(event, NodeFinished | NodeFailed):
            self._open.discard(event.node)
        return told

    def _take(self) -> bool:
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
