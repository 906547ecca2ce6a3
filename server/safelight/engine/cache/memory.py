"""The memory tier: live values under a budget of bytes."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any

from .passing import Passing

CHEAPEST = 1e-3
"""Seconds that anything is taken to cost at least, so that free values still differ by size and use."""


def worth(inflation: float, uses: int, seconds: float, size: int) -> float:
    """The priority of an entry; the lowest is evicted first.

    GreedyDual-Size-Frequency: uses x cost / size, plus the priority of the last entry evicted, by which all that is
    not used again grows old. L. Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching
    Policy", HP Laboratories HPL-98-69R1 (1998), after P. Cao and S. Irani, "Cost-Aware WWW Proxy Caching Algorithms",
    USITS 1997. Cost is in seconds, size in bytes.
    """
    return inflation + uses * max(seconds, CHEAPEST) / max(size, 1)


@dataclass(slots=True)
class _Entry:
    value: Any
    size: int
    own: int
    storages: tuple[tuple[int, int], ...]
    seconds: float
    uses: int = 1
    rank: tuple[float, int] = (0.0, 0)
    parts: tuple[str, ...] = field(default=())


class Memory:
    """Not thread-safe: whoever owns it holds a lock.

    What is charged is the storage behind tensors, each storage once: a slice of a batch keeps the whole batch in
    memory, and two slices keep it once.
    """

    def __init__(self, limit: int, pins: Container[str] = ()) -> None:
        """What is in `pins` is not evicted."""
        self.limit = limit
        self._pins = pins
        self.used = 0
        self._entries: dict[str, _Entry] = {}
        self._storages: dict[int, list[int]] = {}
        self._heap: list[tuple[tuple[float, int], str]] = []
        self._ranked = 0
        self._inflation = 0.0
        self._passing = Passing()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def put(
        self,
        key: str,
        value: Any,
        size: int,
        seconds: float,
        tensors: Iterable[Any] = (),
        parts: tuple[str, ...] = (),
    ) -> None:
        """Holds a value, evicting others or, where it is worth least, none but itself.

        `size` is what it takes in bytes; `tensors` are the torch tensors in it, and their bytes are part of `size`.
        """
        known = self._entries.get(key)
        if known is not None:
            known.seconds = max(seconds, known.seconds)
            self._use(key, known)
            return
        tensors = tuple(tensors)
        storages = tuple((found.data_ptr(), found.nbytes()) for found in (item.untyped_storage() for item in tensors))
        own = max(0, size - sum(item.numel() * item.element_size() for item in tensors))
        if own + sum(dict(storages).values()) > self.limit:
            return
        entry = _Entry(value, size, own, storages, seconds, parts=parts)
        self.used += own
        for pointer, count in storages:
            held = self._storages.setdefault(pointer, [count, 0])
            if not held[1]:
                self.used += held[0]
            held[1] += 1
        self._entries[key] = entry
        self._rank(key, entry)
        while self.used > self.limit:
            if not self._evict():
                self.drop(key)  # all the rest is needed by a run
                break

    def get(self, key: str, default: Any = None) -> Any:
        entry = self._entries.get(key)
        if entry is None:
            return default
        self._use(key, entry)
        return entry.value

    def peek(self, key: str, default: Any = None) -> Any:
        """Like `get`, without counting it as a use."""
        entry = self._entries.get(key)
        return default if entry is None else entry.value

    def parts(self, key: str) -> tuple[str, ...]:
        return self._entries[key].parts

    def raise_cost(self, key: str, seconds: float) -> None:
        entry = self._entries.get(key)
        if entry is not None and seconds > entry.seconds:
            entry.seconds = seconds
            self._rank(key, entry)

    def turn(self, keys: Iterable[str]) -> list[str]:
        """A turn of a call is over that has touched these. Returns what turns before it have left behind, and no other
        turn has touched."""
        entries = ((key, self._entries.get(key)) for key in keys)
        return self._passing.turn((key, entry.size) for key, entry in entries if entry is not None)

    def drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._passing.forget(key)
        self.used -= entry.own
        for pointer, _ in entry.storages:
            held = self._storages[pointer]
            held[1] -= 1
            if not held[1]:
                self.used -= held[0]
                del self._storages[pointer]

    def clear(self) -> None:
        self._entries.clear()
        self._storages.clear()
        self._heap.clear()
        self._passing.clear()
        self.used, self._inflation = 0, 0.0

    def _use(self, key: str, entry: _Entry) -> None:
        entry.uses += 1
        self._rank(key, entry)

    def _rank(self, key: str, entry: _Entry) -> None:
        self._ranked += 1
        # Of two that are worth the same, the one goes that was used longer ago.
        entry.rank = (worth(self._inflation, entry.uses, entry.seconds, entry.size), self._ranked)
        heapq.heappush(self._heap, (entry.rank, key))
        # Ranks are never taken out of the heap when they change, only skipped; so it is rebuilt now and then.
        if len(self._heap) > 4 * len(self._entries) + 64:
            self._heap = [(found.rank, name) for name, found in self._entries.items()]
            heapq.heapify(self._heap)

    def _evict(self) -> bool:
        """Lets the entry go that is worth least. False when all are pinned."""
        pinned: list[tuple[tuple[float, int], str]] = []
        gone = None
        while gone is None and self._heap:
            rank, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is None or entry.rank != rank:
                continue
            if key in self._pins:
                pinned.append((rank, key))
            else:
                gone = key
                self._inflation = rank[0]
        for item in pinned:
            heapq.heappush(self._heap, item)
        if gone is not None:
            self.drop(gone)
        return gone is not None
