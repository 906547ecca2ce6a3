"""`safelight run`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from safelight.app import Outcome
from safelight.engine import Cancel, RunOptions
from safelight.models.hardware import device_called
from safelight.sdk.problem import Problem, ProblemError

from .answer import print_json
from .progress import Progress
from .workflow import open_studio, print_help, read_workflow, report, send_results

_EXIT = {"done": 0, "failed": 1, "cancelled": 130}


def execute(given: argparse.Namespace, rest: Sequence[str]) -> int:
    if given.device and not given.server:
        try:
            os.environ["SAFELIGHT_DEVICE"] = device_called(given.device)
        except ProblemError as error:
            return refused(error.problems, given.json)
    with open_studio(given) as studio:
        try:
            if given.help or not given.workflow:
                print_help(studio, given)
                return 0 if given.help else 2
            document, remarks = read_workflow(studio, given, rest)
            if not given.json:
                report(remarks)
            if given.server:
                from .remote import run_there

                return run_there(studio, document, given, remarks)
            studio.cache.catch_up()
            progress = Progress(quiet=given.quiet or given.json)
            options = RunOptions(checkpoint_seconds=given.checkpoint, force=frozenset(given.force))
            with interruptible() as cancel:
                outcome = studio.run(
                    document, output=given.output, targets=given.to, emit=progress, cancel=cancel, options=options
                )
            progress.close()
        except ProblemError as error:
            return refused(error.problems, given.json)
        if given.json:
            told = summary(outcome)
            print_json({**told, "problems": [*remarks, *told["problems"]]})
        else:
            _print(outcome)
        sys.stdout.flush()  # who waits for the result need not wait for what follows
        send_results(studio)
    return _EXIT[outcome.result.status]


def refused(problems: Sequence[Problem], as_json: bool) -> int:
    """What is wrong with the workflow or the command, told before anything ran."""
    if as_json:
        print_json({"status": "invalid", "seconds": 0.0, "nodes": {}, "outputs": {}, "problems": list(problems)})
    else:
        report(problems)
    return 2


def summary(outcome: Outcome) -> dict[str, Any]:
    """The JSON object of a run: see section "Command line" of the documentation."""
    reports = outcome.result.nodes
    nodes: dict[str, dict[str, Any]] = {}
    for node in outcome.graph.nodes:
        found = reports.get(node.id)
        status = found.status if found and found.status != "off" else "skipped"
        nodes[node.id] = {"status": status, "seconds": found.seconds if found else 0.0}
    nodes |= {  # those of turns
        name: {"status": found.status if found.status != "off" else "skipped", "seconds": found.seconds}
        for name, found in reports.items()
        if name not in nodes
    }
    return {
        "status": outcome.result.status,
        "seconds": outcome.result.seconds,
        "nodes": nodes,
        "outputs": outcome.outputs,
        "problems": outcome.result.problems,
    }


@contextmanager
def interruptible() -> Iterator[Cancel]:
    """Ctrl-C asks the run to stop at its next step; a second one ends the process at once."""
    cancel = Cancel()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        if cancel:
            os._exit(130)
        cancel.set()
        sys.stderr.write("\nStopping after this step; press Ctrl-C again to end at once.\n")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, before)


def _print(outcome: Outcome) -> None:
    result = outcome.result
    report(result.problems)
    shown: set[str] = set()
    for name, entries in outcome.outputs.items():
        for entry in entries:
            if "path" in entry:
                shown.add(entry["path"])
                print(entry["path"])
            elif "value" in entry:
                print(f"{name}: {entry['value']}")
    for files in outcome.delivered.values():
        for file in files:
            if file.path not in shown:
                print(file.path)
    if result.status == "cancelled":
        print("Cancelled. Run the same command again to go on from the last checkpoint.", file=sys.stderr)
    elif result.status == "done":
        ran = sum(1 for node in result.nodes.values() if node.status == "ran")
        said = "everything was cached" if not ran else f"{ran} node{'s' if ran != 1 else ''} ran"
        print(f"Done in {result.seconds:.1f} s; {said}.", file=sys.stderr)
