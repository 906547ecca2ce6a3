"""Executes a graph: only what is needed, nothing that is known, and as far as it goes when something fails.

A run pulls. Starting from the targets it asks of each node first for the digests of its results, which the action
cache may know, and only where a consumer must really run for the values. An explicit stack takes the place of
recursion, so the depth of a graph does not matter.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from safelight.graph import Graph, GraphNode, Keys, Wire
from safelight.graph.plan import eager
from safelight.sdk.problem import Cancelled, Problem, ProblemError
from safelight.sdk.values import File

from .cache import MISSING, Action, ValueRef
from .call import Demand, argument, call, elements, lazily, nested, verify
from .context import Cancel, NodeContext, Services
from .events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    RunFinished,
    RunStarted,
    RunStatus,
)
from .failure import unexpected
from .guard import Guard
from .memory import CacheMemory, files_in
from .result import NodeReport, RunOptions, RunResult

log = logging.getLogger(__name__)

_PLAIN = frozenset({"int", "float", "str", "bool", "choice"})
_READABLE = 2000  # bytes of a value that is told with the end of its node

Emit = Callable[[Event], None]


@dataclass(slots=True)
class _State:
    """What is known of one node in this run."""

    refs: dict[str, ValueRef] | None = None
    report: NodeReport | None = None
    key: str = ""
    asked: list[str] = field(default_factory=list)
    must_run: bool = False
    started: bool = False
    users: int = 0
    live: dict[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.report is not None and self.report.status in ("failed", "skipped", "off")


def run(
    graph: Graph,
    services: Services,
    numerics: str,
    *,
    run_id: str = "run",
    emit: Emit | None = None,
    cancel: Cancel | None = None,
    options: RunOptions | None = None,
) -> RunResult:
    """Runs the targets of a graph and returns when all that can be done is done.

    Never raises for what a node does: a failure is an event and a problem of the result. `emit` is called in this
    thread and should return at once.
    """
    # A Cancel that is not set is false: `or` would put another one in its place.
    cancel = Cancel() if cancel is None else cancel
    return _Run(graph, services, numerics, run_id, emit or _silent, cancel, options or RunOptions()).run()


def _silent(event: Event) -> None:
    """For callers that want the result only."""
    del event


class _Run:
    def __init__(
        self,
        graph: Graph,
        services: Services,
        numerics: str,
        run_id: str,
        emit: Emit,
        cancel: Cancel,
        options: RunOptions,
    ) -> None:
        self._graph = graph
        self._services = services
        self._cache = services.cache
        self._memory = CacheMemory(services)
        self._keys = Keys(self._memory, numerics)
        self._id = run_id
        self._emit = emit
        self._cancel = cancel
        self._options = options
        self._states = [_State() for _ in graph.nodes]
        self._problems: list[Problem] = []
        self._files: dict[str, list[File]] = {}

    def run(self) -> RunResult:
        started = time.perf_counter()
        self._emit(RunStarted(run=self._id, nodes=tuple(node.id for node in self._graph.nodes)))
        status: RunStatus = "done"
        self._count_users()
        try:
            for target in self._graph.targets:
                self._pull(target)
            status = "failed" if self._problems else "done"
        except Cancelled:
            status = "cancelled"
        self._cache.flush()
        seconds = time.perf_counter() - started
        self._emit(RunFinished(run=self._id, status=status, seconds=seconds))
        outputs: dict[str, ValueRef] = {}
        for name, (number, output) in self._graph.outputs.items():
            refs = self._states[number].refs
            if refs is not None and output in refs:
                outputs[name] = refs[output]
        reports = {
            node.id: state.report
            for node, state in zip(self._graph.nodes, self._states, strict=True)
            if state.report is not None
        }
        return RunResult(status, seconds, reports, outputs, self._files, self._problems)

    def _count_users(self) -> None:
        """How many inputs a node feeds: when the last of them is served, its live values are let go."""
        for node in self._graph.nodes:
            for wire in node.wires.values():
                for source, _ in wire.sources:
                    self._states[source].users += 1

    # The stack.

    def _pull(self, target: int) -> None:
        stack: list[tuple[int, bool]] = [(target, True)]
        while stack:
            self._cancel.check()
            number, values = stack[-1]
            if self._satisfied(number, values):
                stack.pop()
                continue
            more = self._advance(number)
            if more:
                stack += more
            elif self._states[number].over:
                stack.pop()

    def _satisfied(self, number: int, values: bool) -> bool:
        state = self._states[number]
        if state.over:
            return True
        if state.refs is None:
            return False
        if not values or state.live.keys() >= state.refs.keys():
            return True
        node = self._graph.nodes[number]
        if not node.kind.spec.cache or self._memory.available(node, Action(outputs=state.refs)):
            return True
        state.refs, state.must_run = None, True  # remembered, but the values are gone
        state.asked = []
        return False

    def _advance(self, number: int) -> list[tuple[int, bool]]:
        """One step towards the result of a node. Returns what must be had first; nothing when a step was made."""
        node, state = self._graph.nodes[number], self._states[number]
        if node.off:
            state.report = NodeReport(status="off")
            return []
        sources = [source for _, wire in eager(node) for source, _ in wire.sources]
        sources += [source for port in state.asked for source, _ in node.wires[port].sources]
        missing = self._missing(number, sources)
        if missing is None or missing:
            return [(source, False) for source in missing or []]
        try:
            action = self._remembered(node, state)
            if action is not None and action.demands is not None:
                state.asked.append(action.demands)
                return []
            if action is not None and not state.must_run:
                self._hit(number, node, state, action)
                return []
            late = [(source, True) for source in sources if not self._satisfied(source, True)]
            if late:
                return late
            self._execute(number, node, state)
        except Cancelled:
            raise
        except Demand as demand:
            self._demanded(node, state, demand.port)
        except _Gone as gone:
            self._states[gone.source].refs, self._states[gone.source].must_run = None, True
            self._states[gone.source].asked = []
        except Exception as error:  # whatever a node raises is its failure, never the run's
            self._fail(number, node, state, error)
        return []

    def _missing(self, number: int, sources: list[int]) -> list[int] | None:
        """Sources whose digests are not known yet; None, and the node is skipped, when one of them is lost."""
        lost = [source for source in sources if self._states[source].over]
        if lost:
            because = self._graph.nodes[lost[0]].id
            self._states[number].report = NodeReport(status="skipped")
            self._emit(NodeSkipped(run=self._id, node=self._graph.nodes[number].id, because=because))
            self._release(number)
            return None
        return [source for source in dict.fromkeys(sources) if self._states[source].refs is None]

    # What is known.

    def _remembered(self, node: GraphNode, state: _State) -> Action | None:
        """The action cache's answer for a node whose sources are known; sets the node's key."""
        key = self._keys.key(node, {port: self._digest(node, port, wire) for port, wire in eager(node)})
        for port in state.asked:
            key = self._keys.choice(key, port, self._digest(node, port, node.wires[port]))
        state.key = key
        if not node.kind.spec.cache or node.id in self._options.force:
            return None
        action = self._cache.lookup(key)
        if action is not None and action.demands is not None:
            new = action.demands in node.kind.lazy and action.demands not in state.asked
            return action if new else None
        return action

    def _digest(self, node: GraphNode, port: str, wire: Wire) -> str:
        return self._keys.wire(node, port, wire, self._refs(wire.sources), lambda: self._values(wire.sources))

    def _refs(self, sources: tuple[tuple[int, str], ...]) -> list[ValueRef]:
        found: list[ValueRef] = []
        for source, output in sources:
            refs = self._states[source].refs
            assert refs is not None, "sources are known before they are used"
            found.append(refs[output])
        return found

    def _hit(self, number: int, node: GraphNode, state: _State, action: Action) -> None:
        state.refs = dict(action.outputs)
        state.report = NodeReport(status="cached", seconds=action.seconds)
        if node.kind.spec.output and not self._memory.available(node, action):
            state.refs, state.report, state.must_run = None, None, True
            return
        self._finished(number, node, state, True, action.seconds)

    def _demanded(self, node: GraphNode, state: _State, port: str) -> None:
        if node.kind.spec.cache:
            self._cache.record(state.key, Action(demands=port))
        state.asked.append(port)

    # What must run.

    def _execute(self, number: int, node: GraphNode, state: _State) -> None:
        ready = [*eager(node), *((port, node.wires[port]) for port in state.asked)]
        arguments = {port: argument(wire, self._values(wire.sources)) for port, wire in ready}
        if not state.started:
            state.started = True
            self._emit(NodeStarted(run=self._id, node=node.id))
        started = time.perf_counter()
        outputs = self._execute_elements(node, arguments) if node.lift else self._call(node, state.key, arguments)
        seconds = time.perf_counter() - started
        refs = {port: self._cache.put(value, seconds) for port, value in outputs.items()}
        if node.kind.spec.cache:
            self._cache.record(state.key, Action(outputs=refs, seconds=seconds))
        self._cache.note_seconds(node.kind.spec.id, seconds)
        state.refs = refs
        state.live = outputs if state.users or node.kind.spec.output or not node.kind.spec.cache else {}
        state.must_run = False
        state.report = NodeReport(status="ran", seconds=seconds)
        self._finished(number, node, state, False, seconds)

    def _call(self, node: GraphNode, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
        for port, wire in node.wires.items():
            if wire.sources and port in arguments:
                verify(node, port, arguments[port])
        context = NodeContext(
            services=self._services,
            key=key,
            cancel=self._cancel,
            report=lambda step, total, preview, curve: self._emit(
                NodeProgress(run=self._id, node=node.id, step=step, total=total, preview=preview, curve=curve)
            ),
            previews=self._options.previews,
            checkpoint_seconds=self._options.checkpoint_seconds,
        )
        lazy = node.kind.lazy
        given = {port: value for port, value in arguments.items() if port not in lazy}
        given |= lazily(arguments, lazy)
        guard = Guard(arguments) if self._options.strict else None
        outputs = call(node.kind, given, context)
        if guard is not None:
            guard.check(node.kind.spec.id)
        context.finish()
        return outputs

    def _execute_elements(self, node: GraphNode, arguments: dict[str, Any]) -> dict[str, Any]:
        """Runs a node once per element of its lists; elements that were done before come from the cache."""
        fixed = {port: wire for port, wire in eager(node) if not wire.depth}
        digests = {port: self._digest(node, port, wire) for port, wire in fixed.items()}
        results: list[dict[str, Any]] = []
        for given in elements(node, arguments):
            self._cancel.check()
            mapped = {
                port: self._keys.element_wire(node, port, wire, given[port]) for port, wire in eager(node) if wire.depth
            }
            ordered = {port: (digests | mapped)[port] for port, _ in eager(node)}
            results.append(self._element(node, self._keys.key(node, ordered), given))
        return {port: nested(node, arguments, [result[port] for result in results]) for port in node.kind.outputs}

    def _element(self, node: GraphNode, key: str, given: dict[str, Any]) -> dict[str, Any]:
        known = self._cache.lookup(key) if node.kind.spec.cache and node.id not in self._options.force else None
        if known is not None and known.demands is None:
            outputs = {port: self._cache.get(ref) for port, ref in known.outputs.items()}
            if all(value is not MISSING for value in outputs.values()):
                return outputs
        started = time.perf_counter()
        outputs = self._call(node, key, given)
        if node.kind.spec.cache:
            seconds = time.perf_counter() - started
            refs = {port: self._cache.put(value, seconds) for port, value in outputs.items()}
            self._cache.record(key, Action(outputs=refs, seconds=seconds))
        return outputs

    def _values(self, sources: tuple[tuple[int, str], ...]) -> list[Any]:
        found: list[Any] = []
        for (source, output), ref in zip(sources, self._refs(sources), strict=True):
            live = self._states[source].live
            value = live[output] if output in live else self._cache.get(ref)
            if value is MISSING:
                raise _Gone(source)
            found.append(value)
        return found

    # How it ended.

    def _finished(self, number: int, node: GraphNode, state: _State, cached: bool, seconds: float) -> None:
        files: list[File] = []
        refs = state.refs or {}
        if node.kind.spec.output:
            values = state.live.values() if state.live else [self._cache.get(ref) for ref in refs.values()]
            files = [file for value in values for file in files_in(value)]
            self._files[node.id] = files
        self._emit(
            NodeFinished(
                run=self._id,
                node=node.id,
                cached=cached,
                seconds=seconds,
                bytes=sum(ref.size for ref in refs.values()),
                files=tuple(files),
                values=self._readable(node, state, refs),
            )
        )
        self._release(number)

    def _readable(self, node: GraphNode, state: _State, refs: dict[str, ValueRef]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for port, kind in node.kind.outputs.items():
            if kind.innermost.name not in _PLAIN:
                continue
            if port in state.live:
                value = state.live[port]
            elif port in refs and refs[port].size <= _READABLE:
                value = self._cache.get(refs[port])
            else:
                continue
            if value is not MISSING and len(msgspec.json.encode(value)) <= _READABLE:
                found[port] = value
        return found

    def _fail(self, number: int, node: GraphNode, state: _State, error: Exception) -> None:
        if isinstance(error, ProblemError):
            problems = [problem.at(node.id) for problem in error.problems]
        else:
            log.warning("node %s failed", node.id, exc_info=error)
            problems = [unexpected(node, error)]
        state.report = NodeReport(status="failed")
        self._problems += problems
        for problem in problems:
            self._emit(NodeFailed(run=self._id, node=node.id, problem=problem))
        self._release(number)

    def _release(self, number: int) -> None:
        for wire in self._graph.nodes[number].wires.values():
            for source, _ in wire.sources:
                state = self._states[source]
                state.users -= 1
                if state.users <= 0 and self._graph.nodes[source].kind.spec.cache:
                    state.live = {}


class _Gone(Exception):
    """A value that was remembered and thought to be there could not be read."""

    def __init__(self, source: int) -> None:
        super().__init__(source)
        self.source = source
