"""Processes that do one work together, each on a device of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Team(Protocol):
    """What one process of several knows of the others. All of them must call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0. What process 0 returns is the result."""
        ...

    @property
    def count(self) -> int:
        """How many processes there are."""
        ...

    def add_up(self, parameters: Sequence[Tensor], number: float) -> float:
        """Makes the gradient of each parameter the sum of those that all processes have; returns the sum of `number`.

        A parameter must have a gradient in all processes, or in none.
        """
        ...


@dataclass(frozen=True)
class Alone:
    """A process that works by itself."""

    rank: int = 0
    count: int = 1

    def add_up(self, parameters: Sequence[Tensor], number: float) -> float:
        del parameters
        return number


ALONE = Alone()
