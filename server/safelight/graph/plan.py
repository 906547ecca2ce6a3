"""What a run will do, told before it is done.

`plan` walks the graph twice, once forward to learn which results are already known and once backward to learn which
of the rest are needed. It touches no files and runs no nodes; what it knows of caches it asks of a `Memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.widgets import AnyWidget

from .pause import no_collection
from .structure import Graph, GraphNode, Wire

Status = Literal["cached", "run", "unknown", "off", "unneeded"]
_UNKNOWN = object()


class Known(Protocol):
    """A remembered result: the digest of each output, or, of a choice not finished, the input it asked for."""

    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def demands(self) -> str | None: ...


class Memory(Protocol):
    """What a plan asks of the caches."""

    def lookup(self, key: str, /) -> Known | None: ...
    def available(self, node: GraphNode, known: Known) -> bool:
        """Whether the values themselves can be had, not only their digests."""
        ...

    def digest(self, value: Any, /) -> str: ...
    def scalar(self, ref: Any) -> Any:
        """A small plain value by reference; raises LookupError for anything else."""
        ...

    def value(self, ref: Any) -> Any:
        """A value of any size by reference; raises LookupError when it is gone."""
        ...

    def fingerprint(self, widget: AnyWidget, value: str) -> str:
        """The state of the files or models that a value names; empty where it names none.

        Raises ProblemError when one is missing.
        """
        ...

    def last_seconds(self, node_type: str, /) -> float | None: ...


class PlannedNode(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of one node. `seconds` is what it took last time, where that is known.

    `run` holds unless an input turns out to be unchanged; `unknown` nodes lie below a choice not yet made.
    """

    status: Status
    seconds: float | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole prediction. `seconds` adds up what is expected of the nodes that will run."""

    nodes: dict[str, PlannedNode]
    seconds: float
    problems: tuple[Problem, ...] = ()


def eager(node: GraphNode) -> list[tuple[str, Wire]]:
    """The inputs that a node always needs, in the order of its declaration."""
    lazy = node.kind.lazy
    if not lazy:
        return list(node.wires.items())
    return [(port, wire) for port, wire in node.wires.items() if port not in lazy]


def given(wire: Wire) -> bool:
    """Whether an input has a value: over a link, or typed in."""
    return bool(wire.sources) or wire.value is not None


class Choice(msgspec.Struct, frozen=True):
    """The lazy inputs that a choice node asks for. They are all of them where it is `whole`; else more may follow."""

    ports: frozenset[str]
    whole: bool


Choose = Callable[[GraphNode, dict[str, Any]], Choice]
"""Asks a choice node, given its eager inputs by name, which lazy inputs it will want."""


Light = Callable[[GraphNode, dict[str, list[Any]]], Mapping[str, Any] | None]
"""Calls a light node, given what its links bring by port; its outputs by port, or None where it may not or fails."""


class Foreseen(NamedTuple):
    """An output of a light node that has not run yet: in the place of a reference to a remembered value."""

    digest: str
    value: Any


class Keys:
    """Makes the keys of nodes: digests over type, version, inputs, files and what else changes bits."""

    def __init__(self, memory: Memory, numerics: str) -> None:
        self._memory = memory
        self._numerics = numerics
        self._literals: dict[tuple[type, Any], str] = {}

    def key(self, node: GraphNode, digests: Mapping[str, str]) -> str:
        """The key of a node whose eager inputs have these digests."""
        spec = node.kind.spec
        parts = [spec.id, str(spec.version), self._numerics, node.kind.code]
        if node.kind.lazy:
            # Which of them are connected is known to the node before it asks for any.
            parts.append(
                "lazy " + " ".join(port for port in node.wires if port in node.kind.lazy and given(node.wires[port]))
            )
        parts += [f"{port}={digest}" for port, digest in digests.items()]
        return hash_text("\n".join(parts))

    def lifted(self, node: GraphNode, digests: Mapping[str, str]) -> str:
        """The key of a node that runs once an element: how deep its lists go is part of it.

        The digest of an empty list is one for all depths, and a list may be taken as one value or element by element.
        """
        depths = ",".join(f"{port}:{wire.depth}" for port, wire in node.wires.items() if wire.depth)
        return hash_text(f"each\n{depths}\n{self.key(node, digests)}") if depths else self.key(node, digests)

    def element_wire(self, node: GraphNode, port: str, wire: Wire, value: Any) -> str:
        """The digest of an input for one element of a list: what the element alone, linked, would give."""
        digest = self._memory.digest(value)
        return (f"float:{digest}" if wire.widen else digest) + self._named(node.kind.ports[port].widget, value)

    def choice(self, key: str, port: str, digest: str) -> str:
        """The key of a choice that has seen one more of its lazy inputs."""
        return hash_text(f"{key}\n{port}={digest}")

    def wire(self, node: GraphNode, port: str, wire: Wire, refs: list[Any], values: Callable[[], list[Any]]) -> str:
        """The digest of an input: of what was typed in, or of what the links bring, files and models included.

        `values` gives what the links bring; it is called only where that may name files.
        """
        if not wire.sources:
            digest = self.literal(wire.value)
        elif wire.collect:
            # Whether a link brings a list to be taken apart shows in no digest where the list is empty.
            how = ["collect" + (" float" if wire.widen else "")]
            how += [f"{ref.digest} {spread}" for ref, spread in zip(refs, wire.spread, strict=True)]
            digest = hash_text("\n".join(how))
        else:
            digest = f"float:{refs[0].digest}" if wire.widen else refs[0].digest
        widget = node.kind.ports[port].widget
        if widget is not None and widget.names_files:
            digest += self._named(widget, values() if wire.sources else wire.value)
        return digest

    def _named(self, widget: AnyWidget | None, value: Any) -> str:
        """What the files and models that a value names add to its digest; those of a list, one after the other."""
        if widget is None or not widget.names_files:
            return ""
        if isinstance(value, list | tuple):
            return "".join(self._named(widget, element) for element in value)
        state = self._memory.fingerprint(widget, value) if isinstance(value, str) else ""
        return state and f"@{state}"

    def literal(self, value: Any) -> str:
        if isinstance(value, float) and not value:  # 0.0 and -0.0 are equal, and are not the same
            return self._memory.digest(value)
        try:
            known = self._literals.get((type(value), value))
        except TypeError:  # lists do not hash
            return self._memory.digest(value)
        if known is None:
            known = self._literals[type(value), value] = self._memory.digest(value)
        return known


def plan(
    graph: Graph,
    memory: Memory,
    numerics: str = "",
    *,
    force: frozenset[str] = frozenset(),
    choose: Choose | None = None,
    light: Light | None = None,
) -> Plan:
    """Predicts a run.

    Args:
        graph: a checked graph.
        memory: the caches.
        numerics: what else changes bits: device, precision, versions.
        force: ids of nodes that are to run even if their result is known.
        choose: see `Choose`.
        light: see `Light`.
    """
    with no_collection():
        return Survey(graph, memory, Keys(memory, numerics), force, choose, light).plan()


class Survey:
    """What of a graph is known before a run: the keys, the remembered results, and which of these a run will need."""

    def __init__(
        self,
        graph: Graph,
        memory: Memory,
        keys: Keys,
        force: frozenset[str] = frozenset(),
        choose: Choose | None = None,
        light: Light | None = None,
    ) -> None:
        self._graph = graph
        self._memory = memory
        self._keys = keys
        self._force = force
        self._choose = choose
        self._light = light
        self._foreseen: dict[int, dict[str, Foreseen]] = {}
        self._chosen: dict[int, Choice] = {}
        self._problems: list[Problem] = []
        self.known: list[Known | None] = [None] * len(graph.nodes)
        """The remembered result of each node, where all that goes into it is known."""
        self.keys: list[str] = [""] * len(graph.nodes)
        """The key of each node without lazy inputs, where all that goes into it is known."""
        self.held: list[int] = []
        """The nodes whose remembered values a run will need, and which are there."""
        for number in graph.order:
            node = graph.nodes[number]
            if not node.off and not node.faults:
                self.known[number] = self._forward(number, node)
        self._statuses = self._backward()

    def plan(self) -> Plan:
        """The survey as a prediction."""
        statuses = self._statuses
        nodes: dict[str, PlannedNode] = {}
        total = 0.0
        for number, node in enumerate(self._graph.nodes):
            status = statuses[number]
            known = self.known[number]
            seconds = known.seconds if known else self._memory.last_seconds(node.kind.spec.id)
            total += (seconds or 0.0) if status == "run" else 0.0
            nodes[node.id] = PlannedNode(status=status, seconds=seconds)
        return Plan(nodes=nodes, seconds=total, problems=tuple(self._problems))

    def _forward(self, number: int, node: GraphNode) -> Known | None:
        """The remembered result of a node, if all that goes into it is known."""
        digests: dict[str, str] = {}
        port = None
        try:
            for port, wire in eager(node):
                refs = self._refs(wire)
                if refs is None:
                    return None
                digests[port] = self._wire(node, port, refs)
        except ProblemError as error:
            self._problems += [problem.at(node.id, port) for problem in error.problems]
            return None
        except LookupError:
            return None
        if not node.kind.spec.cache or node.id in self._force:
            return None
        key = self._keys.lifted(node, digests)
        known = self._memory.lookup(key)
        if node.kind.lazy:
            return self._follow(number, node, key, known)
        self.keys[number] = key
        if known is None and node.kind.light and self._light is not None and not node.lift:
            self._foresee(number, node, self._light)
        return known

    def _foresee(self, number: int, node: GraphNode, light: Light) -> None:
        """Learns what a light node will give, so that what its change does not touch is known to stay."""
        try:
            given = {port: [self._value(ref) for ref in self._refs(wire) or []] for port, wire in eager(node)}
        except LookupError:
            return
        outputs = light(node, given)
        if outputs is not None:
            self._foreseen[number] = {
                port: Foreseen(self._memory.digest(value), value) for port, value in outputs.items()
            }

    def _value(self, ref: Any) -> Any:
        return ref.value if isinstance(ref, Foreseen) else self._memory.value(ref)

    def _wire(self, node: GraphNode, port: str, refs: list[Any]) -> str:
        return self._keys.wire(node, port, node.wires[port], refs, lambda: [self._value(ref) for ref in refs])

    def _refs(self, wire: Wire) -> list[Any] | None:
        refs: list[Any] = []
        for source, output in wire.sources:
            known = self.known[source]
            outputs = self._foreseen.get(source) if known is None else known.outputs
            if outputs is None:
                return None
            refs.append(outputs[output])
        return refs

    def _follow(self, number: int, node: GraphNode, key: str, known: Known | None) -> Known | None:
        """Goes along the inputs that a choice asked for when it was last made, as far as it is remembered."""
        asked: list[str] = []
        while known is not None and known.demands is not None:
            port = known.demands
            asked.append(port)
            refs = self._refs(node.wires[port])
            if refs is None:
                known = None
                break
            key = self._keys.choice(key, port, self._wire(node, port, refs))
            known = self._memory.lookup(key)
        self._chosen[number] = Choice(frozenset(asked), whole=True) if known is not None else self._ask(node, asked)
        return known

    def _ask(self, node: GraphNode, asked: list[str]) -> Choice:
        """What a choice will ask for, as far as it can say now; what it asked for earlier is among it."""
        unsure = Choice(frozenset(asked), whole=False)
        if self._choose is None or node.lift:
            return unsure
        values: dict[str, Any] = {}
        for port, wire in eager(node):
            refs = self._refs(wire)
            try:
                values[port] = wire.value if not wire.sources else self._scalar((refs or [])[0])
            except (LookupError, IndexError):
                return unsure
        found = self._choose(node, values)
        return Choice(found.ports | unsure.ports, found.whole)

    def _scalar(self, ref: Any) -> Any:
        if isinstance(ref, Foreseen):
            raise LookupError(ref.digest)
        return self._memory.scalar(ref)

    def _backward(self) -> list[Status]:
        graph = self._graph
        status: list[Status] = ["unneeded"] * len(graph.nodes)
        wanted = set(graph.targets)
        values = set(graph.targets)
        keyed: set[int] = set()
        for number in reversed(graph.order):
            node = graph.nodes[number]
            if node.off:
                status[number] = "off"
                continue
            known = self.known[number]
            if number not in wanted and known is not None and number in keyed:
                keyed |= self._sources_of_key(number, node)
            if number not in wanted and not (known is None and number in keyed):
                continue
            if known is not None and (number not in values or self._memory.available(node, known)):
                status[number] = "cached"
                if number in values:
                    self.held.append(number)
                keyed |= self._sources_of_key(number, node)
                continue
            if status[number] != "unknown":
                status[number] = "run"
            if node.faults:
                continue
            for port, wire in node.wires.items():
                sources = {source for source, _ in wire.sources}
                lazy = port in node.kind.lazy
                chosen = self._chosen.get(number)
                sure = not lazy or (chosen is not None and port in chosen.ports)
                if not sure and chosen is not None and chosen.whole:
                    continue
                if not sure or status[number] == "unknown":
                    for source in sources - wanted:
                        status[source] = "unknown"
                elif status[number] == "run":
                    for source in sources:
                        status[source] = "run"
                wanted |= sources
                values |= sources
        self._mark_upstream(status, wanted)
        return status

    def _sources_of_key(self, number: int, node: GraphNode) -> set[int]:
        """What a cached node is looked up by: where that was foreseen, it has to run first."""
        if not self._foreseen:
            return set()
        chosen = self._chosen.get(number)
        ports = set(node.wires) - node.kind.lazy | (chosen.ports if chosen else set())
        return {source for port in ports for source, _ in node.wires[port].sources}

    def _mark_upstream(self, status: list[Status], wanted: set[int]) -> None:
        """What lies above a cached node is not needed now, but shown as cached where it is: nothing of it runs."""
        above = {number for number in wanted if status[number] == "cached"}
        for number in reversed(self._graph.order):
            if number in above:
                for wire in self._graph.nodes[number].wires.values():
                    above |= {source for source, _ in wire.sources}
                if status[number] == "unneeded" and self.known[number] is not None:
                    status[number] = "cached"
