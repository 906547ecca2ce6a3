"""What a run will do, told before it is done.

`plan` touches no files and runs no nodes but light ones; what it knows of caches it asks of a `Memory`.
"""

from __future__ import annotations

import msgspec

from safelight.protocol.graph import PlannedTurns
from safelight.sdk.problem import Problem

from .keys import Called, Keys, Memory
from .pause import no_collection
from .structure import Graph
from .survey import Choose, Light, Status, Survey


class PlannedNode(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of one node. `seconds` is what it took last time, where that is known.

    `run` holds unless an input turns out to be unchanged; `unknown` nodes lie below a choice not yet made.
    """

    status: Status
    seconds: float | None = None
    turns: PlannedTurns | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole prediction. `seconds` adds up what is expected of the nodes that will run."""

    nodes: dict[str, PlannedNode]
    seconds: float
    problems: tuple[Problem, ...] = ()


def plan(
    graph: Graph,
    memory: Memory,
    numerics: str = "",
    *,
    force: frozenset[str] = frozenset(),
    choose: Choose | None = None,
    light: Light | None = None,
) -> Plan:
    """Predicts a run.

    Args:
        graph: a checked graph.
        memory: the caches.
        numerics: what else changes bits: device, precision, versions.
        force: ids of nodes that are to run even if their result is known.
        choose: see `Choose`.
        light: see `Light`.
    """
    with no_collection():
        survey = Survey(graph, memory, Keys(memory, numerics), force, choose, light)
        nodes: dict[str, PlannedNode] = {}
        total = 0.0
        for number, (node, status) in enumerate(zip(graph.nodes, survey.statuses, strict=True)):
            known = survey.known[number]
            turns = survey.turns.get(number)
            if turns is not None:
                needs = turns.needs if status == "run" else ()
                lost = sum(not memory.available(node, Called({}, 0.0, refs)) for refs in needs)
                planned = PlannedTurns(total=turns.total, cached=len(turns.needs) - lost, run=turns.run + lost)
                seconds = known.seconds if known else turns.to_run
            else:
                planned, seconds = None, known.seconds if known else memory.last_seconds(node.kind.spec.id)
            total += (seconds or 0.0) if status == "run" else 0.0
            nodes[node.id] = PlannedNode(status=status, seconds=seconds, turns=planned)
        return Plan(nodes=nodes, seconds=total, problems=tuple(survey.problems))
