"""What a rule of this direction is: it turns a node of ours into nodes of ComfyUI's, and says what outputs became."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from safelight.graph import Port

Back = Callable[[Any], Any]
"""From a value of ours to one of theirs. Raises Unfit where there is none."""


class Own(NamedTuple):
    """A slot of a piece of the same node."""

    piece: str
    slot: int


Source = Own | Port
"""Where a wire begins: at a piece of the same node, or at a port of the document."""


@dataclass
class Piece:
    """A node of ComfyUI's: values and wires by the names of its inputs."""

    type: str
    typed: dict[str, Any] = field(default_factory=dict)
    wires: dict[str, Source] = field(default_factory=dict)


@dataclass
class Written:
    """What became of a node. The first piece takes its title and place; `outputs` are by our ports. A port of the
    document among them is one that the node only hands on."""

    pieces: dict[str, Piece] = field(default_factory=dict)
    outputs: dict[str, Source | None] = field(default_factory=dict)


class Spot(Protocol):
    """A node of the document and what surrounds it, as a rule sees them."""

    @property
    def type(self) -> str: ...

    def value(self, port: str) -> Any:
        """What is typed into a port; the node's default where nothing is."""
        ...

    def sources(self, port: str) -> Sequence[Port]:
        """What is linked into a port, in order. What is looked at counts as told."""
        ...

    def source(self, port: str) -> Port | None:
        """The first of them."""
        ...

    def put(self, piece: Piece, name: str, port: str, back: Back | None = None) -> None:
        """Gives an input of theirs what a port of ours has: wire, value or nothing."""
        ...

    def keep(self, port: str) -> None:
        """A value that has no counterpart, and is dealt with: it comes back with the file."""
        ...

    def stand_in(self, piece: Piece, written: Mapping[str, Any], ports: Sequence[str], why: str, via: str = "") -> None:
        """Writes values of theirs where ours have no counterpart, and tells why. Ours come back with the file, unless
        one of theirs was changed. `via` is the input of the first piece that `piece` is linked to, where it is another
        one."""
        ...

    def giver(self, source: Port | None) -> Spot | None:
        """The node that a link begins at."""
        ...

    def takes(self, port: str) -> bool:
        """Whether something takes an output."""
        ...

    def told(self, *ports: str) -> None:
        """These ports are dealt with."""
        ...

    def remark(self, said: str) -> None:
        """Tells the reader of the report what is not as it was."""
        ...


Rule = Callable[[Spot], Written]
"""Raises Unfit where a node cannot be written: it stays a node of ours, which ComfyUI calls missing."""


def one(piece: Piece, *outputs: str) -> Written:
    """A node that became one piece, whose slots are these ports in order."""
    return Written({"": piece}, {port: Own("", slot) for slot, port in enumerate(outputs) if port})
