"""Places for nodes: those that they have, else in columns by what they stand on."""

from __future__ import annotations

from .. import classes
from ..graph import ForeignGraph, ForeignNode, Place

_COLUMN, _GAP, _WIDTH, _ROW = 380.0, 60.0, 315.0, 24.0


def laid_out(graph: ForeignGraph) -> dict[str, Place]:
    """A place with a size for each node. Where none has a place, the graph reads from left to right."""
    depth: dict[str, int] = {}
    for key in graph.nodes:
        _deep(graph, key, depth)
    down: dict[int, float] = {}
    places: dict[str, Place] = {}
    for key, node in graph.nodes.items():
        height = _height(node)
        place = node.place
        if place is None:
            column = depth[key]
            top = down.get(column, 0.0)
            down[column] = top + height + _GAP
            place = Place(column * _COLUMN, top)
        places[key] = Place(place.x, place.y, place.width or _WIDTH, max(place.height, height))
    return places


def _deep(graph: ForeignGraph, start: str, depth: dict[str, int]) -> None:
    """How many nodes stand before one, along the longest way. A circle ends where it began."""
    todo = [(start, False)]
    open_: set[str] = set()
    while todo:
        key, left = todo.pop()
        if key in depth and not left:
            continue
        node = graph.nodes[key]
        before = {wire.node for wire in node.wires.values() if wire.node in graph.nodes}
        if left:
            depth[key] = max((depth.get(one, -1) for one in before), default=-1) + 1
            continue
        if key in open_:
            continue
        open_.add(key)
        todo.append((key, True))
        todo += [(one, False) for one in before if one not in depth and one not in open_]


def _height(node: ForeignNode) -> float:
    known = classes.find(node.type)
    widgets = len(known.widgets) if known else len(node.typed)
    sockets = max(len(known.inputs) - widgets if known else len(node.wires), len(node.outputs))
    text = 120.0 if node.type in ("CLIPTextEncode", "PrimitiveStringMultiline") else 0.0
    return 40 + _ROW * (widgets + sockets) + text
