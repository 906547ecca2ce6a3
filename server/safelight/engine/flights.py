"""Runs of one process that need the same result at the same time: one computes it, the others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .cancel import Cancel

_LOOK_SECONDS = 0.05


class Flights:
    """The keys that are being computed now. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._aloft: dict[str, threading.Event] = {}

    @contextmanager
    def of(self, key: str, cancel: Cancel) -> Iterator[bool]:
        """Whether the block is to compute this key. False when another has just done so, or failed: look again.

        Raises:
            Cancelled: the run was cancelled while it waited.
        """
        mine = threading.Event()
        with self._lock:
            other = self._aloft.setdefault(key, mine)
        if other is not mine:
            while not other.wait(_LOOK_SECONDS):
                cancel.check()
            yield False
            return
        try:
            yield True
        finally:
            with self._lock:
                del self._aloft[key]
            mine.set()
