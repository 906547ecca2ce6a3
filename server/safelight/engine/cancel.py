"""The wish that a run stop."""

from __future__ import annotations

import threading

from safelight.sdk.problem import Cancelled


class Cancel:
    """Asks a run to stop. May be set from any thread, or from a signal handler."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        if self._event.is_set():
            raise Cancelled
