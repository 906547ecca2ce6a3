"""A graph as the file that ComfyUI's editor saves and opens (litegraph, version 0.4).

Facts about the format are from its files and its documentation.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from .. import classes
from ..graph import OUTSIDE, Box, ForeignGraph, ForeignNode, Place
from ..kept import CLASS
from .ids import FIRST_NOTE
from .laid import laid_out

_MODES = {"on": 0, "mute": 2, "bypass": 4}
_SUBGRAPH = "subgraph:"
_INNER_INPUT, _INNER_OUTPUT = -10, -20
_NAMESPACE = uuid.UUID("6d2f2f3e-8a55-4d0c-9f5e-5a1f1a7b0c11")
_SEEDS = frozenset({"seed", "noise_seed"})
_UPLOADS = {"LoadImage": ["image"], "LoadImageMask": ["image"], "LoadVideo": ["image"], "LoadAudio": [None, None]}
"""What stands behind the values of a class that takes files: buttons of the editor."""


def ui_file(graph: ForeignGraph) -> dict[str, Any]:
    """The parsed JSON of the file."""
    names = {key: str(uuid.uuid5(_NAMESPACE, key)) for key in graph.subgraphs}
    links = _Numbers()
    top = _level(graph, names, links, graph.subgraphs, inner=False)
    bodies = [
        _body(key, body, names, _level(body, names, links, graph.subgraphs, inner=True))
        for key, body in graph.subgraphs.items()
    ]
    last = max(
        (int(one["id"]) for one in (*top["nodes"], *(node for body in bodies for node in body["nodes"]))), default=0
    )
    file = {
        "id": str(uuid.uuid5(_NAMESPACE, f"/{graph.name}")),
        "revision": 0,
        "last_node_id": last,
        "last_link_id": links.last,
        **top,
        "config": {},
        "extra": {},
        "version": 0.4,
    }
    return {**file, "definitions": {"subgraphs": bodies}} if bodies else file


class _Numbers:
    """Counts links over all levels."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        self.last += 1
        return self.last


def _level(
    graph: ForeignGraph, names: Mapping[str, str], links: _Numbers, bodies: Mapping[str, ForeignGraph], *, inner: bool
) -> dict[str, Any]:
    places = laid_out(graph)
    nodes: list[dict[str, Any]] = []
    wired: list[dict[str, Any]] = []
    taken: dict[tuple[str, int], list[int]] = {}
    for order, node in enumerate(graph.nodes.values()):
        inputs = _inputs(node, bodies)
        for slot, one in enumerate(inputs):
            wire = node.wires.get(one["name"])
            one["link"] = None
            if wire is None:
                continue
            number = one["link"] = links.next()
            outside = wire.node == OUTSIDE
            origin = _INNER_INPUT if outside else int(wire.node)
            kind = _given(graph, wire.node, wire.slot) if not outside else graph.inputs[wire.slot][1]
            wired.append(_link(number, origin, wire.slot, int(node.id), slot, kind))
            taken.setdefault((wire.node, wire.slot), []).append(number)
        nodes.append(_node(node, names, bodies, inputs, places[node.id], order))
    ends: list[int | None] = []
    for slot, (_, wire) in enumerate(graph.outputs):
        ends.append(None if wire is None or wire.node == OUTSIDE else links.next())
        if wire is not None and ends[-1] is not None:
            kind = _given(graph, wire.node, wire.slot)
            wired.append(_link(ends[-1] or 0, int(wire.node), wire.slot, _INNER_OUTPUT, slot, kind))
            taken.setdefault((wire.node, wire.slot), []).append(ends[-1] or 0)
    for raw in nodes:
        for slot, output in enumerate(raw["outputs"]):
            output["links"] = taken.get((str(raw["id"]), slot), [])
    notes = [_note(box, FIRST_NOTE + number) for number, box in enumerate(graph.notes)]
    made: dict[str, Any] = {
        "nodes": [*nodes, *notes],
        "links": wired if inner else [list(one.values()) for one in wired],
        "groups": [_group(box, number + 1) for number, box in enumerate(graph.frames)],
    }
    if inner:
        made["inputs"] = [
            _end(name, kind, taken.get((OUTSIDE, slot), [])) for slot, (name, kind) in enumerate(graph.inputs)
        ]
        made["outputs"] = [
            _end(name, _given(graph, wire.node, wire.slot) if wire else "*", [number] if number else [])
            for (name, wire), number in zip(graph.outputs, ends, strict=True)
        ]
    return made


def _body(key: str, graph: ForeignGraph, names: Mapping[str, str], level: Mapping[str, Any]) -> dict[str, Any]:
    xs = [one["pos"][0] for one in level["nodes"]] or [0]
    ends = {
        "inputNode": {"id": _INNER_INPUT, "bounding": [min(xs) - 260, 0, 120, 60]},
        "outputNode": {"id": _INNER_OUTPUT, "bounding": [max(xs) + 460, 0, 120, 60]},
    }
    state = {"lastGroupId": len(graph.frames), "lastNodeId": 0, "lastLinkId": 0, "lastRerouteId": 0}
    return {"id": names[key], "version": 1, "state": state, "revision": 0, "config": {}, "name": key, **ends, **level}


def _link(number: int, origin: int, slot: int, target: int, target_slot: int, kind: str) -> dict[str, Any]:
    ends = {"origin_id": origin, "origin_slot": slot, "target_id": target, "target_slot": target_slot}
    return {"id": number, **ends, "type": kind}


