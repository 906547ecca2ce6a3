"""What all graphs of one run share, the outer one and the bodies of its calls: and what is told of their nodes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from safelight.graph import Graph, GraphNode, Keys
from safelight.graph.structure import PLAIN
from safelight.protocol.events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
)
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.values import File

from .cache import MISSING, ValueRef
from .cache.pins import Holding
from .calling import Caller
from .cancel import Cancel
from .context import Services
from .each import Each
from .failure import output_lost, unexpected
from .memory import CacheMemory, files_in
from .result import Deliver, NodeReport, RunOptions
from .thin import Thin

log = logging.getLogger(__name__)

_READABLE = 2000  # bytes of a value that is told with the end of its node
_MOST_REPORTS = 2_000
"""Nodes of turns that the result has a report of; calls themselves count all."""
_MOST_WARNINGS = 100

Emit = Callable[[Event], None]


class Running:
    """A run as its graphs see it. Events of turns are thinned out where they come faster than anybody can follow."""

    def __init__(
        self,
        graph: Graph,
        services: Services,
        numerics: str,
        run_id: str,
        emit: Emit,
        cancel: Cancel,
        options: RunOptions,
        holding: Holding,
        deliver: Deliver | None,
    ) -> None:
        self.services = services
        self.cache = services.cache
        self.memory = CacheMemory(services)
        self.keys = Keys(self.memory, numerics)
        self.id = run_id
        self.cancel = cancel
        self.options = options
        self.holding = holding
        self.emit = emit
        self._top = graph.index
        self._thin = Thin()
        self._deliver = deliver
        self.caller = Caller(services, run_id, self.tell, cancel, options, holding, self._warned)
        self.each = Each(services, self.keys, self.memory, self.caller, cancel, self.gone, options.shared)
        self.problems: list[Problem] = []
        self.files: dict[str, list[File]] = {}
        self.reports: dict[str, NodeReport] = {}
        self._warnings: set[tuple[str, str]] = set()

    # What is told.

    def tell(self, event: Any) -> None:
        """Emits an event of a node; of a turn's node only where there is time for it."""
        if event.node in self._top or self._thin.passes(event):
            self.emit(event)

    def started(self, node: GraphNode) -> None:
        self.tell(NodeStarted(run=self.id, node=node.id))

    def progress(self, node: GraphNode, step: int, total: int) -> None:
        self.tell(NodeProgress(run=self.id, node=node.id, step=step, total=total))

    def skipped(self, node: GraphNode, because: str) -> None:
        self.tell(NodeSkipped(run=self.id, node=node.id, because=because))

    def finished(
        self,
        node: GraphNode,
        graph: Graph,
        live: dict[str, Any],
        refs: dict[str, ValueRef],
        *,
        cached: bool,
        seconds: float,
    ) -> None:
        """A node of a graph is through: its files are handed over, and its end is told."""
        files = [file for value in live.values() for file in files_in(value)] if node.kind.spec.output else []
        if node.kind.spec.output:
            files = self.files[node.id] = self._handed_over(node, graph, files)
        self.tell(
            NodeFinished(
                run=self.id,
                node=node.id,
                cached=cached,
                seconds=seconds,
                bytes=sum(ref.size for ref in refs.values()),
                files=tuple(files),
                values=self._readable(node, live, refs),
            )
        )

    def failed(self, node: GraphNode, error: BaseException) -> None:
        """A node raised this."""
        self.say(node, problems_of(node, error))

    def say(self, node: GraphNode, problems: list[Problem]) -> None:
        self.problems += problems
        for problem in problems:
            self.tell(NodeFailed(run=self.id, node=node.id, problem=problem))

    def _warned(self, node: GraphNode, problem: Problem) -> None:
        placed = problem.at(node.id).warning()
        if node.id not in self._top:  # once, and not in every turn
            said = (problem.code, problem.message)
            if said in self._warnings or len(self._warnings) >= _MOST_WARNINGS:
                return
            self._warnings.add(said)
        self.problems.append(placed)
        self.tell(NodeWarned(run=self.id, node=node.id, problem=placed))

    def report(self, node: str, report: NodeReport) -> None:
        """What became of a node of a turn."""
        if len(self.reports) < _MOST_REPORTS:
            self.reports[node] = report

    # What became of outputs.

    def gone(self, node: GraphNode, values: dict[str, Any]) -> bool:
        """Whether the bytes of a finished file are not there any more."""
        if not node.kind.spec.output:
            return False
        return not all(self.holding.bytes(file.digest) for value in values.values() for file in files_in(value))

    def _handed_over(self, node: GraphNode, graph: Graph, files: list[File]) -> list[File]:
        """The finished files of a node, given to whoever wants them, by the names that they got there. This is done at
        once: later they may be evicted."""
        named: list[File] = []
        for file in files:
            written = file
            if self._deliver is not None and file.keep:
                data = self.caller.saved(file.digest)
                if data is None:
                    data = self.cache.content(file.digest)
                try:
                    if data is None:
                        raise ProblemError(output_lost(file))
                    written = replace(file, name=self._deliver(node.id, file, data, graph))
                except ProblemError as error:
                    self.problems += [problem.at(node.id) for problem in error.problems]
            named.append(written)
        self.caller.forget()
        return named

    def _readable(self, node: GraphNode, live: dict[str, Any], refs: dict[str, ValueRef]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for port, kind in node.kind.outputs.items():
            if kind.innermost.name not in PLAIN:
                continue
            if port in live:
                value = live[port]
            elif port in refs and refs[port].size <= _READABLE:
                value = self.cache.get(refs[port])
            else:
                continue
            if value is not MISSING and len(msgspec.json.encode(value)) <= _READABLE:
                found[port] = value
        return found


def problems_of(node: GraphNode, error: BaseException) -> list[Problem]:
    """What is said of a node that raised this."""
    if isinstance(error, ProblemError):
        return [problem.at(node.id) for problem in error.problems]
    problems = [unexpected(node, error)]
    # Not with `exc_info`: what foreign errors say may be nothing that a log can write.
    log.warning("node %s failed\n%s", node.id, problems[0].details)
    return problems
