"""`safelight plan`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.graph import Plan, PlannedNode, PlannedTurns
from safelight.sdk.problem import ProblemError

from .answer import print_json
from .workflow import open_studio, print_help, read_workflow, report


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    with open_studio(given) as studio:
        try:
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document = read_workflow(studio, given, rest)
            plan = studio.plan(studio.check(document, given.to).require())
        except ProblemError as error:
            if given.json:
                print_json({"status": "invalid", "seconds": 0.0, "nodes": {}, "problems": list(error.problems)})
            else:
                report(error.problems)
            return 2
    if given.json:
        nodes = {name: _node(node) for name, node in plan.nodes.items()}
        print_json({"status": "ok", "seconds": plan.seconds, "nodes": nodes, "problems": list(plan.problems)})
    else:
        _print(plan)
    return 0


def _node(node: PlannedNode) -> dict[str, Any]:
    turns = {"turns": msgspec.to_builtins(node.turns)} if node.turns is not None else {}
    return {"status": node.status, "seconds": node.seconds, **turns}


def _turns(turns: PlannedTurns | None) -> str:
    """`7 of 10 turns cached`, as far as it is known."""
    if turns is None:
        return ""
    total = "an unknown number of" if turns.total is None else str(turns.total)
    return f"  {turns.cached} of {total} turn{'' if turns.total == 1 else 's'} cached"


def _print(plan: Plan) -> None:
    width = max((len(name) for name in plan.nodes), default=0)
    for name, node in plan.nodes.items():
        seconds = f"{node.seconds:8.2f} s" if node.seconds is not None and node.status != "off" else ""
        print(f"  {name:<{width}}  {node.status:<8} {seconds}{_turns(node.turns)}".rstrip())
    counts = [node.status for node in plan.nodes.values()]
    print(f"{counts.count('run')} to run, {counts.count('cached')} cached; about {plan.seconds:.1f} s.")
    report(plan.problems)