def _end(name: str, kind: str, links: list[int]) -> dict[str, Any]:
    return {"id": str(uuid.uuid5(_NAMESPACE, name)), "name": name, "type": kind, "linkIds": links}


def _given(graph: ForeignGraph, node: str, slot: int) -> str:
    outputs = graph.nodes[node].outputs if node in graph.nodes else []
    return outputs[slot][1] if slot < len(outputs) else "*"


def _inputs(node: ForeignNode, bodies: Mapping[str, ForeignGraph]) -> list[dict[str, Any]]:
    """The sockets of a node, then what is linked of its widgets. A node that came from there has its own."""
    own = node.raw.get("inputs")
    if isinstance(own, list) and own:
        return [dict(one) for one in own if isinstance(one, Mapping) and isinstance(one.get("name"), str)]
    known = classes.find(node.type)
    if known is None:
        body = _definition(node, bodies)
        kinds = dict(body.inputs) if body is not None else {}
        return [{"name": name, "type": kinds.get(name, "*")} for name in node.wires]
    sockets = [{"name": one.name, "type": one.type} for one in known.inputs if not one.widget]
    widgets = [
        {"name": one.name, "type": one.type, "widget": {"name": one.name}}
        for one in known.inputs
        if one.widget and one.name in node.wires
    ]
    listed = {one.name for one in known.inputs}
    grown = [{"name": name, "type": "*"} for name in node.wires if name not in listed]
    return [*sockets, *grown, *widgets]


def _node(
    node: ForeignNode,
    names: Mapping[str, str],
    bodies: Mapping[str, ForeignGraph],
    inputs: list[dict[str, Any]],
    place: Place,
    order: int,
) -> dict[str, Any]:
    raw = {key: value for key, value in node.raw.items() if key != CLASS}
    kind = node.type
    made: dict[str, Any] = {
        **raw,
        "id": int(node.id),
        "type": names.get(kind.removeprefix(_SUBGRAPH), kind) if kind.startswith(_SUBGRAPH) else kind,
        "pos": [place.x, place.y],
        "size": [place.width, place.height],
        "flags": raw.get("flags", {}),
        "order": order,
        "mode": _MODES[node.mode],
        "inputs": inputs,
        "outputs": [
            {**_output(raw, slot), "name": name, "type": kind, "links": [], "slot_index": slot}
            for slot, (name, kind) in enumerate(node.outputs)
        ],
        "properties": _properties(node, raw),
    }
    if node.title:
        made["title"] = node.title
    if "widgets_values" not in raw:
        values = _values(node, bodies)
        if values:
            made["widgets_values"] = values
    return made


def _output(raw: Mapping[str, Any], slot: int) -> Mapping[str, Any]:
    outputs = raw.get("outputs")
    found = outputs[slot] if isinstance(outputs, list) and slot < len(outputs) else {}
    return found if isinstance(found, Mapping) else {}


def _properties(node: ForeignNode, raw: Mapping[str, Any]) -> dict[str, Any]:
    own = raw.get("properties")
    held = dict(own) if isinstance(own, Mapping) else {"Node name for S&R": node.type}
    return {**held, **({CLASS: node.raw[CLASS]} if CLASS in node.raw else {})}


def _values(node: ForeignNode, bodies: Mapping[str, ForeignGraph]) -> list[Any] | dict[str, Any]:
    """By position, with what happens to a seed after a run behind it; of classes that are not known, by name."""
    body = _definition(node, bodies)
    if body is not None:
        return [node.typed.get(name) for name in _driving(body)]
    known = classes.find(node.type)
    if known is None:
        return dict(node.typed)
    values: list[Any] = []
    for one in known.widgets:
        values.append(node.typed.get(one.name, one.default))
        if one.name in _SEEDS:
            values.append("fixed")
    return [*values, *_UPLOADS.get(node.type, [])]


def _definition(node: ForeignNode, bodies: Mapping[str, ForeignGraph]) -> ForeignGraph | None:
    """What an instance is one of; None for other nodes, and where the document has it no more."""
    return bodies.get(node.type.removeprefix(_SUBGRAPH)) if node.type.startswith(_SUBGRAPH) else None


def _driving(body: ForeignGraph) -> Iterable[str]:
    """The inputs of a subgraph that lead to a widget inside, in their order."""
    for slot, (name, _) in enumerate(body.inputs):
        for node in body.nodes.values():
            known = classes.find(node.type)
            widgets = {one.name for one in known.widgets} if known else set[str]()
            if any(wire.node == OUTSIDE and wire.slot == slot and key in widgets for key, wire in node.wires.items()):
                yield name
                break


def _note(box: Box, number: int) -> dict[str, Any]:
    place = {"pos": [box.place.x, box.place.y], "size": [box.place.width or 300, box.place.height or 150]}
    looks = {"flags": {}, "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}}
    return {"id": number, "type": "MarkdownNote", **place, **looks, "widgets_values": [box.text]}


def _group(box: Box, number: int) -> dict[str, Any]:
    place = box.place
    bounding = [place.x, place.y, place.width or 400, place.height or 300]
    look = {"color": box.color or "#3f789e", "font_size": 24, "flags": {}}
    return {"id": number, "title": box.text, "bounding": bounding, **look}
