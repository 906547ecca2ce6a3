"""Calling one node: its arguments put together, its function run, its outputs taken apart."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from safelight.graph import GraphNode, Wire
from safelight.graph.keys import given
from safelight.graph.survey import Choice
from safelight.sdk.lazy import Lazy
from safelight.sdk.node import value_fault
from safelight.sdk.problem import Problem, ProblemError

log = logging.getLogger(__name__)


class Demand(BaseException):
    """Raised inside a choice node by a lazy input that is not there yet; no `Exception`, so that no node catches it."""

    def __init__(self, port: str) -> None:
        super().__init__(port)
        self.port = port


def argument(wire: Wire, values: list[Any]) -> Any:
    """The argument for a port: what was typed in, or the values that the links bring, as the port wants them."""
    if not wire.sources:
        value = wire.value
        return list(value) if isinstance(value, tuple) else value
    if wire.collect:
        collected: list[Any] = []
        for value, spread in zip(values, wire.spread, strict=True):
            collected += value if spread else [value]
        return _widened(collected) if wire.widen else collected
    return _widened(values[0]) if wire.widen else values[0]


def verify(node: GraphNode, port: str, value: Any) -> None:
    """Holds a value that came over a link against the port's widget and choices, as `check` does with typed-in ones."""
    spec = node.kind.ports[port]
    if value is None or (spec.widget is None and not spec.choices):
        return
    fault = value_fault(node.kind.inputs[port], spec.widget, value)
    if fault:
        problem = Problem(code=fault.code, message=fault.message, hint=fault.hint, node=node.id, port=port, value=value)
        raise ProblemError(problem)


def lazily(node: GraphNode, values: Mapping[str, Any], asked: list[str]) -> dict[str, Lazy[Any] | None]:
    """The lazy inputs of a node: those whose values are there give them, the others raise `Demand`.

    One that nothing is connected to is None, as its default says. What was demanded is added to `asked`: a node that
    catches everything must not hide it.
    """

    def getter(port: str) -> Callable[[], Any]:
        def get() -> Any:
            if port not in values:
                asked.append(port)
                raise Demand(port)
            return values[port]

        return get

    return {port: Lazy(getter(port)) if given(node.wires[port]) else None for port in node.kind.lazy}


def choices(node: GraphNode, values: Mapping[str, Any]) -> Choice:
    """Which lazy inputs a choice node asks for, given its other inputs.

    Choice nodes are light and decide from their eager inputs, so a plan may ask them. One that looks at what it asked
    for before it asks for more cannot say the rest before the run.
    """
    kind = node.kind
    asked: dict[str, Any] = {}
    while not kind.context:
        demanded: list[str] = []
        try:
            kind.function(**values, **lazily(node, asked, demanded))
        except (Demand, _Touched):
            pass
        except Exception:  # the node's own failure, which the run will tell
            log.debug("choice node %s failed in a plan", kind.spec.id, exc_info=True)
        else:
            if not demanded:
                return Choice(frozenset(asked), whole=True)
        if not demanded:
            break
        asked[demanded[0]] = _Unseen()
    return Choice(frozenset(asked), whole=False)


class _Touched(BaseException):
    """A choice node looked at a value that is not there yet."""


def _touched(*_: Any, **__: Any) -> Any:
    raise _Touched


class _Unseen:
    """In the place of a value that is not there yet: it may be handed on, and not looked at."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]


_OPERATIONS = (
    "bool eq ne lt le gt ge len iter getitem getattr contains call index int float str repr add radd sub rsub mul rmul "
    "truediv neg abs array"
)
for _name in _OPERATIONS.split():
    setattr(_Unseen, f"__{_name}__", _touched)


def elements(node: GraphNode, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments of each element of a node that runs once per element, in order.

    Lists of several ports go in step; they must be of one length.
    """
    depths = {port: wire.depth for port, wire in node.wires.items() if wire.depth}
    yield from _elements(node, dict(arguments), depths)


def _elements(node: GraphNode, arguments: dict[str, Any], depths: dict[str, int]) -> Iterator[dict[str, Any]]:
    mapped = {port: depth for port, depth in depths.items() if depth}
    if not mapped:
        yield arguments
        return
    lengths = {port: len(arguments[port]) for port in mapped}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{port} has {length}" for port, length in lengths.items())
        message = f"The lists that come in are not of one length: {said}."
        raise ProblemError(
            Problem(code="length_mismatch", message=message, hint="Make them equally long.", node=node.id)
        )
    lower = {port: depth - 1 for port, depth in mapped.items()}
    for number in range(next(iter(lengths.values()))):
        chosen = {port: arguments[port][number] for port in mapped}
        yield from _elements(node, arguments | chosen, lower)


def nested(node: GraphNode, arguments: Mapping[str, Any], values: Iterable[Any]) -> list[Any]:
    """What the elements gave, in lists like those that came in; empty ones stay where they were."""
    deepest = next(port for port, wire in node.wires.items() if wire.depth == node.lift)
    left = iter(values)

    def shaped(like: Any, depth: int) -> Any:
        return [shaped(element, depth - 1) for element in like] if depth else next(left)

    return shaped(arguments[deepest], node.lift)


def _widened(value: Any) -> Any:
    return [_widened(element) for element in value] if isinstance(value, list) else float(value)
