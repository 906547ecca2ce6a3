"""InvokeAI's workflows, which its editor saves and puts into PNGs as `invokeai_workflow`, and graphs, which its server
runs and puts there as `invokeai_graph`.

Facts about the format are from InvokeAI's schema of workflows (meta.version 1 to 3) and of its nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..comfyui.graph import Box, ForeignGraph, ForeignNode, Place, Wire, free_name
from .classes import OUTPUTS

_OF_THE_EDITOR = frozenset({"id", "type", "is_intermediate", "use_cache", "board", "metadata", "version"})
"""Fields of nodes that change nothing of the result."""


class _Edge(NamedTuple):
    source: str
    output: str
    target: str
    input: str


def is_workflow(data: Any) -> bool:
    """Whether this is what InvokeAI's editor saves."""
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), list) or "format" in data:
        return False
    return isinstance(data.get("edges"), list) and ("exposedFields" in data or "meta" in data)


def is_graph(data: Any) -> bool:
    """Whether this is what InvokeAI's server runs."""
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), Mapping) or "format" in data:
        return False
    nodes = data["nodes"].values()
    return isinstance(data.get("edges"), list) and all(isinstance(one, Mapping) and "type" in one for one in nodes)


def read_file(data: Mapping[str, Any]) -> ForeignGraph:
    """The graph. Edges end at inputs by name, and begin at a slot that stands for the name of an output."""
    graph = ForeignGraph(name=str(data.get("name") or ""))
    connectors: set[str] = set()
    numbers: dict[str, str] = {}
    for key, raw in _listed(data["nodes"]):
        told = raw.get("data") if isinstance(raw.get("data"), Mapping) else raw
        assert isinstance(told, Mapping)
        kind = str(raw.get("type"))
        if kind == "connector":
            connectors.add(key)
        elif kind == "notes":
            graph.notes.append(Box(str(told.get("notes") or told.get("label") or ""), _place(raw) or _PLACE))
        elif kind != "current_image" and key not in numbers:
            numbers[key] = str(len(numbers) + 1)
            graph.nodes[numbers[key]] = _node(numbers[key], raw, told)
    edges = list(_edges(data["edges"]))
    into = {edge.target: edge for edge in edges if edge.target in connectors}
    for edge in edges:
        node = graph.nodes.get(numbers.get(edge.target, ""))
        begin = _followed(edge, into, connectors)
        source = graph.nodes.get(numbers.get(begin.source, "")) if begin is not None else None
        if node is not None and source is not None and begin is not None:
            name = free_name(edge.input, node.wires)  # several lead into what collects
            node.wires[name] = Wire(source.id, _slot(source, begin.output))
    return graph


def _followed(edge: _Edge, into: Mapping[str, _Edge], connectors: set[str]) -> _Edge | None:
    """The edge that begins at a node that does something, behind connectors."""
    seen: set[str] = set()
    while edge.source in connectors:
        before = into.get(edge.source)
        if before is None or edge.source in seen:
            return None
        seen.add(edge.source)
        edge = before
    return edge


def _node(number: str, raw: Mapping[str, Any], told: Mapping[str, Any]) -> ForeignNode:
    kind = str(told.get("type") or raw.get("type"))
    given = told.get("inputs")
    typed: dict[str, Any] = {}
    if isinstance(given, Mapping):
        typed = {str(name): one["value"] for name, one in given.items() if isinstance(one, Mapping) and "value" in one}
    elif told is raw:
        typed = {str(name): value for name, value in raw.items()}
    return ForeignNode(
        id=number,
        type=kind,
        typed={name: value for name, value in typed.items() if name not in _OF_THE_EDITOR and value is not None},
        outputs=[(name, name) for name in OUTPUTS.get(kind, ())],
        title=str(told.get("label") or ""),
        place=_place(raw),
        raw=dict(told),
    )


def _slot(source: ForeignNode, name: str) -> int:
    names = [own for own, _ in source.outputs]
    if name not in names:
        source.outputs.append((name, name))
        return len(names)
    return names.index(name)


def _listed(nodes: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    pairs = nodes.items() if isinstance(nodes, Mapping) else ((None, one) for one in nodes)
    for key, one in pairs:
        if isinstance(one, Mapping):
            yield str(key if key is not None else one.get("id")), one


def _edges(listed: Any) -> Iterator[_Edge]:
    for one in listed:
        if not isinstance(one, Mapping) or one.get("type") == "collapsed":
            continue
        source, target = one.get("source"), one.get("destination", one.get("target"))
        if isinstance(source, Mapping) and isinstance(target, Mapping):
            yield _Edge(*(str(end.get(name)) for end in (source, target) for name in ("node_id", "field")))
        else:
            yield _Edge(str(source), str(one.get("sourceHandle")), str(target), str(one.get("targetHandle")))


_PLACE = Place(0.0, 0.0, 300.0, 200.0)


def _place(raw: Mapping[str, Any]) -> Place | None:
    at = raw.get("position")
    numbers = [at.get(name) for name in ("x", "y")] if isinstance(at, Mapping) else []
    real = [
        float(one) for one in numbers if isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e9
    ]
    return Place(*real, width=320.0, height=300.0) if len(real) == 2 else None
