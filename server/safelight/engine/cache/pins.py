"""Entries that must not be evicted while a run of this process needs them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from .refs import BLOB_MARK, ValueRef


class Pins:
    """How many runs need each entry. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, keys: Iterable[str]) -> None:
        with self._lock:
            self._counts.update(keys)

    def remove(self, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                self._counts[key] -= 1
                if self._counts[key] <= 0:
                    del self._counts[key]


class Holding:
    """What one run needs to stay."""

    def __init__(self, pins: Pins, pin: Callable[[str], list[str] | None]) -> None:
        self._pins = pins
        self._pin = pin
        self._keys: list[str] = []

    def value(self, ref: ValueRef) -> bool:
        """Whether a value is there with all that it is made of; if so it stays."""
        return self._add(ref.digest)

    def bytes(self, digest: str) -> bool:
        """Whether finished bytes are there; if so they stay."""
        return self._add(BLOB_MARK + digest)

    def close(self) -> None:
        self._pins.remove(self._keys)
        self._keys = []

    def _add(self, key: str) -> bool:
        pinned = self._pin(key)
        self._keys += pinned or ()
        return pinned is not None
