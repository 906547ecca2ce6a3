"""A graph of ComfyUI's, as both kinds of its files are read: nodes by id, values and wires by name.

What is there for the eye alone (reroutes, primitives, Set and Get) is followed while reading, and is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal


def free_name(name: str, taken: Iterable[str]) -> str:
    """The name, with a number behind it where it is taken."""
    used = set(taken)
    number = 1
    while (tried := name if number == 1 else f"{name}_{number}") in used:
        number += 1
    return tried


OUTSIDE = "-10"
"""The id of what gives a subgraph its inputs: `Wire(OUTSIDE, 2)` is its third."""


@dataclass(frozen=True)
class Wire:
    """An output of a node. `name` is what the link is shown as where it is no drawn wire."""

    node: str
    slot: int
    name: str = field(default="", compare=False)


@dataclass(frozen=True)
class Place:
    """Where something lies on the canvas, in its pixels."""

    x: float
    y: float
    width: float = 0.0
    height: float = 0.0

    @property
    def data(self) -> dict[str, float]:
        return {"x": self.x, "y": self.y, "w": self.width, "h": self.height}


@dataclass
class ForeignNode:
    """A node: `type` is its class, or `subgraph:KEY` of an instance.

    `typed` and `wires` are by the name of an input; where both have it the wire counts. `outputs` are (name, type) as
    far as they are known, `types` those of inputs. `unread` are values whose names are not known, `raw` the node as it
    was written.
    """

    id: str
    type: str
    typed: dict[str, Any] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    mode: Literal["on", "mute", "bypass"] = "on"
    title: str = ""
    place: Place | None = None
    unread: list[Any] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Box:
    """A frame around nodes, or a note, by its text."""

    text: str
    place: Place
    color: str = ""


@dataclass
class ForeignGraph:
    """A workflow, or a subgraph, which has names for what it takes (name, type) and wires for what it gives. `faults`
    say what of its nodes and links could not be read."""

    nodes: dict[str, ForeignNode] = field(default_factory=dict)
    name: str = ""
    frames: list[Box] = field(default_factory=list)
    notes: list[Box] = field(default_factory=list)
    inputs: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[tuple[str, Wire | None]] = field(default_factory=list)
    subgraphs: dict[str, ForeignGraph] = field(default_factory=dict)
    models: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
