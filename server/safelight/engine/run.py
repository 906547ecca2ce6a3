"""Executes a graph: only what is needed, nothing that is known, and as far as it goes when something fails.

A run pulls. Starting from the targets it asks of each node first for the digests of its results, which the action
cache may know, and only where a consumer must really run for the values. An explicit stack takes the place of
recursion, so the depth of a graph does not matter. No node runs twice: what is computed is held while somebody in the
run may need it (`Claims`), and what was remembered when the run began is not evicted while it is needed.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from safelight.graph import Graph, GraphNode, Keys, Wire
from safelight.graph.plan import Survey, eager
from safelight.protocol.events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
    RunFinished,
    RunStarted,
    RunStatus,
)
from safelight.sdk.problem import Cancelled, Problem, ProblemError, errors
from safelight.sdk.values import File

from .cache import MISSING, Action, ValueRef
from .cache.pins import Holding
from .call import Demand, argument
from .calling import Caller
from .cancel import Cancel
from .claims import Claims
from .context import Services
from .each import Each
from .failure import unexpected
from .memory import CacheMemory, files_in
from .result import Copies, Deliver, NodeReport, RunOptions, RunResult

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
    ran: bool = False

    @property
    def over(self) -> bool:
        return self.report is not None and self.report.status in ("failed", "skipped", "off")

    def again(self) -> None:
        """Remembered, but the values are gone."""
        self.refs, self.must_run, self.asked = None, True, []


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
    with services.cache.holding() as holding:
        options = options or RunOptions()
        return _Run(graph, services, numerics, run_id, emit or _silent, cancel, options, holding, deliver).run()


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
        holding: Holding,
        deliver: Deliver | None,
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
        self._holding = holding
        self._deliver = deliver
        self._states = [_State() for _ in graph.nodes]
        self._kept = {number for number, _ in graph.outputs.values()}
        self._claims = Claims(graph, self._kept, self._done)
        self._caller = Caller(services, run_id, emit, cancel, options, holding, self._warned)
        self._each = Each(services, self._keys, self._memory, self._caller, cancel, options.force, self._gone)
        self._problems: list[Problem] = []
        self._files: dict[str, list[File]] = {}

    def run(self) -> RunResult:
        started = time.perf_counter()
        self._emit(RunStarted(run=self._id, nodes=tuple(node.id for node in self._graph.nodes)))
        self._survey = Survey(self._graph, self._memory, self._keys, self._options.force)
        for number in self._survey.held:
            known = self._survey.known[number]
            for ref in known.outputs.values() if known else ():
                self._holding.value(ref)
        status: RunStatus = "done"
        try:
            for target in self._graph.targets:
                self._pull(target)
                self._claims.leave(target)
            status = "failed" if errors(self._problems) else "done"
        except Cancelled:
            status = "cancelled"
        self._cache.flush()
        seconds = time.perf_counter() - started
        self._emit(RunFinished(run=self._id, status=status, seconds=seconds))
        outputs: dict[str, ValueRef] = {}
        values: dict[str, Any] = {}
        for name, (number, output) in self._graph.outputs.items():
            refs, live = self._states[number].refs, self._claims.live(number)
            if refs is not None and output in refs and live is not None:
                outputs[name], values[name] = refs[output], live[output]
        reports = {
            node.id: state.report
            for node, state in zip(self._graph.nodes, self._states, strict=True)
            if state.report is not None
        }
        handed_out = Copies(values, self._cache.codec)
        return RunResult(status, seconds, reports, outputs, handed_out, self._files, self._problems)

    def _done(self, number: int) -> bool:
        state = self._states[number]
        return state.ran or state.over

    # The stack.

    def _pull(self, target: int) -> None:
        stack: list[tuple[int, bool]] = [(target, True)]
        while stack:
            self._cancel.check()
            number, values = stack[-1]
            if self._satisfied(number, values):
                stack.pop()
            else:
                stack += self._advance(number)

    def _satisfied(self, number: int, values: bool) -> bool:
        state = self._states[number]
        if state.over:
            return True
        if state.refs is None:
            return False
        if not values or state.ran or self._claims.live(number) is not None:
            return True
        if all(self._cache.has(ref) for ref in state.refs.values()):
            return True
        state.again()
        return False

    def _advance(self, number: int) -> list[tuple[int, bool]]:
        """One step towards the result of a node. Returns what must be had first; nothing when a step was made."""
        node, state = self._graph.nodes[number], self._states[number]
        if node.off:
            state.report = NodeReport(status="off")
            self._claims.settle(number)
            return []
        if node.faults:
            self._fail(number, node, state, ProblemError(node.faults))
            return []
        sources = [source for _, wire in eager(node) for source, _ in wire.sources]
        sources += [source for port in state.asked for source, _ in node.wires[port].sources]
        missing = self._missing(number, sources)
        if missing is None or missing:
            return [(source, False) for source in missing or []]
        try:
            action = self._remembered(number, node, state)
            if action is not None and action.demands is not None:
                state.asked.append(action.demands)
                return []
            if action is not None and not state.must_run:
                self._hit(number, node, state, action)
                return []
            late = [(source, True) for source in sources if not self._satisfied(source, True)]
            if late:
                return late
            if self._loaded(sources):
                self._execute(number, node, state)
        except Cancelled as error:
            if self._cancel:
                raise
            self._fail(number, node, state, error)
        except Demand as demand:
            self._demanded(node, state, demand.port)
        except BaseException as error:  # whatever a node raises is its failure, never the run's
            if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                raise  # from the keyboard: who handles Ctrl-C otherwise is told by a signal, not by this
            self._fail(number, node, state, error)
        return []

    def _missing(self, number: int, sources: list[int]) -> list[int] | None:
        """Sources whose digests are not known yet; None, and the node is skipped, when one of them is lost."""
        lost = [source for source in sources if self._states[source].over]
        if lost:
            because = self._graph.nodes[lost[0]].id
            self._states[number].report = NodeReport(status="skipped")
            self._emit(NodeSkipped(run=self._id, node=self._graph.nodes[number].id, because=because))
            self._claims.settle(number)
            return None
        return [source for source in dict.fromkeys(sources) if self._states[source].refs is None]

    def _loaded(self, sources: list[int]) -> bool:
        """Holds the values of all sources. False when some were lost meanwhile; those must run then."""
        whole = True
        for source in dict.fromkeys(sources):
            whole = self._load(source) and whole
        return whole

    def _load(self, number: int) -> bool:
        """Holds the values of a node whose digests are known, reading them where need be."""
        if self._claims.live(number) is not None:
            return True
        state = self._states[number]
        values = {port: self._cache.get(ref) for port, ref in (state.refs or {}).items()}
        if any(value is MISSING for value in values.values()):
            state.again()
            return False
        self._claims.hold(number, values)
        return True

    # What is known.

    def _remembered(self, number: int, node: GraphNode, state: _State) -> Action | None:
        """The action cache's answer for a node whose sources are known; sets the node's key."""
        surveyed = self._survey.keys[number]
        sources = (source for wire in node.wires.values() for source, _ in wire.sources)
        if surveyed and not any(self._states[source].ran for source in sources):
            state.key = surveyed
        else:
            state.key = self._keys.lifted(node, {port: self._digest(node, port, wire) for port, wire in eager(node)})
            for port in state.asked:
                state.key = self._keys.choice(state.key, port, self._digest(node, port, node.wires[port]))
        if not node.kind.spec.cache or node.id in self._options.force:
            return None
        action = self._cache.lookup(state.key)
        if action is not None and action.demands is not None:
            new = action.demands in node.kind.lazy and action.demands not in state.asked
            return action if new else None
        return action

    def _digest(self, node: GraphNode, port: str, wire: Wire) -> str:
        return self._keys.wire(node, port, wire, self._refs(wire.sources), lambda: self._named(wire.sources))

    def _refs(self, sources: tuple[tuple[int, str], ...]) -> list[ValueRef]:
        found: list[ValueRef] = []
        for source, output in sources:
            refs = self._states[source].refs
            assert refs is not None, "sources are known before they are used"
            found.append(refs[output])
        return found

    def _hit(self, number: int, node: GraphNode, state: _State, action: Action) -> None:
        state.refs = dict(action.outputs)
        if node.kind.spec.output or number in self._kept:
            # What is handed out is taken now, while it is there.
            if not self._load(number):
                return
            if self._gone(node, self._claims.live(number) or {}):
                self._claims.let_go([number])
                state.again()
                return
        elif self._survey.known[number] is None:
            for ref in state.refs.values():
                self._holding.value(ref)
        state.report = NodeReport(status="cached", seconds=action.seconds)
        self._finished(number, node, state, True, action.seconds)

    def _gone(self, node: GraphNode, values: dict[str, Any]) -> bool:
        """Whether the bytes of a finished file are not there any more."""
        if not node.kind.spec.output:
            return False
        return not all(self._holding.bytes(file.digest) for value in values.values() for file in files_in(value))

    def _demanded(self, node: GraphNode, state: _State, port: str) -> None:
        if node.kind.spec.cache and not node.lift:
            self._cache.record(state.key, Action(demands=port))
        state.asked.append(port)

    # What must run.

    def _execute(self, number: int, node: GraphNode, state: _State) -> None:
        if not node.kind.spec.cache:
            self._compute(number, node, state)
            return
        key = state.key
        if not self._services.flights.take_off(key, self._cancel):
            state.must_run = False
            return
        try:
            self._compute(number, node, state)
        finally:
            self._services.flights.land(key)

    def _compute(self, number: int, node: GraphNode, state: _State) -> None:
        ready = [*eager(node), *((port, node.wires[port]) for port in state.asked)]
        arguments = {port: argument(wire, self._values(wire.sources)) for port, wire in ready}
        if not state.started:
            state.started = True
            self._emit(NodeStarted(run=self._id, node=node.id))
        started = time.perf_counter()
        if node.lift:
            fixed = {port: self._digest(node, port, wire) for port, wire in eager(node) if not wire.depth}
            lazy = {port: self._digest(node, port, node.wires[port]) for port in state.asked}
            outputs = self._each.run(node, arguments, fixed, lazy)
        else:
            outputs = self._caller.call(node, state.key, arguments)
        seconds = time.perf_counter() - started
        refs = {port: self._cache.put(value, seconds, cheap=node.kind.cheap) for port, value in outputs.items()}
        if node.kind.spec.cache and self._memory.unchanged(node, arguments):
            self._cache.record(state.key, Action(outputs=refs, seconds=seconds))
        self._cache.note_seconds(node.kind.spec.id, seconds)
        state.refs, state.ran, state.must_run = refs, True, False
        self._claims.hold(number, outputs)
        state.report = NodeReport(status="ran", seconds=seconds)
        self._finished(number, node, state, False, seconds)
        # What came from the cache can come from there again.
        sources = {source for _, wire in ready for source, _ in wire.sources}
        self._claims.let_go(source for source in sources - self._kept if not self._states[source].ran)

    def _named(self, sources: tuple[tuple[int, str], ...]) -> list[Any]:
        """The values of sources that may name files, read for a key."""
        for source, _ in sources:
            if not self._load(source):
                raise _Gone
        return self._values(sources)

    def _values(self, sources: tuple[tuple[int, str], ...]) -> list[Any]:
        return [(self._claims.live(source) or {})[output] for source, output in sources]

    # How it ended.

    def _finished(self, number: int, node: GraphNode, state: _State, cached: bool, seconds: float) -> None:
        refs = state.refs or {}
        live = self._claims.live(number) or {}
        files = [file for value in live.values() for file in files_in(value)] if node.kind.spec.output else []
        if node.kind.spec.output:
            self._files[node.id] = files
            self._hand_over(node, files)
        self._emit(
            NodeFinished(
                run=self._id,
                node=node.id,
                cached=cached,
                seconds=seconds,
                bytes=sum(ref.size for ref in refs.values()),
                files=tuple(files),
                values=self._readable(node, live, refs),
            )
        )
        self._claims.settle(number)

    def _hand_over(self, node: GraphNode, files: list[File]) -> None:
        """Gives the finished files of a node to whoever wants them, at once: later they may be evicted."""
        for file in files:
            if self._deliver is None or not file.keep:
                continue
            data = self._caller.saved(file.digest)
            if data is None:
                data = self._cache.get_bytes(file.digest)
            try:
                if data is None:
                    message = f"What {node.kind.spec.title} made, {file.name!r}, was evicted before it was written."
                    hint = "Give the cache more room, or free some disk space, and run again."
                    raise ProblemError(Problem(code="output_lost", message=message, hint=hint))
                self._deliver(node.id, file, data)
            except ProblemError as error:
                self._problems += [problem.at(node.id) for problem in error.problems]
        self._caller.forget()

    def _readable(self, node: GraphNode, live: dict[str, Any], refs: dict[str, ValueRef]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for port, kind in node.kind.outputs.items():
            if kind.innermost.name not in _PLAIN:
                continue
            if port in live:
                value = live[port]
            elif port in refs and refs[port].size <= _READABLE:
                value = self._cache.get(refs[port])
            else:
                continue
            if value is not MISSING and len(msgspec.json.encode(value)) <= _READABLE:
                found[port] = value
        return found

    def _fail(self, number: int, node: GraphNode, state: _State, error: BaseException) -> None:
        if isinstance(error, _Gone):
            return
        if isinstance(error, ProblemError):
            problems = [problem.at(node.id) for problem in error.problems]
        else:
            problems = [unexpected(node, error)]
            # Not with `exc_info`: what foreign errors say may be nothing that a log can write.
            log.warning("node %s failed\n%s", node.id, problems[0].details)
        state.report = NodeReport(status="failed")
        self._caller.forget()
        self._say(node, problems)
        self._claims.settle(number)

    def _say(self, node: GraphNode, problems: list[Problem]) -> None:
        self._problems += problems
        for problem in problems:
            self._emit(NodeFailed(run=self._id, node=node.id, problem=problem))

    def _warned(self, node: GraphNode, problem: Problem) -> None:
        placed = problem.at(node.id).warning()
        self._problems.append(placed)
        self._emit(NodeWarned(run=self._id, node=node.id, problem=placed))


class _Gone(Exception):
    """A value that was remembered and thought to be there could not be read; it is computed before this goes on."""
