"""How many nodes of a run could compute at the same time."""

from __future__ import annotations

from collections import Counter

from .plan import Plan
from .structure import Graph

WORTH = 0.3
"""Seconds that a node must be expected to take for another process to be worth its while."""
MANY = 1_000


def breadth(graph: Graph, plan: Plan, force: frozenset[str] = frozenset()) -> int:
    """The most nodes that wait for each other in no way, of those that will run, take long and keep their results.

    Nodes are taken in layers, by how many such nodes lie above each: of a wide graph with branches of different lengths
    this finds less than there is. A node that runs for each element of a list counts as many.
    """
    layers: Counter[int] = Counter()
    depth = [0] * len(graph.nodes)
    for number in graph.order:
        node = graph.nodes[number]
        above = max((depth[source] for wire in node.wires.values() for source, _ in wire.sources), default=0)
        planned = plan.nodes[node.id]
        seconds = planned.seconds
        long = (
            planned.status == "run"
            and node.body is None
            and not node.kind.spec.output
            and not node.kind.cheap
            and node.kind.spec.cache
            and node.id not in force
            and (seconds is None or seconds >= WORTH)
        )
        if long:
            layers[above] += MANY if node.lift else 1
        depth[number] = above + long
    return max(layers.values(), default=0)
