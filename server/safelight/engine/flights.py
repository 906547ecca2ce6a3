"""Runs that need the same result at the same time: one computes it, the others do something else or wait for it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from safelight.disk import try_lock

from .cancel import Cancel

LOOK_SECONDS = 0.02
WORTH_SHARING = 0.05
"""Seconds from which on a result is on the disk before others may look for it: what is quicker they make themselves."""


class Flights:
    """The keys that are being computed now, in this process and, where that is asked for, in all processes that use
    `folder`. May be used from any thread.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._aloft: dict[str, threading.Event | None] = {}  # an event where somebody waits
        self._release: dict[str, Callable[[], None]] = {}

    def take_off(self, key: str, *, shared: bool = False) -> bool:
        """Whether the caller is to compute this key, and to call `land` afterwards, come what may.

        False while another does so; with `shared` that may be one in another process. What others have computed is to
        be looked up after this has said yes: they may have landed in between.
        """
        with self._lock:
            if key in self._aloft:
                return False
            self._aloft[key] = None
        if not shared or self._folder is None:
            return True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            release = try_lock(self._folder / key)
        except OSError:
            return True  # a disk that fails is no error: the others may compute the same, too
        if release is None:
            self.land(key)
            return False
        self._release[key] = release
        return True

    def land(self, key: str) -> None:
        """The key is computed, or was given up."""
        release = self._release.pop(key, None)
        if release is not None:
            assert self._folder is not None
            with contextlib.suppress(OSError):  # Windows removes no file that is open
                (self._folder / key).unlink()
            release()
        with self._lock:
            landed = self._aloft.pop(key)
        if landed is not None:
            landed.set()

    def wait(self, keys: Collection[str], cancel: Cancel) -> None:
        """Waits until one of these keys may have landed.

        Raises:
            Cancelled: the run was cancelled meanwhile.
        """
        while True:
            cancel.check()
            self._rest(keys)
            if any(self._landed(key) for key in keys):
                break
        cancel.check()

    def _rest(self, keys: Collection[str]) -> None:
        """For a moment, or until the one key of this process has landed."""
        if len(keys) == 1:
            (key,) = keys
            with self._lock:
                if key in self._aloft:
                    landed = self._aloft[key] = self._aloft[key] or threading.Event()
                else:
                    landed = None
            if landed is not None:
                landed.wait(LOOK_SECONDS)
                return
        time.sleep(LOOK_SECONDS)

    def _landed(self, key: str) -> bool:
        with self._lock:
            if key in self._aloft:
                return False
        if self._folder is None or not (self._folder / key).exists():
            return True
        try:
            release = try_lock(self._folder / key)
        except OSError:
            return True
        if release is not None:  # whoever computed it was killed
            release()
        return release is not None
