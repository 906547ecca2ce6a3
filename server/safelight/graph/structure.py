"""A graph ready to be planned and run: what `check` makes of a sound document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from safelight.sdk.node import NodeType
from safelight.sdk.problem import Problem, ProblemError, did_you_mean
from safelight.sdk.types import PortType

from .flat import Source
from .repeat import Repeat

PLAIN = frozenset({"int", "float", "str", "bool", "choice"})
"""Types whose values can be read as text."""


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

    One with `faults` fails when it is reached: it lies on a branch that may not be chosen. One with a `body` is a
    call: an instance of a subgraph that is repeated. One that is `given` stands in a body for an input of the call.
    """

    id: str
    kind: NodeType
    wires: dict[str, Wire]
    lift: int = 0
    off: bool = False
    types: dict[str, PortType] = field(default_factory=dict)
    faults: tuple[Problem, ...] = ()
    body: Body | None = None
    given: bool = False

    def gives(self, output: str) -> bool:
        """Whether there is something at an output: not where it is switched off, in the body of a call too."""
        return not self.off and (self.body is None or output in self.types)


@dataclass(slots=True)
class Body:
    """What a call runs in each turn: a graph of its own, whose ids begin inside the instance.

    `params` are the nodes that stand for inputs of the call, `outputs` the sources of those outputs that somebody
    wants. One that `saves` has output nodes inside.
    """

    graph: Graph
    params: dict[str, int]
    outputs: dict[str, Source]
    repeat: Repeat
    saves: bool


@dataclass(eq=False)
class Graph:
    """A sound graph: nodes, an order in which sources come before what needs them, outputs and targets by number."""

    nodes: list[GraphNode]
    index: dict[str, int]
    order: list[int]
    outputs: dict[str, Source]
    targets: list[int]

    def plain_outputs(self) -> list[str]:
        """The outputs of the workflow that are numbers, texts or choices, or lists of them."""
        return [
            name
            for name, (number, port) in self.outputs.items()
            if self.nodes[number].kind.outputs[port].innermost.name in PLAIN
        ]

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

    def within(self, prefix: str) -> Graph:
        """This graph with a prefix before the ids of its nodes, as one turn of a call has it. `index` keeps the short
        ids."""
        nodes = [copy(node) for node in self.nodes]
        for node in nodes:
            node.id = prefix + node.id
        return replace(self, nodes=nodes)

    def everything(self) -> Iterator[tuple[str, Graph]]:
        """This graph and those of all calls in it, each with the path before the ids of its nodes."""
        todo: list[tuple[str, Graph]] = [("", self)]
        for path, graph in todo:  # grows while it is walked
            yield path, graph
            todo += [(f"{path}{name}/", body.graph) for name, body in graph.bodies()]

    def bodies(self) -> Iterator[tuple[str, Body]]:
        """The calls of this graph, by their short ids."""
        for name, number in self.index.items():
            body = self.nodes[number].body
            if body is not None:
                yield name, body

    def trail(self, name: str) -> list[tuple[Graph, int]]:
        """The way to a node, from itself outwards through the calls that it lies in; empty where there is none.

        Names lead into calls, `upscale/blur`, and into their turns, `upscale/3/blur`.
        """
        number = self.index.get(name)
        if number is not None:
            return [(self, number)]
        for end in (place for place, mark in enumerate(name) if mark == "/"):
            number = self.index.get(name[:end])
            body = self.nodes[number].body if number is not None else None
            if number is None or body is None:
                continue
            rest = name[end + 1 :]
            turn, _, inner = rest.partition("/")
            found = (body.graph.trail(inner) if turn.isdecimal() else []) or body.graph.trail(rest)
            return [*found, (self, number)] if found else []
        return []

    def origin(self, source: Source) -> str:
        """The name of the node that makes an output: of one inside, where the output is that of a call."""
        graph, (number, port), name = self, source, ""
        while (body := graph.nodes[number].body) is not None:
            name += f"{graph.nodes[number].id}/"
            number, port = body.outputs[port]
            graph = body.graph
        return name + graph.nodes[number].id

    def must_have(self, names: Iterable[str]) -> None:
        """Raises ProblemError, `unknown_node`, for each name that no node has."""
        unknown = [name for name in names if not self.trail(name)]
        if unknown:
            raise ProblemError(unknown_node(name, self.index) for name in unknown)


def unknown_node(name: str, known: Iterable[str]) -> Problem:
    """Somebody asked for a node that is not there."""
    hint = did_you_mean(name, known) or "Name a node of the workflow."
    return Problem(code="unknown_node", message=f"The workflow has no node {name!r}.", hint=hint, value=name)
