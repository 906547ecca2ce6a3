"""Group nodes, which came before subgraphs: a node `workflow/NAME` whose body is kept in `extra.groupNodes`. Each
becomes a subgraph of its own, because its values are those of the nodes inside, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from . import classes
from .graph import free_name

_MARKS = ("workflow/", "workflow>")
_CONTROL = ("fixed", "increment", "decrement", "randomize")
_OUTSIDE, _OUTWARDS = -10, -20
"""Where links begin that come into a subgraph, and where those end that leave it."""


def with_group_nodes(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The same workflow with a subgraph in the place of each group node whose body is there, and what of the bodies
    could not be read."""
    extra = data.get("extra")
    bodies = extra.get("groupNodes") if isinstance(extra, Mapping) else None
    if not isinstance(bodies, Mapping) or not bodies:
        return data, []
    faults: list[str] = []
    listed = data.get("definitions")
    found = listed.get("subgraphs") if isinstance(listed, Mapping) else None
    made: list[Any] = list(found) if isinstance(found, list) else []
    nodes: list[Any] = []
    for node in data["nodes"]:
        kind = str(node.get("type")) if isinstance(node, Mapping) else ""
        body = bodies.get(kind[len(_MARKS[0]) :]) if kind.startswith(_MARKS) else None
        if not isinstance(body, Mapping) or not isinstance(body.get("nodes"), list):
            nodes.append(node)
            continue
        key = f"group node {node.get('id')}"
        definition, names, lost = _definition(key, kind[len(_MARKS[0]) :], node, body)
        if lost:
            faults.append(f"The group node {kind[len(_MARKS[0]) :]!r} has {lost} damaged links, which are left out.")
        made.append(definition)
        inputs = [{**one, "name": name} for one, name in zip(_mappings(node.get("inputs")), names, strict=True)]
        nodes.append({**node, "type": key, "inputs": inputs, "widgets_values": []})
    return {**data, "nodes": nodes, "definitions": {"subgraphs": made}}, faults


class _End(NamedTuple):
    """An input or output of a node inside, by what the group node calls it."""

    node: int
    slot: int
    name: str
    type: str


def _definition(
    key: str, name: str, instance: Mapping[str, Any], body: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], int]:
    """The subgraph, the names of its inputs in the order that the instance has them, and how many links inside are
    damaged: they name nodes or inputs that are not there, or no numbers."""
    inner = [dict(one) for one in _mappings(body["nodes"])]
    for number, node in enumerate(inner):
        node["id"] = number
        node["inputs"] = [{**one, "link": None} for one in _mappings(node.get("inputs"))]
    links: list[dict[str, Any]] = []
    types: dict[tuple[int, int], str] = {}
    listed = body.get("links")
    lost = sum(not isinstance(one, list) or len(one) < 4 for one in listed) if isinstance(listed, list) else 0
    for one in _rows(listed, 4):
        origin, slot, target, target_slot = one[:4]
        if not all(at is None or isinstance(at, int) for at in one[:4]):
            lost += 1
        elif isinstance(origin, int):
            ends = 0 <= origin < len(inner) and isinstance(slot, int)
            lost += not _link(links, inner, origin, slot, target, target_slot) or not ends
        elif len(one) > 5:
            types[target, target_slot] = str(one[5])
    _put_values(inner, instance.get("widgets_values"))
    names: list[str] = []
    sockets = _free_inputs(inner, types, body.get("config"))
    for number, one in enumerate(_mappings(instance.get("inputs"))):
        names.append(free_name(str(one.get("name") or "input"), names))
        end = _closest(sockets, one)
        if end is not None:
            sockets.remove(end)
            _link(links, inner, _OUTSIDE, number, end.node, end.slot)
    given = list(_mappings(instance.get("outputs")))
    ends = _free_outputs(inner, links, body)
    for number, one in enumerate(given):
        end = _closest(ends, one)
        if end is not None:
            ends.remove(end)
            _link(links, inner, end.node, end.slot, _OUTWARDS, number)
    inputs = [
        {"name": name, "type": one.get("type")}
        for name, one in zip(names, _mappings(instance.get("inputs")), strict=True)
    ]
    outputs = [{"name": one.get("name"), "type": one.get("type")} for one in given]
    made = {"id": key, "name": name, "nodes": inner, "links": links, "inputs": inputs, "outputs": outputs}
    return made, names, lost


