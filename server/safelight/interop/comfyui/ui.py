"""The files that ComfyUI's editor saves (litegraph 0.4): nodes by position of their values, links by number, groups,
notes and subgraphs.

What only draws or routes is followed here: reroutes, primitives, Set and Get, links that packs draw everywhere. Facts
about the format are from its files and its documentation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from . import classes
from .everywhere import is_everywhere, sent_everywhere
from .graph import OUTSIDE, Box, ForeignGraph, ForeignNode, Place, Wire, free_name
from .group_nodes import with_group_nodes
from .widgets import values_of

_NOTES = frozenset({"Note", "MarkdownNote", "Note Plus (mtb)"})
_REROUTES = frozenset({"Reroute", "ReroutePrimitive|pysssss", "Reroute (rgthree)", "ReroutePrimitive"})
_SETTERS = frozenset({"SetNode", "easy setNode"})
_GETTERS = frozenset({"GetNode", "easy getNode"})
_DRAWN = frozenset(
    {
        *("Label (rgthree)", "Bookmark (rgthree)", "Node Collector (rgthree)"),
        *("Fast Groups Bypasser (rgthree)", "Fast Groups Muter (rgthree)", "Fast Bypasser (rgthree)"),
        *("Fast Muter (rgthree)", "Mute / Bypass Repeater (rgthree)", "Mute / Bypass Relay (rgthree)"),
        *("Random Unmuter (rgthree)", "Fast Actions Button (rgthree)"),
    }
)
"""What switches other nodes on and off in the editor: files hold what came of it."""
_MODES: Mapping[int, Literal["mute", "bypass"]] = {2: "mute", 4: "bypass"}
_INNER_OUTPUT = "-20"


class Typed(NamedTuple):
    """What a primitive gives: a value in the place of a wire."""

    value: Any


class _Link(NamedTuple):
    origin: str
    slot: int
    target: str
    target_slot: int


def is_ui(data: Any) -> bool:
    """Whether this is what ComfyUI's editor saves: a list of nodes that have a type and a number or id."""
    if not isinstance(data, Mapping) or not isinstance(data.get("nodes"), list):
        return False
    if not isinstance(data.get("links"), list) or "format" in data:
        return False
    nodes = [one for one in data["nodes"] if isinstance(one, Mapping)]
    told = [_is_node(one) for one in nodes]
    return sum(told) * 2 >= len(told) and (bool(nodes) or "last_node_id" in data)


def _is_node(one: Any) -> bool:
    return isinstance(one, Mapping) and "id" in one and "type" in one


def read_ui(data: Mapping[str, Any]) -> ForeignGraph:
    """The graph with its subgraphs, each by a readable key. Instances have the type `subgraph:KEY`."""
    data, faults = with_group_nodes(data)
    definitions = data.get("definitions")
    listed = definitions.get("subgraphs") if isinstance(definitions, Mapping) else None
    found = {str(one["id"]): one for one in _mappings(listed) if "id" in one}
    keys: dict[str, str] = {}
    for key, one in found.items():
        keys[key] = free_name(_slug(str(one.get("name") or "subgraph")), keys.values())
    reader = _Reader(found, keys)
    graph = reader.level(data)
    graph.faults = [*graph.faults, *faults]
    graph.subgraphs = {keys[key]: reader.level(one) for key, one in found.items()}
    return graph


def _lost(listed: Any) -> list[str]:
    """What is left out of a list of nodes, in words."""
    nodes = listed if isinstance(listed, list) else []
    counts = Counter(str(one["id"]) for one in nodes if _is_node(one))
    said = [
        f"{count} nodes have the id {key[:40]}: the last one is kept." for key, count in counts.items() if count > 1
    ]
    none = sum(not _is_node(one) for one in nodes)
    return [*said, *([f"{none} of the nodes have no id or no type, and are left out."] if none else [])]


