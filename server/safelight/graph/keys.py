"""The keys of nodes, and what a plan asks of the caches to make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from safelight.sdk.codec import hash_text
from safelight.sdk.values import File
from safelight.sdk.widgets import AnyWidget

from .structure import GraphNode, Wire


class Known(Protocol):
    """A remembered result: the digest of each output, or, of a choice not finished, the input it asked for."""

    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def demands(self) -> str | None: ...


class Memory(Protocol):
    """What a plan asks of the caches."""

    def lookup(self, key: str, /) -> Known | None: ...
    def available(self, node: GraphNode, known: Known) -> bool:
        """Whether the values themselves can be had, not only their digests."""
        ...

    def elsewhere(self, known: Known, /) -> bool:
        """Whether values of a remembered result have to come from another machine."""
        ...

    def elements(self, ref: Any, /) -> list[Any]:
        """The references of the elements of a list; raises LookupError when it is gone."""
        ...

    def listed(self, refs: Iterable[Any], /) -> Any:
        """The reference of the list of these values."""
        ...

    def digest(self, value: Any, /) -> str: ...
    def scalar(self, ref: Any) -> Any:
        """A small plain value by reference; raises LookupError for anything else."""
        ...

    def value(self, ref: Any) -> Any:
        """A value of any size by reference; raises LookupError when it is gone."""
        ...

    def files(self, known: Known) -> tuple[File, ...]:
        """The finished files among the outputs of a remembered result; none where they are gone."""
        ...

    def fingerprint(self, widget: AnyWidget, value: str) -> str:
        """The state of the files or models that a value names; empty where it names none.

        Raises ProblemError when one is missing.
        """
        ...

    def last_seconds(self, node_type: str, /) -> float | None: ...


def eager(node: GraphNode) -> list[tuple[str, Wire]]:
    """The inputs that a node always needs, in the order of its declaration."""
    lazy = node.kind.lazy
    if not lazy:
        return list(node.wires.items())
    return [(port, wire) for port, wire in node.wires.items() if port not in lazy]


def given(wire: Wire) -> bool:
    """Whether an input has a value: over a link, or typed in."""
    return bool(wire.sources) or wire.value is not None


class Foreseen(NamedTuple):
    """An output of a light node that has not run yet: in the place of a reference to a remembered value."""

    digest: str
    value: Any


class Typed(Foreseen):
    """A value that is typed into a call, or counted by it: in the place of a reference."""


class Called(NamedTuple):
    """The remembered result of a call. `needs` are all the values without which it is of no use.

    A list among `outputs` may be kept as its elements only.
    """

    outputs: Mapping[str, Any]
    seconds: float
    needs: tuple[Any, ...] = ()
    demands: str | None = None


def needs_of(known: Known) -> Iterable[Any]:
    """The references of the values that a remembered result is made of."""
    return known.needs if isinstance(known, Called) else known.outputs.values()


class Keys:
    """Makes the keys of nodes: digests over type, version, inputs, files and what else changes bits."""

    def __init__(self, memory: Memory, numerics: str) -> None:
        self._memory = memory
        self._numerics = numerics
        self._literals: dict[tuple[type, Any], str] = {}

    def key(self, node: GraphNode, digests: Mapping[str, str]) -> str:
        """The key of a node whose eager inputs have these digests."""
        spec = node.kind.spec
        parts = [spec.id, str(spec.version), self._numerics, node.kind.code]
        if node.kind.lazy:
            # Which of them are connected is known to the node before it asks for any.
            parts.append(
                "lazy " + " ".join(port for port in node.wires if port in node.kind.lazy and given(node.wires[port]))
            )
        parts += [f"{port}={digest}" for port, digest in digests.items()]
        return hash_text("\n".join(parts))

    def lifted(self, node: GraphNode, digests: Mapping[str, str]) -> str:
        """The key of a node that runs once an element: how deep its lists go is part of it.

        The digest of an empty list is one for all depths, and a list may be taken as one value or element by element.
        """
        depths = ",".join(f"{port}:{wire.depth}" for port, wire in node.wires.items() if wire.depth)
        return hash_text(f"each\n{depths}\n{self.key(node, digests)}") if depths else self.key(node, digests)

    def element_wire(self, node: GraphNode, port: str, wire: Wire, value: Any) -> str:
        """The digest of an input for one element of a list: what the element alone, linked, would give."""
        digest = self._memory.digest(value)
        return (f"float:{digest}" if wire.widen else digest) + self._named(node.kind.ports[port].widget, value)

    def choice(self, key: str, port: str, digest: str) -> str:
        """The key of a choice that has seen one more of its lazy inputs."""
        return hash_text(f"{key}\n{port}={digest}")

    def wire(self, node: GraphNode, port: str, wire: Wire, refs: list[Any], values: Callable[[], list[Any]]) -> str:
        """The digest of an input: of what was typed in, or of what the links bring, files and models included.

        `values` gives what the links bring; it is called only where that may name files.
        """
        if not wire.sources:
            digest = self.literal(wire.value)
        elif wire.collect:
            # Whether a link brings a list to be taken apart shows in no digest where the list is empty.
            how = ["collect" + (" float" if wire.widen else "")]
            how += [f"{ref.digest} {spread}" for ref, spread in zip(refs, wire.spread, strict=True)]
            digest = hash_text("\n".join(how))
        else:
            digest = f"float:{refs[0].digest}" if wire.widen else refs[0].digest
        widget = node.kind.ports[port].widget
        if widget is not None and widget.names_files:
            digest += self._named(widget, values() if wire.sources else wire.value)
        return digest

    def _named(self, widget: AnyWidget | None, value: Any) -> str:
        """What the files and models that a value names add to its digest; those of a list, one after the other."""
        if widget is None or not widget.names_files:
            return ""
        if isinstance(value, list | tuple):
            return "".join(self._named(widget, element) for element in value)
        state = self._memory.fingerprint(widget, value) if isinstance(value, str) else ""
        return state and f"@{state}"

    def literal(self, value: Any) -> str:
        if isinstance(value, float) and not value:  # 0.0 and -0.0 are equal, and are not the same
            return self._memory.digest(value)
        try:
            known = self._literals.get((type(value), value))
        except TypeError:  # lists do not hash
            return self._memory.digest(value)
        if known is None:
            known = self._literals[type(value), value] = self._memory.digest(value)
        return known
