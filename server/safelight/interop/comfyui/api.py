"""ComfyUI's API format: `{id: {"class_type": ..., "inputs": {...}}}`, what its server is asked to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import classes
from .graph import ForeignGraph, ForeignNode, Wire
from .kept import kept_of


def is_api(data: Any) -> bool:
    """Whether this is a workflow in the API format: an object of nodes that name their class."""
    if not isinstance(data, Mapping) or not data or "nodes" in data:
        return False
    entries = list(data.values())
    told = [isinstance(one, Mapping) and isinstance(one.get("class_type"), str) for one in entries]
    return any(told) and sum(told) * 2 >= len(entries)


def read_api(data: Mapping[str, Any]) -> ForeignGraph:
    """The graph. Entries that are no nodes are left out; the format has no places, groups or notes."""
    nodes = {str(key): raw for key, raw in data.items() if isinstance(raw, Mapping) and "class_type" in raw}
    graph = ForeignGraph()
    for key, raw in nodes.items():
        given = raw.get("inputs")
        inputs = (
            {str(name): _input(value, nodes) for name, value in given.items()} if isinstance(given, Mapping) else {}
        )
        meta = raw.get("_meta")
        known = classes.find(str(raw["class_type"]))
        graph.nodes[key] = ForeignNode(
            id=key,
            type=str(raw["class_type"]),
            typed={name: value for name, value in inputs.items() if not isinstance(value, Wire)},
            wires={name: value for name, value in inputs.items() if isinstance(value, Wire)},
            outputs=list(known.outputs) if known else _kept_outputs(raw),
            types={one.name: one.type for one in known.inputs} if known else {},
            title=_title(meta, raw["class_type"]),
            raw=dict(raw),
        )
    return graph


def _title(meta: Any, kind: Any) -> str:
    """What a node is called, where that is not its class."""
    title = str(meta.get("title", "")) if isinstance(meta, Mapping) else ""
    return title if title != kind else ""


def _kept_outputs(raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Those of a node of ours that came home."""
    names = kept_of(raw).get("outputs")
    return [(str(name), "*") for name in names] if isinstance(names, list) else []


def _input(value: Any, nodes: Mapping[str, Any]) -> Any:
    """A list of a node's id and a number is a wire; other lists come wrapped."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int) and isinstance(value[1], int):
        return Wire(str(value[0]), value[1]) if str(value[0]) in nodes else value
    if isinstance(value, Mapping) and set(value) == {"__value__"}:
        return value["__value__"]
    return value
