"""How a frame goes on: from the targets backwards, with what another run computes just now left for later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from .cancel import Cancel
from .flights import Flights

Goal = tuple[int, bool]
"""A node by its number, and whether its values are wanted; else what is known of them is enough."""


class Pulled(Protocol):
    """What is pulled."""

    def satisfied(self, number: int, values: bool) -> bool:
        """Whether a goal is reached, or can never be."""
        ...

    def advance(self, number: int) -> list[Goal]:
        """One step towards the result of a node. Returns what must be had first; nothing when a step was made."""
        ...


class Pulling:
    """Reaches goals one after the other. An explicit stack takes the place of recursion."""

    def __init__(self, flights: Flights, cancel: Cancel) -> None:
        self._flights = flights
        self._cancel = cancel
        self._aloft: dict[int, str | None] = {}

    def leave(self, number: int, key: str | None = None) -> None:
        """A node is not to be had for now: another run computes it by this key; without a key, nobody may here."""
        self._aloft[number] = key

    def to(self, pulled: Pulled, goals: Iterable[Goal], through: Callable[[int], None] = lambda _: None) -> None:
        """Reaches all goals that can be reached, and calls `through` with the node of each.

        Raises:
            Cancelled: the run was cancelled.
        """
        left = list(goals)
        while left:
            later: list[Goal] = []
            for number, values in left:
                if self._reach(pulled, number, values):
                    through(number)
                else:
                    later.append((number, values))
            left = later
            if left:
                keys = [key for key in self._aloft.values() if key is not None]
                if not keys:
                    return
                self._flights.wait(keys, self._cancel)
                self._aloft.clear()

    def _reach(self, pulled: Pulled, target: int, values: bool) -> bool:
        """False when it needs what is left for later."""
        stack: list[Goal] = [(target, values)]
        while stack:
            self._cancel.check()
            number, values = stack[-1]
            if pulled.satisfied(number, values):
                stack.pop()
                continue
            needs = pulled.advance(number) if number not in self._aloft else []
            free = [need for need in needs if need[0] not in self._aloft]
            if needs and not free:
                self.leave(number)
            if number in self._aloft:
                stack.pop()
            else:
                stack += free
        return target not in self._aloft
