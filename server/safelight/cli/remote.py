"""`safelight run --server URL`: the same as a run here, on another machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from safelight.app import Studio
from safelight.client import Client
from safelight.engine import Event
from safelight.graph import Document, Port
from safelight.interop.delivery import require_writable
from safelight.protocol.records import HostEvent, NodeState, Run, RunDetail
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.widgets import FilePick

from .answer import print_json
from .progress import Progress
from .workflow import report

_PATIENCE = 3.0
_EXIT = {"done": 0, "failed": 1, "cancelled": 130}


def run_there(studio: Studio, document: Document, given: argparse.Namespace, remarks: Sequence[Problem]) -> int:
    """Runs a document on a server and fetches its files. Returns the exit code. `remarks` go into its answer as JSON.

    Raises:
        ProblemError: the server cannot be reached, or refuses the document.
    """
    require_writable(given.output)
    progress = Progress(quiet=given.quiet or given.json)

    def show(event: HostEvent) -> None:
        if isinstance(event, Event):
            progress(event)

    accepted: list[Run] = []
    with Client(given.server, patience=_PATIENCE) as client:
        try:
            run = client.run(
                with_uploads(client, studio, document),
                on_event=show,
                on_accepted=accepted.append,
                targets=given.to,
                force=given.force,
                checkpoint_seconds=given.checkpoint,
                device=given.device,
            )
        except KeyboardInterrupt:
            if accepted:
                client.cancel(accepted[0].id)
            return 130
        except ProblemError as error:
            raise (goes_on(error, f"The run {accepted[0].id} goes on there.") if accepted else error) from None
        progress.close()
        paths = {file.digest: str(client.fetch(file, given.output)) for file in run.files}
    if given.json:
        told = _summary(run, paths)
        print_json({**told, "problems": [*remarks, *told["problems"]]})
    else:
        _print(run, paths)
    return _EXIT[run.status]


def goes_on(error: ProblemError, said: str) -> ProblemError:
    """What is told of a server that is lost while it works for this command."""
    lost = ("server_unreachable", "not_the_server", "refused")
    return ProblemError(
        msgspec.structs.replace(one, hint=f"{said} {one.hint}") if one.code in lost else one for one in error.problems
    )


def with_uploads(client: Client, studio: Studio, document: Document) -> Document:
    """The document with its input files on the server; those that are not here are left for the server to find."""
    graph = studio.check(document).graph
    values: dict[Port, Any] = {}
    everything = graph.everything() if graph is not None else ()
    for name, node in ((path + node.id, node) for path, within in everything for node in within.nodes):
        for port, wire in node.wires.items():
            if wire.sources or not wire.value or not isinstance(node.kind.ports[port].widget, FilePick):
                continue
            try:
                path: Path = studio.services.files.path(str(wire.value))
            except ProblemError:
                continue
            uploaded = client.upload(path, str(wire.value)).file.name
            if uploaded != wire.value:
                values[Port(name, port)] = uploaded
    return document.with_values(values) if values else document


def _summary(run: RunDetail, paths: dict[str, str]) -> dict[str, Any]:
    return {
        "status": run.status,
        "seconds": run.seconds or 0.0,
        "nodes": {name: {"status": _status(state), "seconds": state.seconds} for name, state in run.nodes.items()},
        "outputs": {
            name: [
                {
                    "path": paths[item.file.digest],
                    "media_type": item.file.media_type,
                    "digest": item.file.digest,
                    "size": item.file.size,
                    "width": item.file.width,
                    "height": item.file.height,
                    "frames": item.file.frames,
                    "seconds": item.file.seconds,
                }
                if item.file is not None
                else ({"type": item.type} if item.type else {"value": item.value})
                for item in items
            ]
            for name, items in run.outputs.items()
        },
        "problems": run.problems,
    }


def _status(state: NodeState) -> str:
    return state.status if state.status in ("ran", "cached", "failed") else "skipped"


def _print(run: RunDetail, paths: dict[str, str]) -> None:
    report(run.problems)
    for path in dict.fromkeys(paths.values()):
        print(path)
    for name, items in run.outputs.items():
        for item in items:
            if item.file is None and item.type is None:
                print(f"{name}: {item.value}")
    if run.status == "done":
        print(f"Done in {run.seconds or 0.0:.1f} s on the server.", file=sys.stderr)
