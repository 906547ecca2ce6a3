"""Which values in memory were needed by one turn of a call only, and can go again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

PASSING_BYTES = 64 << 20


class Passing:
    """Values by the turn that used them last, oldest first. Not thread-safe: whoever owns it holds a lock.

    The turns of a loop go through memory like a scan, which would push out all that is used again. So what a single
    turn has touched is let go of after the next, but for some bytes; what a second turn touches is no part of this any
    more. The idea of a probationary segment is that of R. Karedla, J. S. Love and B. G. Wherry, "Caching Strategies to
    Improve Disk System Performance", IEEE Computer 27(3), 1994.
    """

    def __init__(self, limit: int = PASSING_BYTES) -> None:
        """`limit`: bytes of turns before the last one that stay."""
        self._limit = limit
        self._turns: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._shared: set[str] = set()
        self._bytes = 0
        self._turn = 0

    def turn(self, touched: Iterable[tuple[str, int]]) -> list[str]:
        """A turn is over that has touched these values, each with its bytes. Returns what may go now."""
        self._turn += 1
        for key, size in touched:
            if key in self._shared:
                continue
            if key in self._turns:
                if self._turns[key][0] != self._turn:
                    self.forget(key)
                    self._shared.add(key)
                continue
            self._turns[key] = (self._turn, size)
            self._bytes += size
        going: list[str] = []
        while self._bytes > self._limit:
            key, (turn, _) = next(iter(self._turns.items()))
            if turn == self._turn:
                break
            self.forget(key)
            going.append(key)
        return going

    def forget(self, key: str) -> None:
        """A value is not in memory any more, or used in other ways."""
        self._shared.discard(key)
        _, size = self._turns.pop(key, (0, 0))
        self._bytes -= size

    def clear(self) -> None:
        self._turns.clear()
        self._shared.clear()
        self._bytes = 0
