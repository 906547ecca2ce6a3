"""What a run holds in memory, and how long: each result as long as somebody in the run may still need it.

A node has a claim on its sources until it can do without them for good: because it ran and its own result is held,
because it is over, or because nobody has a claim on it. A result that was computed in a run is held while there is a
claim on it, whatever the budgets of the caches, so no node ever needs to run a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from safelight.graph import Graph


class Claims:
    """The claims of one run: of nodes on their sources, and of the run itself on targets and outputs."""

    def __init__(self, graph: Graph, outputs: Iterable[int], done: Callable[[int], bool]) -> None:
        """`outputs` are the nodes whose values the caller wants. `done` says of a node whether it ran or is over; one
        that is neither keeps its claims while it has users."""
        self._nodes = graph.nodes
        self._done = done
        self._users = [0] * len(graph.nodes)
        self._settled = [False] * len(graph.nodes)
        self._live: dict[int, dict[str, Any]] = {}
        needed = set(graph.targets)
        todo = list(needed)
        while todo:
            for wire in self._nodes[todo.pop()].wires.values():
                for source, _ in wire.sources:
                    self._users[source] += 1
                    if source not in needed:
                        needed.add(source)
                        todo.append(source)
        for number in [*graph.targets, *outputs]:
            self._users[number] += 1

    def live(self, number: int) -> dict[str, Any] | None:
        """The values of a node by port, where they are held."""
        return self._live.get(number)

    def hold(self, number: int, values: dict[str, Any]) -> None:
        """Holds the values of a node while there are claims on it."""
        if self._users[number] > 0:
            self._live[number] = values

    def let_go(self, numbers: Iterable[int]) -> None:
        """Lets go of values that can be had again from the cache."""
        for number in numbers:
            self._live.pop(number, None)

    def clear(self) -> None:
        """Lets go of all values."""
        self._live.clear()

    def leave(self, number: int) -> None:
        """Takes back the claim of the run itself on a target or an output."""
        self._users[number] -= 1
        self.settle(number)

    def settle(self, number: int) -> None:
        """Takes back the claims of a node, if it can do without its sources from now on, and of those behind it."""
        todo = [number]
        while todo:
            at = todo.pop()
            if self._users[at] <= 0:
                self._live.pop(at, None)
            if self._settled[at] or not (self._users[at] <= 0 or self._done(at)):
                continue
            self._settled[at] = True
            for wire in self._nodes[at].wires.values():
                for source, _ in wire.sources:
                    self._users[source] -= 1
                    if self._users[source] <= 0:
                        todo.append(source)