class _Reader:
    def __init__(self, definitions: Mapping[str, Mapping[str, Any]], keys: Mapping[str, str]) -> None:
        self._definitions = definitions
        self._keys = keys

    def level(self, data: Mapping[str, Any]) -> ForeignGraph:
        links = _links(data)
        raws = {str(one["id"]): one for one in _mappings(data.get("nodes")) if _is_node(one)}
        wiring = _Wiring(raws, links)
        graph = ForeignGraph(name=str(data.get("name") or ""))
        graph.faults = _lost(data.get("nodes"))
        graph.frames = [_frame(one) for one in _mappings(data.get("groups"))]
        for key, raw in raws.items():
            kind = str(raw["type"])
            if kind in _NOTES:
                graph.notes.append(_note(raw))
            elif not _drawn(kind):
                graph.nodes[key] = self._node(key, raw, wiring)
            graph.models.extend(_models(raw))
        self._everywhere(data, graph, wiring)
        sent_everywhere(raws, graph, wiring.into, wiring.kind)
        graph.inputs = [(str(one.get("name", "")), str(one.get("type", ""))) for one in _mappings(data.get("inputs"))]
        ends = {link.target_slot: link for link in links.values() if link.target == _INNER_OUTPUT}
        for slot, one in enumerate(_mappings(data.get("outputs"))):
            reached = wiring.follow(ends[slot]) if slot in ends else None
            graph.outputs.append((str(one.get("name", "")), reached if isinstance(reached, Wire) else None))
        return graph

    def _node(self, key: str, raw: Mapping[str, Any], wiring: _Wiring) -> ForeignNode:
        kind = str(raw["type"])
        known = classes.find(kind)
        definition = self._definitions.get(kind)
        typed, unread = values_of(raw, known) if definition is None else (self._instance(raw, definition), [])
        outputs = [(str(one.get("name", "")), str(one.get("type", ""))) for one in _mappings(raw.get("outputs"))]
        node = ForeignNode(
            id=key,
            type=f"subgraph:{self._keys[kind]}" if definition is not None else kind,
            typed=typed,
            outputs=outputs or (list(known.outputs) if known else []),
            mode=_MODES.get(_whole(raw.get("mode")), "on"),
            title=str(raw.get("title") or ""),
            place=_place(raw.get("pos"), raw.get("size")),
            unread=unread,
            raw=dict(raw),
        )
        named: list[dict[str, Any]] = []
        for one in _mappings(raw.get("inputs")):
            widget = one.get("widget")
            name = str((widget.get("name") if isinstance(widget, Mapping) else None) or one.get("name") or "")
            if one.get("link") is not None and (not name or name in node.wires):  # two of a name would be one
                name = free_name(name or "input", node.types)
                named.append({**one, "name": name})
            else:
                named.append(dict(one))
            node.types[name] = str(one.get("type", ""))
            reached = wiring.into(one.get("link"))
            if isinstance(reached, Wire):
                node.wires[name] = reached
            elif isinstance(reached, Typed):
                node.typed[name] = reached.value
        if named:
            node.raw["inputs"] = named
        return node

    def _instance(self, raw: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, Any]:
        """Values of an instance by the inputs of its definition.

        Files until the end of 2025 list promoted widgets of inner nodes in `proxyWidgets`, whose values stay with the
        inner nodes; later ones write a value for each input that leads to a widget.
        """
        properties = raw.get("properties")
        proxies = properties.get("proxyWidgets") if isinstance(properties, Mapping) else None
        named = raw.get("widgets_values_named")
        inputs = [str(one.get("name", "")) for one in _mappings(definition.get("inputs"))]
        if isinstance(named, Mapping):
            return {name: named[name] for name in inputs if name in named}
        values = raw.get("widgets_values")
        if not isinstance(values, list) or not values:
            return {}
        if isinstance(proxies, list) and proxies:
            pairs = [(str(one[0]), str(one[1])) for one in proxies if isinstance(one, list) and len(one) >= 2]
            if len(pairs) != len(values):
                return {}
            return {
                name: value
                for (owner, name), value in zip(pairs, values, strict=True)
                if owner == "-1" and name in inputs
            }
        return dict(zip(_driving(definition, inputs), values, strict=False))

    def _everywhere(self, data: Mapping[str, Any], graph: ForeignGraph, wiring: _Wiring) -> None:
        extra = data.get("extra")
        for one in _mappings(extra.get("ue_links") if isinstance(extra, Mapping) else None):
            node = graph.nodes.get(str(one.get("downstream")))
            slot = _whole(one.get("downstream_slot"))
            inputs = list(_mappings(node.raw.get("inputs"))) if node is not None else []
            if node is None or not 0 <= slot < len(inputs):
                continue
            name = str(inputs[slot].get("name") or "")
            reached = wiring.follow(_Link(str(one.get("upstream")), _whole(one.get("upstream_slot")), node.id, slot))
            if isinstance(reached, Wire) and name not in node.wires:
                node.wires[name] = reached


