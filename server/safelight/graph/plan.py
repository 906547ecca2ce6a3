"""What a run will do, told before it is done.

`plan` touches no files and runs no nodes but light ones; what it knows of caches it asks of a `Memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from safelight.protocol.graph import PlannedMemory, PlannedTurns
from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Problem
from safelight.sdk.values import File

from .keys import Called, Keys, Memory
from .pause import no_collection
from .structure import Graph
from .survey import Choose, Light, Status, Survey


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a node makes, in pixels, frames and images at once; 0 where it is what the model was made for."""

    width: int = 0
    height: int = 0
    frames: int = 0
    batch: int = 1


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The models that a node computes with, as far as they are known, and the size of what it makes."""

    refs: tuple[ModelRef[Any], ...]
    size: Size


Need = Callable[[Mapping[str, Ask]], dict[str, PlannedMemory]]
"""By node, what its models need in memory. A node may be left out."""


class PlannedNode(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of one node. `seconds` is what it took last time, where that is known.

    `run` holds unless an input turns out to be unchanged; `unknown` nodes lie below a choice not yet made. `files` are
    those that a cached output node has made. A result that is `shared` has to come from the bucket of the team.
    """

    status: Status
    seconds: float | None = None
    turns: PlannedTurns | None = None
    memory: PlannedMemory | None = None
    files: tuple[File, ...] = ()
    shared: bool = False


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
    need: Need | None = None,
) -> Plan:
    """Predicts a run.

    Args:
        graph: a checked graph.
        memory: the caches.
        numerics: what else changes bits: device, precision, versions.
        force: ids of nodes that are to run even if their result is known.
        choose: see `Choose`.
        light: see `Light`.
        need: see `Need`.
    """
    with no_collection():
        survey = Survey(graph, memory, Keys(memory, numerics), force, choose, light)
        asks = {
            node.id: Ask(refs=refs, size=_size(graph, number))
            for number, (node, status) in enumerate(zip(graph.nodes, survey.statuses, strict=True))
            if need is not None and status == "run" and (refs := survey.models(number))
        }
        memories = need(asks) if need is not None and asks else {}
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
            made = memory.files(known) if known and status == "cached" and node.kind.spec.output else ()
            shared = known is not None and status == "cached" and memory.elsewhere(known)
            nodes[node.id] = PlannedNode(
                status=status, seconds=seconds, turns=planned, memory=memories.get(node.id), files=made, shared=shared
            )
        return Plan(nodes=nodes, seconds=total, problems=tuple(survey.problems))


def _size(graph: Graph, number: int) -> Size:
    """The size that is typed in at a node, or at the nearest node above it that has one."""
    wanted = msgspec.structs.fields(Size)
    seen, now = {number}, [number]
    while now:
        for at in now:
            wires = graph.nodes[at].wires
            if "width" in wires and "height" in wires:
                typed = {field.name: wires[field.name].value for field in wanted if field.name in wires}
                return Size(**{name: value for name, value in typed.items() if isinstance(value, int)})
        above = {source for at in now for wire in graph.nodes[at].wires.values() for source, _ in wire.sources}
        now = sorted(above - seen)
        seen |= above
    return Size()
