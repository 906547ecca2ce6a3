"""Executes a graph: only what is needed, nothing that is known, and as far as it goes when something fails."""

from __future__ import annotations

import time
from typing import Any

from safelight.graph import Graph
from safelight.protocol.events import Event, RunFinished, RunStarted, RunStatus
from safelight.sdk.problem import Cancelled, errors

from .cache import MISSING, ValueRef
from .cancel import Cancel
from .context import Services
from .frame import Frame
from .result import Copies, Deliver, RunOptions, RunResult
from .running import Emit, Running


def run(
    graph: Graph,
    services: Services,
    numerics: str,
    *,
    run_id: str = "run",
    emit: Emit | None = None,
    cancel: Cancel | None = None,
    options: RunOptions | None = None,
    deliver: Deliver | None = None,
) -> RunResult:
    """Runs the targets of a graph and returns when all that can be done is done.

    Never raises for what a node does: a failure is an event and a problem of the result. `emit` is called in this
    thread and should return at once. `deliver` gets the finished files of each output node when it is through.
    """
    # A Cancel that is not set is false: `or` would put another one in its place.
    cancel = Cancel() if cancel is None else cancel
    options, emit = options or RunOptions(), emit or _silent
    with services.cache.holding() as holding:
        running = Running(graph, services, numerics, run_id, emit, cancel, options, holding, deliver)
        started = time.perf_counter()
        emit(RunStarted(run=run_id, nodes=tuple(node.id for node in graph.nodes)))
        frame = Frame(running, graph, holding, options.force, kept={number for number, _ in graph.outputs.values()})
        status: RunStatus = "done"
        try:
            frame.run()
            status = "failed" if errors(running.problems) else "done"
        except Cancelled:
            status = "cancelled"
        services.cache.flush()
        seconds = time.perf_counter() - started
        emit(RunFinished(run=run_id, status=status, seconds=seconds))
        outputs: dict[str, ValueRef] = {}
        values: dict[str, Any] = {}
        for name, source in graph.outputs.items():
            ref, value = frame.ref(source), frame.live(source)
            if ref is not None and value is not MISSING:
                outputs[name], values[name] = ref, value
        reports = frame.reports() | running.reports
        handed_out = Copies(values, services.cache.codec)
        return RunResult(status, seconds, reports, outputs, handed_out, running.files, running.problems)


def _silent(event: Event) -> None:
    """For callers that want the result only."""
    del event