class _Wiring:
    """Follows links to the nodes that make what they bring."""

    def __init__(self, raws: Mapping[str, Mapping[str, Any]], links: Mapping[int, _Link]) -> None:
        self._raws = raws
        self._links = links
        self._setters = {
            str(_first(raw.get("widgets_values"))): raw for raw in raws.values() if str(raw["type"]) in _SETTERS
        }

    def into(self, link: Any) -> Wire | Typed | None:
        found = self._links.get(_whole(link)) if link is not None else None
        return self.follow(found) if found is not None else None

    def kind(self, number: Any) -> str:
        """The type of what a link brings, by the output that it begins at."""
        link = self._links.get(_whole(number))
        reached = self.follow(link) if link is not None else None
        raw = self._raws.get(reached.node) if isinstance(reached, Wire) else None
        outputs = list(_mappings(raw.get("outputs"))) if raw is not None else []
        slot = reached.slot if isinstance(reached, Wire) else -1
        return str(outputs[slot].get("type", "")) if 0 <= slot < len(outputs) else ""

    def follow(self, link: _Link) -> Wire | Typed | None:
        seen: set[_Link] = set()
        name = ""
        while link not in seen:
            seen.add(link)
            if link.origin == OUTSIDE:
                return Wire(OUTSIDE, link.slot, name)
            raw = self._raws.get(link.origin)
            if raw is None:
                return None
            kind = str(raw["type"])
            if kind == "PrimitiveNode":
                return Typed(_first(raw.get("widgets_values")))
            if kind in _GETTERS:
                said = str(_first(raw.get("widgets_values")))
                name = name or said
                raw = self._setters.get(said)
            elif kind not in _REROUTES and kind not in _SETTERS:
                return Wire(link.origin, link.slot, name)
            first = next(iter(_mappings(raw.get("inputs") if raw else None)), None)
            found = self._links.get(_whole(first.get("link"))) if first else None
            if found is None:
                return None
            link = found
        return None


def _drawn(kind: str) -> bool:
    routed = kind in _REROUTES or kind in _SETTERS or kind in _GETTERS or kind == "PrimitiveNode"
    return routed or kind in _DRAWN or is_everywhere(kind)


def _driving(definition: Mapping[str, Any], inputs: list[str]) -> Iterator[str]:
    """The inputs of a subgraph that lead to a widget of a node inside, in their order."""
    nodes = {str(one.get("id")): one for one in _mappings(definition.get("nodes"))}
    links = _links(definition)
    for slot, name in enumerate(inputs):
        for number, link in links.items():
            if link.origin != OUTSIDE or link.slot != slot:
                continue
            ends = [one for one in _mappings(nodes.get(link.target, {}).get("inputs")) if one.get("link") == number]
            if any(isinstance(one.get("widget"), Mapping) for one in ends):
                yield name
                break


def _links(data: Mapping[str, Any]) -> dict[int, _Link]:
    found: dict[int, _Link] = {}
    listed = data.get("links")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Sequence) and not isinstance(one, str) and len(one) >= 5:
            number, origin, slot, target, target_slot = one[:5]
        elif isinstance(one, Mapping):
            number, origin, slot, target, target_slot = (
                one.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")
            )
        else:
            continue
        found[_whole(number)] = _Link(str(origin), _whole(slot), str(target), _whole(target_slot))
    return found


def _models(raw: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    properties = raw.get("properties")
    for one in _mappings(properties.get("models") if isinstance(properties, Mapping) else None):
        yield {name: str(one[name]) for name in ("name", "url", "directory", "hash") if isinstance(one.get(name), str)}


def _frame(raw: Mapping[str, Any]) -> Box:
    given = raw.get("bounding")
    bounding = [_real(one) for one in given] if isinstance(given, list) else []
    place = Place(*bounding[:4]) if len(bounding) >= 4 else Place(0, 0, 400, 300)
    return Box(str(raw.get("title") or ""), place, _color(raw.get("color")))


def _note(raw: Mapping[str, Any]) -> Box:
    values = raw.get("widgets_values")
    text = _first(list(values.values()) if isinstance(values, Mapping) else values)
    place = _place(raw.get("pos"), raw.get("size")) or Place(0, 0, 300, 200)
    return Box(str(text or ""), place, "")


def _color(given: Any) -> str:
    """Colours as the editor takes them, #rrggbb; groups may say #rgb."""
    if not isinstance(given, str) or not re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", given):
        return ""
    return given if len(given) == 7 else "#" + "".join(2 * mark for mark in given[1:])


def _place(pos: Any, size: Any) -> Place | None:
    at, across = _pair(pos), _pair(size)
    return Place(*at, *(across or (0.0, 0.0))) if at else None


def _pair(given: Any) -> tuple[float, float] | None:
    """Two numbers, as a list or as an object with the keys 0 and 1."""
    if isinstance(given, Mapping):
        given = [given.get("0"), given.get("1")]
    if not isinstance(given, list) or len(given) < 2:
        return None
    return _real(given[0]), _real(given[1])


def _real(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not -1e9 < given < 1e9:
        return 0.0
    return float(given)


def _whole(given: Any) -> int:
    """A number of a slot, link or mode; -1 for what is none."""
    if isinstance(given, str) and re.fullmatch(r"-?[0-9]{1,18}", given):
        return int(given)
    return given if isinstance(given, int) and not isinstance(given, bool) else -1


def _first(values: Any) -> Any:
    values = list(values.values()) if isinstance(values, Mapping) else values
    return values[0] if isinstance(values, list) and values else None


def _mappings(given: Any) -> Iterator[Mapping[str, Any]]:
    for one in given if isinstance(given, list) else ():
        if isinstance(one, Mapping):
            yield one


def _slug(text: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")[:60] or "subgraph"
