"""A graph as ComfyUI's API takes it: subgraphs taken apart, what is muted left out, what is bypassed followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import classes
from ..graph import OUTSIDE, ForeignGraph, ForeignNode, Wire
from ..kept import CLASS
from ..level import handed_on

_SUBGRAPH = "subgraph:"


def api_file(graph: ForeignGraph) -> dict[str, Any]:
    """The parsed JSON. Ids of nodes in subgraphs are paths, `57:3`."""
    made: dict[str, Any] = {}
    _Part(graph, graph.subgraphs, "", None, made).write()
    return made


class _Part:
    """A level, or an instance of a subgraph in it. `outer` is the level around it, and `instance` its node there."""

    def __init__(
        self,
        graph: ForeignGraph,
        bodies: Mapping[str, ForeignGraph],
        path: str,
        outer: tuple[_Part, ForeignNode] | None,
        made: dict[str, Any],
    ) -> None:
        self._graph = graph
        self._bodies = bodies
        self._path = path
        self._outer = outer
        self._made = made
        self._inner = {
            key: _Part(body, bodies, f"{path}{key}:", (self, node), made)
            for key, node in graph.nodes.items()
            if node.mode == "on" and (body := self._body(node)) is not None
        }

    def _body(self, node: ForeignNode) -> ForeignGraph | None:
        return self._bodies.get(node.type.removeprefix(_SUBGRAPH)) if node.type.startswith(_SUBGRAPH) else None

    def write(self) -> None:
        for key, node in self._graph.nodes.items():
            if node.mode != "on":
                continue
            if key in self._inner:
                self._inner[key].write()
            else:
                self._made[f"{self._path}{key}"] = self._entry(node)

    def _entry(self, node: ForeignNode) -> dict[str, Any]:
        known = classes.find(node.type)
        inputs: dict[str, Any] = {}
        for one in known.widgets if known else ():
            value = node.typed.get(one.name, one.default)
            if value is not None:
                inputs[one.name] = _literal(value)
        inputs |= {name: _literal(value) for name, value in node.typed.items() if value is not None}
        for name, wire in node.wires.items():
            found = self._from(wire)
            if isinstance(found, list):
                inputs[name] = found
            elif found is not None:
                inputs[name] = _literal(found[0])
            elif name not in node.typed:
                inputs.pop(name, None)
        meta = {"title": node.title or node.type}
        kept = {CLASS: node.raw[CLASS]} if CLASS in node.raw else {}
        return {"inputs": inputs, "class_type": node.type, "_meta": {**meta, **kept}}

    def _from(self, wire: Wire | None) -> list[Any] | tuple[Any] | None:
        """Where a wire begins: a node and slot, a value typed into an instance (a tuple of it), or nothing."""
        seen: set[Wire] = set()
        while wire is not None and wire not in seen:
            seen.add(wire)
            if wire.node == OUTSIDE:
                return self._given(wire.slot)
            node = self._graph.nodes.get(wire.node)
            if node is None or node.mode == "mute":
                return None
            if node.mode == "bypass":
                wire = handed_on(node, wire.slot)
                continue
            if wire.node in self._inner:
                inner = self._inner[wire.node]
                return inner._from(inner._graph.outputs[wire.slot][1])
            return [f"{self._path}{wire.node}", wire.slot]
        return None

    def _given(self, slot: int) -> list[Any] | tuple[Any] | None:
        if self._outer is None:
            return None
        outer, instance = self._outer
        name = self._graph.inputs[slot][0]
        wire = instance.wires.get(name)
        if wire is not None:
            return outer._from(wire)
        return (instance.typed[name],) if name in instance.typed else None


def _literal(value: Any) -> Any:
    """Lists are wrapped, since a list of two is a wire there."""
    return {"__value__": value} if isinstance(value, list) else value
