"""One level of a graph, a workflow or the body of a subgraph, and what a rule sees of it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import classes
from .graph import OUTSIDE, ForeignGraph, ForeignNode, Wire
from .rules.base import Convert, Lead, Part, Site, Unfit


@dataclass
class Level:
    """`everything` are the classes of the whole workflow, `wanted` the types that this level asks of what surrounds it:
    they come behind its own inputs. `inner` tells a subgraph."""

    graph: ForeignGraph
    everything: Collection[str]
    inner: bool
    wanted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._takers: dict[str, list[tuple[int, str]]] = {}
        for node in self.graph.nodes.values():
            for wire in node.wires.values():
                self._takers.setdefault(wire.node, []).append((wire.slot, node.id))
        self._given = {wire for _, wire in self.graph.outputs if wire is not None}

    def at(self, wire: Wire | None) -> ForeignNode | None:
        """The node that a wire begins at, behind those that are bypassed; None outside, and where it is muted."""
        reached = self.behind(wire)
        return self.graph.nodes.get(reached.node) if reached is not None else None

    def behind(self, wire: Wire | None) -> Wire | None:
        """A wire that begins at a node that is on. A bypassed one hands on the input in the place of the output, if it
        has its type, else the first that has it."""
        seen: set[Wire] = set()
        while wire is not None and wire not in seen:
            seen.add(wire)
            node = self.graph.nodes.get(wire.node)
            if node is None:
                return wire if wire.node == OUTSIDE else None
            if node.mode == "on":
                return wire
            wire = handed_on(node, wire.slot) if node.mode == "bypass" else None
        return None

    def after(self, node: str) -> Iterator[tuple[int, ForeignNode]]:
        """What takes an output of a node: the slot, and who."""
        for slot, taker in self._takers.get(node, ()):
            yield slot, self.graph.nodes[taker]

    def is_given(self, node: str) -> bool:
        """Whether an output of the level itself comes from it."""
        return any(wire.node == node for wire in self._given)

    def gives(self, wire: Wire) -> bool:
        return wire in self._given

    def nearest(self, start: str, kind: str) -> Wire | None:
        """The closest output of a type, along wires in both directions; what surrounds a subgraph is asked last."""
        todo, seen = deque([start]), {start}
        while todo:
            key = todo.popleft()
            node = self.graph.nodes.get(key)
            if node is None:
                continue
            if key != start and node.mode == "on":
                for slot, (_, type) in enumerate(node.outputs):
                    if type == kind:
                        return Wire(key, slot)
            for other in (*(wire.node for wire in node.wires.values()), *(taker.id for _, taker in self.after(key))):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        for slot, (_, type) in enumerate(self.graph.inputs):
            if type == kind:
                return Wire(OUTSIDE, slot)
        for key, node in self.graph.nodes.items():  # in a part that is not wired to this one
            for slot, (_, type) in enumerate(node.outputs):
                if type == kind and node.mode == "on":
                    return Wire(key, slot)
        if not self.inner:
            return None
        if kind not in self.wanted:
            self.wanted.append(kind)
        return Wire(OUTSIDE, len(self.graph.inputs) + self.wanted.index(kind))


def _finite(value: Any) -> Any:
    """The value. Raises ValueError for what no file of ours can hold, such as what "1e999" is as a number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not finite")
    return value


def as_typed(value: Any, kind: str) -> Any:
    """A value as ComfyUI's server takes it for an input of a type: text may stand for a number, a fraction for a whole
    number, which is cut off, and a number for true or false. What cannot be read so stays as it is."""
    try:
        if kind == "INT" and isinstance(value, str | float):
            return int(value)
        if kind == "FLOAT" and isinstance(value, str):
            return _finite(float(value))
    except (ValueError, OverflowError):
        return value
    return bool(value) if kind == "BOOLEAN" and isinstance(value, int | float) else value


