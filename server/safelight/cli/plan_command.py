"""`safelight plan`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.graph import Plan, PlannedNode, PlannedTurns
from safelight.protocol.graph import PlannedMemory
from safelight.sdk.problem import ProblemError

from .answer import print_json
from .workflow import open_studio, print_help, read_workflow, report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    with open_studio(given) as studio:
        try:
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document, remarks = read_workflow(studio, given, rest)
            plan = studio.plan(studio.check(document, given.to).require())
        except ProblemError as error:
            if given.json:
                print_json({"status": "invalid", "seconds": 0.0, "nodes": {}, "problems": list(error.problems)})
            else:
                report(error.problems)
            return 2
    if given.json:
        nodes = {name: _node(node) for name, node in plan.nodes.items()}
        print_json({"status": "ok", "seconds": plan.seconds, "nodes": nodes, "problems": [*remarks, *plan.problems]})
    else:
        _print(plan)
        report(remarks)
    return 0


def _node(node: PlannedNode) -> dict[str, Any]:
    turns = {"turns": msgspec.to_builtins(node.turns)} if node.turns is not None else {}
    memory = {"memory": msgspec.to_builtins(node.memory)} if node.memory is not None else {}
    shared = {"shared": True} if node.shared else {}
    return {"status": node.status, "seconds": node.seconds, **shared, **turns, **memory}


_WAYS = {
    "whole": "",
    "swap": ", alone: other models make room",
    "offload": ", block by block from main memory",
    "lacking": ": more than there is",
}


def _memory(memory: PlannedMemory | None) -> str:
    """`2.1 GB of models and 0.4 GB to work, of 8.0 GB on cuda`."""
    if memory is None:
        return ""
    weights, working, room = map(_bytes, (memory.weights, memory.working, memory.room))
    return f"  {weights} of models and {working} to work, of {room} on {memory.device}{_WAYS[memory.way]}"


def _turns(turns: PlannedTurns | None) -> str:
    """`7 of 10 turns cached`, as far as it is known."""
    if turns is None:
        return ""
    total = "an unknown number of" if turns.total is None else f"{turns.total:,}"
    unseen = f", {_unseen(turns):,} not looked at" if _unseen(turns) else ""
    return f"  {turns.cached:,} of {total} turn{'' if turns.total == 1 else 's'} cached{unseen}"


def _unseen(turns: PlannedTurns | None) -> int:
    """Turns of which nothing is known, because there are too many to look at all of them."""
    return 0 if turns is None or turns.total is None else turns.total - turns.cached - turns.run


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _print(plan: Plan) -> None:
    width = max((len(name) for name in plan.nodes), default=0)
    for name, node in plan.nodes.items():
        seconds = f"{node.seconds:8.2f} s" if node.seconds is not None and node.status != "off" else ""
        place = "  in the team's cache" if node.shared else ""
        print(
            f"  {name:<{width}}  {node.status:<8} {seconds}{place}{_turns(node.turns)}{_memory(node.memory)}".rstrip()
        )
    counts = [node.status for node in plan.nodes.values()]
    unknown = f", {counts.count('unknown')} not known yet" if "unknown" in counts else ""
    more = " or more" if unknown or any(_unseen(node.turns) for node in plan.nodes.values()) else ""
    said = f"{counts.count('run')} to run, {counts.count('cached')} cached{unknown}"
    print(f"{said}; about {plan.seconds:.1f} s{more}.")
    report(plan.problems)
