"""Components in memory, and which of them goes when room is needed. Knows nothing of torch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Entry:
    """A component in memory.

    `near` says that it lies on the device that computes, rather than in main memory waiting for its turn; where the CPU
    computes, all do. One that comes to the device in pieces takes at most `window` bytes there, while it is used; the
    rest of it waits in main memory. `users` are the leases that hold it, `thread` is the one that took it first,
    `state` what was laid onto it for them.
    """

    key: Hashable
    value: Any
    bytes: int
    near: bool = True
    window: int = 0
    users: int = 0
    used: int = 0
    thread: int = 0
    state: Any = None
    extras: dict[Hashable, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Bytes with all that is attached (`extras`, bytes by name)."""
        return self.bytes + sum(self.extras.values())


class Shelf:
    """All entries, least recently used first. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._clock = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries, key=lambda entry: entry.used))

    def of(self, key: Hashable) -> list[Entry]:
        return [entry for entry in self._entries if entry.key == key]

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self.touch(entry)

    def remove(self, entry: Entry) -> None:
        self._entries.remove(entry)

    def touch(self, entry: Entry) -> None:
        self._clock += 1
        entry.used = self._clock

    def bytes(self, near: bool) -> int:
        """Bytes on the device (`near`) or waiting beside it."""
        found = sum(entry.total for entry in self._entries if entry.near == near)
        return found + (sum(entry.window for entry in self._entries if entry.users) if near else 0)

    def make_room(self, near: bool, fits: Callable[[], bool], let_go: Callable[[Entry], None]) -> bool:
        """Calls `let_go` on one place's idle entries, least recently used first, until it fits; returns if so."""
        for entry in self:
            if fits():
                return True
            if not entry.users and entry.near == near:
                let_go(entry)
        return fits()
