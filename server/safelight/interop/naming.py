"""What stands for the tokens in the names of saved files: dates, seeds, and values of the workflow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from safelight.graph import Graph
from safelight.graph.plan import eager
from safelight.sdk.file_names import PLAIN_TOKENS, TOKEN, pattern_fault, value_in_name
from safelight.sdk.problem import Problem, did_you_mean
from safelight.sdk.widgets import Seed, Text

_LEFT = ("counter", "date", "time")


def unknown_tokens(graph: Graph) -> list[Problem]:
    """`bad_file_name` for names that are typed in and hold a value that the graph does not know."""
    problems: list[Problem] = []
    for node in graph.nodes:
        for port, wire in node.wires.items():
            spec = node.kind.ports.get(port)
            if node.off or spec is None or not isinstance(spec.widget, Text) or not spec.widget.file_name:
                continue
            if wire.sources or not isinstance(wire.value, str):
                continue
            for message, hint in _faults(wire.value, graph, node.id):
                problems.append(
                    Problem(code="bad_file_name", message=message, hint=hint, node=node.id, port=port, value=wire.value)
                )
    return problems


def filled_name(pattern: str, graph: Graph, node: str, now: float | None = None) -> str:
    """A pattern of a node's file with all its tokens but `{counter}` filled in. The time is that of the machine."""
    moment = time.localtime(now)

    def fill(match: Any) -> str:
        token = match[1]
        if token == "counter":
            return match[0]
        if token in ("date", "time"):
            return time.strftime("%Y-%m-%d" if token == "date" else "%H-%M-%S", moment)
        found = _value(graph, node, token)
        return match[0] if found is None else value_in_name(found)

    return TOKEN.sub(fill, pattern)


def _faults(pattern: str, graph: Graph, node: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the tokens of a pattern, or with the name that they make."""
    whole = True
    for token in TOKEN.findall(pattern):
        fault = None if token in _LEFT else _fault(graph, node, token)
        if fault is not None:
            whole = False
            yield f"{pattern!r} holds {{{token}}}: {fault[0]}", fault[1]
    filled = filled_name(pattern, graph, node)
    if whole and filled != pattern and (wrong := pattern_fault(filled)) is not None:
        yield f"{pattern!r} makes {filled!r}, which {wrong[0]}", wrong[1]


def _fault(graph: Graph, node: str, token: str) -> tuple[str, str] | None:
    if _value(graph, node, token) is not None:
        return None
    if token == "seed":
        return "no seed leads to this node.", "Name the port: {NODE.PORT}."
    name, _, port = token.rpartition(".")
    if name not in graph.index:
        known = did_you_mean(name, graph.index)
        return (
            f"the workflow has no node {name!r}.",
            known or f"{', '.join(PLAIN_TOKENS)} are known, and {{NODE.PORT}}.",
        )
    wires = graph.nodes[graph.index[name]].wires
    if port not in wires:
        return f"{name} has no input {port!r}.", did_you_mean(port, wires)
    return f"{token} holds no number or text that was typed in.", "Name the node that its value comes from."


def _value(graph: Graph, node: str, token: str) -> bool | int | float | str | None:
    """The value behind `seed` or `NODE.PORT`: typed in there, or in a node of one value that is linked to it."""
    if token == "seed":
        return _seed(graph, node)
    name, _, port = token.rpartition(".")
    number = graph.index.get(name)
    wire = graph.nodes[number].wires.get(port) if number is not None else None
    while wire is not None and len(wire.sources) == 1:
        inputs = [found for _, found in eager(graph.nodes[wire.sources[0][0]])]
        wire = inputs[0] if len(inputs) == 1 else None
    value = wire.value if wire is not None and not wire.sources else None
    return value if isinstance(value, bool | int | float | str) else None


def _seed(graph: Graph, node: str) -> int | None:
    """The seed that is typed in nearest to a node, on the way to it."""
    todo, seen = [graph.index[node]], {graph.index[node]}
    for number in todo:
        one = graph.nodes[number]
        for port, wire in one.wires.items():
            spec = one.kind.ports.get(port)
            if spec is not None and isinstance(spec.widget, Seed) and not wire.sources and isinstance(wire.value, int):
                return wire.value
        for wire in one.wires.values():
            new = [source for source, _ in wire.sources if source not in seen]
            seen.update(new)
            todo += new
    return None
