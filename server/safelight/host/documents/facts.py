"""What led to an output, for people: prompts, models, seed, and every parameter on the way to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safelight.graph import Document, Graph, GraphNode, check
from safelight.protocol.facts import Facts, Parameter
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import ProblemError
from safelight.sdk.widgets import ModelPick, Seed, Text

_MOST_PARAMETERS = 400
_TEXT = 4_000
_LIST = 50


def facts_of(graph: Graph, node: str) -> Facts:
    """The facts of what a node of a checked graph made."""
    prompts: dict[str, None] = {}
    models: dict[str, None] = {}
    types: dict[str, None] = {}
    seeds: list[int] = []
    parameters: list[Parameter] = []
    for one in (one for within, number in graph.trail(node) for one in _upstream(within, number)):
        types[one.kind.spec.id] = None
        for name, wire in one.wires.items():
            port = one.kind.ports.get(name)
            if wire.sources or port is None or port.widget is None or wire.value is None:
                continue
            value = wire.value
            if isinstance(port.widget, Text) and port.widget.prompt and isinstance(value, str) and value.strip():
                prompts[value[:_TEXT]] = None
            elif isinstance(port.widget, ModelPick) and isinstance(value, str) and value:
                models[value] = None
            elif isinstance(port.widget, Seed) and isinstance(value, int):
                seeds.append(value)
            if len(parameters) < _MOST_PARAMETERS:
                parameters.append(Parameter(node=one.id, type=one.kind.spec.id, port=name, value=_short(value)))
    return Facts(
        prompts=tuple(prompts),
        models=tuple(models),
        seed=seeds[0] if seeds else None,
        nodes=tuple(types),
        parameters=tuple(parameters),
    )


def facts_in(document: Document, catalogue: Catalogue) -> Facts:
    """The facts of an image by the document that it carries: of all of it, as it does not say which node saved it."""
    try:
        graph = check(document, catalogue).graph
    except ProblemError:
        graph = None
    if graph is None or not graph.targets:
        types = dict.fromkeys(node.type for node in document.nodes.values())
        texts = [value for node in document.nodes.values() for value in node.values.values() if isinstance(value, str)]
        return Facts(prompts=tuple(text[:_TEXT] for text in texts[:20]), nodes=tuple(types))
    merged = [facts_of(graph, graph.nodes[target].id) for target in graph.targets[:20]]
    return Facts(
        prompts=tuple(dict.fromkeys(text for one in merged for text in one.prompts)),
        models=tuple(dict.fromkeys(model for one in merged for model in one.models)),
        seed=next((one.seed for one in merged if one.seed is not None), None),
        nodes=tuple(dict.fromkeys(kind for one in merged for kind in one.nodes)),
        parameters=tuple({(p.node, p.port): p for one in merged for p in one.parameters}.values()),
    )


def _upstream(graph: Graph, number: int) -> Iterator[GraphNode]:
    """A node and all that lead to it, in the order in which they run."""
    needed, todo = {number}, [number]
    while todo:
        for wire in graph.nodes[todo.pop()].wires.values():
            for source, _ in wire.sources:
                if source not in needed:
                    needed.add(source)
                    todo.append(source)
    nodes = (graph.nodes[one] for one in graph.order if one in needed)
    return (node for node in nodes if not (node.off or node.given or node.body))


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_TEXT]
    return value[:_LIST] if isinstance(value, list) else value
