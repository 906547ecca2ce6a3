"""Runs of one process that need the same result at the same time: one computes it, the others wait for it."""

from __future__ import annotations

import threading

from .cancel import Cancel

_LOOK_SECONDS = 0.05


class Flights:
    """The keys that are being computed now. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._aloft: dict[str, threading.Event | None] = {}  # an event where somebody waits

    def take_off(self, key: str, cancel: Cancel) -> bool:
        """Whether the caller is to compute this key, and to call `land` afterwards, come what may.

        False when another has just done so, or failed: look again.

        Raises:
            Cancelled: the run was cancelled while it waited.
        """
        with self._lock:
            if key not in self._aloft:
                self._aloft[key] = None
                return True
            landed = self._aloft[key]
            if landed is None:
                landed = self._aloft[key] = threading.Event()
        while not landed.wait(_LOOK_SECONDS):
            cancel.check()
        return False

    def land(self, key: str) -> None:
        """The key is computed, or was given up."""
        with self._lock:
            landed = self._aloft.pop(key)
        if landed is not None:
            landed.set()
