"""Where things lie: places of nodes, frames and notes of ComfyUI's canvas on ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .graph import Box, ForeignGraph, ForeignNode, Place

_NARROW, _WIDE = 200.0, 640.0
BELOW = 170.0
"""Pixels from one node that a class became to the next."""


def drawn(graph: ForeignGraph, parts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The `ui` of a document. A graph without places gives none: the editor lays it out."""
    nodes: dict[str, Any] = {}
    for key, node in graph.nodes.items():
        if node.place is not None:
            nodes.update(_looks(node, node.place, parts[key]))
    ui: dict[str, Any] = {"nodes": nodes} if nodes else {}
    if graph.frames:
        ui["frames"] = [_box(box, f"frame_{number}", "title") for number, box in enumerate(graph.frames)]
    if graph.notes:
        ui["notes"] = [_box(box, f"note_{number}", "text") for number, box in enumerate(graph.notes)]
    return ui


def _looks(node: ForeignNode, place: Place, parts: Sequence[str]) -> dict[str, Any]:
    looks: dict[str, Any] = {}
    top = place.height + 40 if place.height else BELOW
    for number, name in enumerate(parts):
        down = top + BELOW * (number - 1) if number else 0.0
        looks[name] = {"x": round(place.x), "y": round(place.y + down)}
        if place.width:
            looks[name]["w"] = round(min(_WIDE, max(_NARROW, place.width)))
    flags = node.raw.get("flags")
    if parts and isinstance(flags, Mapping) and flags.get("collapsed"):
        looks[parts[0]]["collapsed"] = True
    return looks


def _box(box: Box, name: str, text: str) -> dict[str, Any]:
    place = {key: round(value) for key, value in box.place.data.items()}
    return {"id": name, text: box.text, **place, **({"color": box.color} if box.color else {})}
