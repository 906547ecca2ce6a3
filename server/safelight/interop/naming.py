"""What stands for the tokens in the names of saved files: dates, seeds, and values of the workflow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from safelight.graph import Graph
from safelight.graph.keys import eager
from safelight.graph.ports import PARAMETER
from safelight.sdk.file_names import PLAIN_TOKENS, TOKEN, pattern_fault, value_in_name
from safelight.sdk.problem import Problem, did_you_mean
from safelight.sdk.widgets import Seed, Text

Trail = Sequence[tuple[Graph, int]]
"""A node, and the calls that it lies in, from itself outwards."""
_LATER = object()
_LEFT = ("counter", "date", "time")


def unknown_tokens(graph: Graph) -> list[Problem]:
    """`bad_file_name` for names that are typed in and hold a value that the graph does not know."""
    problems: list[Problem] = []
    for path, within in graph.everything():
        for node in within.nodes:
            for port, wire in node.wires.items():
                spec = node.kind.ports.get(port)
                if node.off or spec is None or not isinstance(spec.widget, Text) or not spec.widget.file_name:
                    continue
                if wire.sources or not isinstance(wire.value, str):
                    continue
                name = path + node.id
                problems += [
                    Problem(code="bad_file_name", message=message, hint=hint, node=name, port=port, value=wire.value)
                    for message, hint in _faults(wire.value, graph.trail(name))
                ]
    return problems


def filled_name(pattern: str, trail: Trail, now: float | None = None) -> str:
    """A pattern of a node's file with all its tokens but `{counter}` filled in. The time is that of the machine."""
    moment = time.localtime(now)

    def fill(match: Any) -> str:
        token = match[1]
        if token == "counter":
            return match[0]
        if token in ("date", "time"):
            return time.strftime("%Y-%m-%d" if token == "date" else "%H-%M-%S", moment)
        found = _value(trail, token)
        return match[0] if found is None or found is _LATER else value_in_name(found)

    return TOKEN.sub(fill, pattern)


def _faults(pattern: str, trail: Trail) -> Iterator[tuple[str, str]]:
    """What is wrong with the tokens of a pattern, or with the name that they make."""
    whole = True
    for token in TOKEN.findall(pattern):
        fault = None if token in _LEFT else _fault(trail, token)
        if fault is not None:
            whole = False
            yield f"{pattern!r} holds {{{token}}}: {fault[0]}", fault[1]
    filled = filled_name(pattern, trail)
    if whole and filled != pattern and (wrong := pattern_fault(filled)) is not None:
        yield f"{pattern!r} makes {filled!r}, which {wrong[0]}", wrong[1]


def _fault(trail: Trail, token: str) -> tuple[str, str] | None:
    if _value(trail, token) is not None:
        return None
    if token == "seed":
        return "no seed leads to this node.", "Name the port: {NODE.PORT}."
    name, _, port = token.rpartition(".")
    found = _node(trail, name)
    if found is None:
        known = did_you_mean(name, [known for graph, _ in trail for known in graph.index])
        return (
            f"the workflow has no node {name!r}.",
            known or f"{', '.join(PLAIN_TOKENS)} are known, and {{NODE.PORT}}.",
        )
    wires = found[0].nodes[found[1]].wires
    if port not in wires:
        return f"{name} has no input {port!r}.", did_you_mean(port, wires)
    return f"{token} holds no number or text that was typed in.", "Name the node that its value comes from."


def _node(trail: Trail, name: str) -> tuple[Graph, int] | None:
    """A node by its name, as it is seen from inside a call or further out."""
    return next((found[0] for graph, _ in trail if (found := graph.trail(name))), None)


def _value(trail: Trail, token: str) -> Any:
    """The value behind `seed` or `NODE.PORT`: typed in there, or in a node of one value that is linked to it.

    It is `_LATER` where it comes into a call, and each turn has its own.
    """
    if token == "seed":
        return next((seed for graph, number in trail if (seed := _seed(graph, number)) is not None), None)
    name, _, port = token.rpartition(".")
    found = _node(trail, name)
    if found is None:
        return None
    graph, number = found
    wire = graph.nodes[number].wires.get(port)
    while wire is not None and len(wire.sources) == 1:
        source = graph.nodes[wire.sources[0][0]]
        inputs = [found for _, found in eager(source)]
        if source.given and not inputs:
            return _LATER
        wire = inputs[0] if len(inputs) == 1 else None
    value = wire.value if wire is not None and not wire.sources else None
    return value if isinstance(value, bool | int | float | str) else None


def _seed(graph: Graph, start: int) -> Any:
    """The seed that is typed in nearest to a node, on the way to it; `_LATER` where it comes into a call."""
    todo, seen = [start], {start}
    for number in todo:
        one = graph.nodes[number]
        for port, wire in one.wires.items():
            spec = one.kind.ports.get(port)
            if spec is None or not isinstance(spec.widget, Seed):
                continue
            if not wire.sources and isinstance(wire.value, int):
                return wire.value
            source = graph.nodes[wire.sources[0][0]] if len(wire.sources) == 1 else None
            if source is not None and source.given:
                typed = source.wires.get(PARAMETER)
                return _LATER if typed is None else typed.value
        for wire in one.wires.values():
            new = [source for source, _ in wire.sources if source not in seen]
            seen.update(new)
            todo += new
    return None
