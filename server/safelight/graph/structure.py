"""A graph ready to be planned and run: what `check` makes of a sound document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from safelight.sdk.node import NodeType
from safelight.sdk.problem import Problem, ProblemError, did_you_mean
from safelight.sdk.types import PortType

from .expand import Source


@dataclass(slots=True)
class Wire:
    """How an input gets its value: typed in (`sources` empty), or over links.

    `depth` is how many lists the source has too many: the node then runs once per element. `collect` says that the
    input is a list put together from one or more links, `spread` which of them bring lists of their own; `widen`
    that whole numbers become floats.
    """

    value: Any = None
    sources: tuple[Source, ...] = ()
    spread: tuple[bool, ...] = ()
    depth: int = 0
    collect: bool = False
    widen: bool = False


@dataclass(slots=True)
class GraphNode:
    """A node ready to run: its type, and a wire for every input. `lift` lists are wrapped around its outputs.

    One with `faults` fails when it is reached: it lies on a branch that may not be chosen.
    """

    id: str
    kind: NodeType
    wires: dict[str, Wire]
    lift: int = 0
    off: bool = False
    types: dict[str, PortType] = field(default_factory=dict)
    faults: tuple[Problem, ...] = ()


@dataclass
class Graph:
    """A sound graph: nodes, an order in which sources come before what needs them, outputs and targets by number."""

    nodes: list[GraphNode]
    index: dict[str, int]
    order: list[int]
    outputs: dict[str, Source]
    targets: list[int]

    def needed(self, choose: Callable[[GraphNode], frozenset[str] | None]) -> set[int]:
        """The nodes that the targets cannot do without; `choose` says which lazy inputs a node asks for, if known."""
        seen, todo = set(self.targets), list(self.targets)
        while todo:
            node = self.nodes[todo.pop()]
            ports = choose(node) if node.kind.lazy else None
            for port, wire in node.wires.items():
                if port in node.kind.lazy and (ports is None or port not in ports):
                    continue
                for source, _ in wire.sources:
                    if source not in seen:
                        seen.add(source)
                        todo.append(source)
        return seen

    def must_have(self, names: Iterable[str]) -> None:
        """Raises ProblemError, `unknown_node`, for each name that no node has."""
        unknown = [name for name in names if name not in self.index]
        if unknown:
            raise ProblemError(unknown_node(name, self.index) for name in unknown)


def unknown_node(name: str, known: Iterable[str]) -> Problem:
    """Somebody asked for a node that is not there."""
    hint = did_you_mean(name, known) or "Name a node of the workflow."
    return Problem(code="unknown_node", message=f"The workflow has no node {name!r}.", hint=hint, value=name)