def _link(
    links: list[dict[str, Any]], inner: list[dict[str, Any]], origin: int, slot: Any, target: Any, target_slot: Any
) -> bool:
    """Adds a link, and tells whether it ends at an input of a node inside."""
    number = len(links) + 1
    inside = isinstance(target, int) and 0 <= target < len(inner) and isinstance(target_slot, int)
    reached = inside and 0 <= target_slot < len(inner[target]["inputs"])
    if reached:
        inner[target]["inputs"][target_slot]["link"] = number
    links.append(
        {
            "id": number,
            "origin_id": origin,
            "origin_slot": slot,
            "target_id": target,
            "target_slot": target_slot,
        }
    )
    return reached


def _free_inputs(inner: list[dict[str, Any]], types: Mapping[tuple[int, int], str], config: Any) -> list[_End]:
    found: list[_End] = []
    for number, node in enumerate(inner):
        for slot, one in enumerate(node["inputs"]):
            if one["link"] is None:
                kind = types.get((number, slot), str(one.get("type", "*")))
                own = str(one.get("name") or kind)
                found.append(_End(number, slot, _renamed(config, number, "input", own), kind))
    return found


def _free_outputs(inner: list[dict[str, Any]], links: list[dict[str, Any]], body: Mapping[str, Any]) -> list[_End]:
    """Outputs that nothing inside takes, and those that something outside took when the group was made."""
    taken = {(link["origin_id"], link["origin_slot"]) for link in links}
    for one in _rows(body.get("external"), 2):
        node = one[0].get("index") if isinstance(one[0], Mapping) else one[0]
        if isinstance(node, int) and isinstance(one[1], int):
            taken.discard((node, one[1]))
    found: list[_End] = []
    for number, node in enumerate(inner):
        for slot, one in enumerate(_mappings(node.get("outputs"))):
            if (number, slot) not in taken or _said(body.get("config"), number, "output", str(slot), "visible") is True:
                name = _renamed(body.get("config"), number, "output", str(slot), str(one.get("name") or ""))
                found.append(_End(number, slot, name, str(one.get("type", "*"))))
    return found


def _renamed(config: Any, number: int, side: str, key: str, name: str = "") -> str:
    told = _said(config, number, side, key, "name")
    return told if isinstance(told, str) else name or key


def _said(config: Any, number: int, *steps: str) -> Any:
    """What the group's settings say of a node."""
    at = config
    for step in (str(number), *steps):
        at = at.get(step) if isinstance(at, Mapping) else None
    return at


def _closest(ends: Sequence[_End], wanted: Mapping[str, Any]) -> _End | None:
    """By name and type, by the end of the name (a title stands before it where two are alike), else by type."""
    name, kind = str(wanted.get("name") or ""), str(wanted.get("type") or "*")
    fits = [one for one in ends if kind in (one.type, "*") or one.type == "*"]
    for same in (
        lambda end: end.name == name,
        lambda end: name.endswith(end.name),
        lambda end: end.type == kind,
        lambda _: True,
    ):
        found = next((end for end in fits if same(end)), None)
        if found is not None:
            return found
    return None


def _put_values(inner: list[dict[str, Any]], values: Any) -> None:
    """The instance's values, node by node. Fields that have a link inside are not among them."""
    if not isinstance(values, list):
        return
    places = [(node, place) for node in inner for place in _places(node)]
    if len(places) != len(values):
        return  # of a version of the nodes that is not known: the group's own values stay
    for (node, place), value in zip(places, values, strict=True):
        node["widgets_values"] = [*node["widgets_values"][:place], value, *node["widgets_values"][place + 1 :]]


def _places(node: dict[str, Any]) -> Iterator[int]:
    values = node.get("widgets_values")
    if not isinstance(values, list):
        return
    linked = {
        str((one.get("widget") or {}).get("name") if isinstance(one.get("widget"), Mapping) else "")
        for one in node["inputs"]
        if one["link"] is not None
    }
    known = classes.find(str(node.get("type")))
    at = 0
    for widget in known.widgets if known is not None else ():
        width = 2 if at + 1 < len(values) and values[at + 1] in _CONTROL else 1
        if widget.name not in linked:
            yield from range(at, min(len(values), at + width))
        at += width
    yield from range(at, len(values))


def _rows(given: Any, shortest: int) -> Iterator[list[Any]]:
    for one in given if isinstance(given, list) else ():
        if isinstance(one, list) and len(one) >= shortest:
            yield one


def _mappings(given: Any) -> Iterator[Mapping[str, Any]]:
    for one in given if isinstance(given, list) else ():
        if isinstance(one, Mapping):
            yield one