def handed_on(node: ForeignNode, slot: int) -> Wire | None:
    """What a bypassed node hands on in the place of an output."""
    wanted = node.outputs[slot][1] if slot < len(node.outputs) else "*"
    names = list(node.types) or list(node.wires)
    if slot < len(names) and (wanted == "*" or node.types.get(names[slot]) == wanted):
        return node.wires.get(names[slot])
    for name in names:
        if node.types.get(name) == wanted and name in node.wires:
            return node.wires[name]
    return None


class At:
    """A node of a level: implements `rules.base.Site`."""

    def __init__(self, level: Level, node: ForeignNode) -> None:
        self._level = level
        self._node = node
        self.said: list[str] = []

    @property
    def node(self) -> ForeignNode:
        return self._node

    def wire(self, name: str) -> Wire | None:
        return self._node.wires.get(name)

    def typed(self, name: str, default: Any = None) -> Any:
        known = classes.find(self._node.type)
        if name in self._node.typed:
            return as_typed(self._node.typed[name], known.type_of(name) if known is not None else "")
        plain = known.default(name) if known is not None else None
        return default if plain is None else plain

    def put(self, part: Part, port: str, name: str, convert: Convert | None = None) -> None:
        wire = self.wire(name)
        value = self.typed(name)
        if value is not None and (wire is None or wire.node == OUTSIDE):
            try:
                part.values[port] = _finite(convert(value) if convert is not None else value)
            except Unfit as unfit:
                if wire is None:
                    self.approximate(f"{name} = {str(value)[:60]!r}: {unfit}")
            except (TypeError, ValueError, OverflowError):
                self.approximate(f"{name} = {str(value)[:60]!r} is not what it should be, and is left out.")
        if wire is not None:
            part.lead(port, Lead(wire, convert))

    def giver(self, wire: Wire | None) -> Site | None:
        node = self._level.at(wire)
        return At(self._level, node) if node is not None else None

    def live(self, wire: Wire | None) -> bool:
        return self._level.behind(wire) is not None

    def kind(self, wire: Wire | None) -> str:
        reached = self._level.behind(wire)
        if reached is None:
            return ""
        node = self._level.graph.nodes.get(reached.node)
        told = self._level.graph.inputs if node is None else node.outputs
        return told[reached.slot][1] if 0 <= reached.slot < len(told) else ""

    def wired(self, wires: Mapping[str, Wire]) -> Site:
        made = At(self._level, replace(self._node, wires=self._node.wires | dict(wires)))
        made.said = self.said
        return made

    def upwards(self, name: str) -> Iterator[Site]:
        seen = {self._node.id}
        at = self.giver(self.wire(name))
        while at is not None and at.node.id not in seen:
            seen.add(at.node.id)
            yield at
            at = at.giver(at.wire(name))

    def nearest(self, kind: str) -> Wire | None:
        return self._level.nearest(self._node.id, kind)

    def leads_to(self, *types: str) -> list[Site]:
        found: list[Site] = []
        todo, seen = deque([self._node.id]), {self._node.id}
        while todo:
            for _, taker in self._level.after(todo.popleft()):
                if taker.id not in seen:
                    seen.add(taker.id)
                    todo.append(taker.id)
                    if taker.type in types:
                        found.append(At(self._level, taker))
        return found

    def takers(self, slot: int | None = None) -> list[str]:
        key = self._node.id
        given = self._level.is_given(key) if slot is None else self._level.gives(Wire(key, slot))
        found = [taker.type for at, taker in self._level.after(key) if slot in (None, at)]
        return found + (["outside"] if given else [])

    def takes(self, slot: int) -> bool:
        taken = any(found == slot for found, _ in self._level.after(self._node.id))
        return taken or self._level.gives(Wire(self._node.id, slot))

    def has(self, *types: str) -> bool:
        return any(type in self._level.everything for type in types)

    def approximate(self, said: str) -> None:
        if said not in self.said:
            self.said.append(said)
