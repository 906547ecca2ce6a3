"""Whether a file was made by a model that paints: what the mark of its origin says."""

from __future__ import annotations

from collections.abc import Iterable

from safelight.graph.structure import Graph, GraphNode

_PAINTS = "ModelRef[Denoiser]"


def made_by_model(trail: Iterable[tuple[Graph, int]]) -> bool:
    """Whether a node, given by the way to it from itself outwards, follows one that a denoiser goes into."""
    return any(_paints(node) for graph, number in trail for node in _before(graph, number))


def _before(graph: Graph, number: int) -> Iterable[GraphNode]:
    seen, todo = {number}, [number]
    while todo:
        node = graph.nodes[todo.pop()]
        yield node
        for wire in node.wires.values():
            new = {source for source, _ in wire.sources} - seen
            seen |= new
            todo += new


def _paints(node: GraphNode) -> bool:
    if node.body is not None:
        return any(_paints(inner) for inner in node.body.graph.nodes)
    return any(port.type == _PAINTS for port in node.kind.spec.inputs)
