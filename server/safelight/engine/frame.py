"""One graph of a run: the outer one, or the body of a call in one of its turns.

A frame pulls. Starting from the targets it asks of each node first for the digests of its results, which the action
cache may know, and only where a consumer must really run for the values. No node runs twice: what is computed is held
while somebody in the graph may need it (`Claims`), and what was remembered when the frame began is not evicted while it
is needed. Nodes that another run computes just now are left for later (`Pulling`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from safelight.graph import Graph, GraphNode, Wire
from safelight.graph.flat import Source
from safelight.graph.keys import eager, needs_of
from safelight.graph.ports import PARAMETER
from safelight.graph.survey import Survey
from safelight.graph.turns import force_of_turn
from safelight.sdk.problem import Cancelled, Problem, ProblemError

from .cache import MISSING, Action, ValueRef
from .cache.pins import Holding
from .call import Demand, argument
from .claims import Claims
from .flights import WORTH_SHARING
from .memory import SMALL
from .pulling import Pulling
from .result import NodeReport
from .running import Running, problems_of
from .turns import Bound, Escape, Gone, Lost, Turns, Wanted


@dataclass(slots=True)
class State:
    """What is known of one node. Values that are `only_here` are held, and cannot be had from the cache."""

    refs: dict[str, ValueRef] | None = None
    report: NodeReport | None = None
    key: str = ""
    asked: list[str] = field(default_factory=list)
    must_run: bool = False
    started: bool = False
    ran: bool = False
    only_here: bool = False
    turns: Turns | None = None

    @property
    def lost(self) -> bool:
        return self.report is not None and self.report.status in ("failed", "skipped")

    @property
    def over(self) -> bool:
        return self.report is not None and self.report.status in ("failed", "skipped", "off")

    def again(self) -> None:
        """Remembered, but the values are gone."""
        self.refs, self.must_run, self.asked, self.turns = None, True, [], None


class Frame:
    """Runs one graph, and calls inside it turn by turn in frames of their own."""

    def __init__(
        self,
        running: Running,
        graph: Graph,
        holding: Holding,
        force: frozenset[str],
        *,
        kept: Collection[int] = (),
        bound: Mapping[int, Bound] | None = None,
        begin: Callable[[], None] | None = None,
        turn: bool = False,
        told: bool = True,
    ) -> None:
        """
        Args:
            running: the run.
            graph: the graph.
            holding: what is needed stays at least as long as this does.
            force: ids of nodes that run even if their result is known.
            kept: the nodes whose values the caller wants.
            bound: what the nodes that stand for inputs of a call stand for.
            begin: called before a node runs.
            turn: whether it is one turn of a call.
            told: whether problems are told; else they only count.
        """
        self.graph = graph
        self.running = running
        self.holding = holding
        self.force = force
        self._cache = running.cache
        self._keys = running.keys
        self._kept = frozenset(kept)
        self._bound = bound or {}
        self._begin = begin
        self._turn = turn
        self._calls = {node.id: number for number, node in enumerate(graph.nodes) if node.body is not None}
        self._told = told
        self._states = [State() for _ in graph.nodes]
        for number, one in self._bound.items():
            self._states[number].refs = {PARAMETER: one.ref}
        self._claims = Claims(graph, self._kept, self._done)
        self._pulling = Pulling(running.services.flights, running.cancel)
        given = {number: one.ref for number, one in self._bound.items()}
        self._survey = Survey(graph, running.memory, running.keys, force, given=given)
        self._cache.bring(ref for known in self._survey.held for ref in needs_of(known))
        for known in self._survey.held:
            for ref in needs_of(known):
                holding.value(ref)

    def _done(self, number: int) -> bool:
        state = self._states[number]
        return state.only_here or state.over

    def go(self, values: Collection[int] = ()) -> None:
        """Runs all targets as far as it goes, so that their results are known; those of `values`, and what output
        nodes made, so that they are there. All of it stays until the frame goes."""
        targets = self.graph.targets
        self._pulling.to(self, [(target, self._saves(target) or target in values) for target in targets])

    def run(self) -> None:
        """Runs all targets as far as it goes, and lets go of each that the caller does not want to keep."""
        self._pulling.to(self, [(target, True) for target in self.graph.targets], self._claims.leave)

    def _saves(self, number: int) -> bool:
        node = self.graph.nodes[number]
        return node.kind.spec.output or (node.body is not None and node.body.saves)

    def _keeps(self, node: GraphNode) -> bool:
        """Whether the result of a node is kept, and may come from where it is kept."""
        return node.kind.spec.cache and node.id not in self.force

    def touched(self) -> list[ValueRef]:
        """The values that it had to do with."""
        return [ref for state in self._states for ref in (state.refs or {}).values()]

    def close(self) -> None:
        """Lets go of all values; a frame that is over is not freed at once, as its parts know each other."""
        self._claims.clear()
        self._bound = {}

    # What became of it.

    @property
    def ran(self) -> bool:
        """Whether anything had to run."""
        return any(state.ran for state in self._states)

    @property
    def failed(self) -> bool:
        """Whether a target was not reached."""
        return any(self._states[target].lost for target in self.graph.targets)

    def reports(self) -> dict[str, NodeReport]:
        """What became of the nodes that were asked for, by id."""
        pairs = zip(self.graph.nodes, self._states, strict=True)
        return {node.id: state.report for node, state in pairs if state.report is not None}

    def ref(self, source: Source) -> ValueRef | None:
        """The identity of an output, where it was reached."""
        return (self._states[source[0]].refs or {}).get(source[1])

    def live(self, source: Source) -> Any:
        """An output whose value is held; else MISSING."""
        return (self._claims.live(source[0]) or {}).get(source[1], MISSING)

    def value(self, source: Source) -> Any:
        """An output that was reached, read or made again where need be."""
        while not self._load(source[0]) and not self._states[source[0]].over:
            self._pulling.to(self, [(source[0], True)])
        return self.live(source)

    # What calls ask of the graph that they stand in.

    def refs(self, wire: Wire) -> list[ValueRef] | None:
        """What the links of an input bring, where all of it is known."""
        found = [self.ref(source) for source in wire.sources]
        return None if any(ref is None for ref in found) else [ref for ref in found if ref is not None]

    def held(self, wire: Wire) -> bool:
        """Whether the values that the links of an input bring are held."""
        return all(self.live(source) is not MISSING for source in wire.sources)

    def brought(self, wire: Wire) -> list[Any]:
        """The values that the links of an input bring.

        Raises:
            Gone: they are to be made again first.
        """
        return self._named(wire.sources)

    def in_turn(self, node: GraphNode, turn: int, bound: Mapping[int, Bound], holding: Holding, *, told: bool) -> Frame:
        """The frame of one turn of a call in this graph."""
        body = node.body
        assert body is not None
        return Frame(
            self.running,
            body.graph.within(f"{node.id}/{turn}/"),
            holding,
            force_of_turn(node, body, turn, self.force),
            bound=bound,
            begin=lambda: self.start(node),
            turn=True,
            told=told and self._told,
        )

    # What pulling asks for.

    def satisfied(self, number: int, values: bool) -> bool:
        state = self._states[number]
        if state.over:
            return True
        if state.refs is None:
            return False
        if not values or state.only_here or self._claims.live(number) is not None or number in self._bound:
            return True
        if all(self._cache.has(ref) for ref in state.refs.values()):
            return True
        state.again()
        return False

    def advance(self, number: int) -> list[tuple[int, bool]]:
        """One step towards the result of a node. Returns what must be had first; nothing when a step was made."""
        node, state = self.graph.nodes[number], self._states[number]
        if node.off:
            state.report = NodeReport(status="off")
            self._claims.settle(number)
            return []
        if node.given:
            raise Wanted(self, number)
        if node.faults:
            self._fail(number, node, state, ProblemError(node.faults))
            return []
        if self.running.options.part and (self._saves(number) or node.body is not None or not self._keeps(node)):
            self._pulling.leave(number)
            return []
        sources = [source for _, wire in eager(node) for source, _ in wire.sources]
        sources += [source for port in state.asked for source, _ in node.wires[port].sources]
        missing = self._missing(number, sources)
        if missing is None or missing:
            return [(source, False) for source in missing or []]
        try:
            if node.body is not None:
                return self._call(number, node, state, sources)
            action = self._remembered(number, node, state)
            if action is not None and action.demands is not None:
                state.asked.append(action.demands)
                return []
            if action is not None and not state.must_run:
                self._hit(number, node, state, action)
                return []
            late = [(source, True) for source in sources if not self.satisfied(source, True)]
            if late:
                return late
            if self._loaded(sources):
                self._execute(number, node, state)
        except Cancelled as error:
            if self.running.cancel:
                raise
            self._fail(number, node, state, error)
        except Demand as demand:
            self._demanded(node, state, demand.port)
        except Gone:
            pass  # what it needs was thought to be there: it is made again before this goes on
        except Escape:
            raise
        except BaseException as error:  # whatever a node raises is its failure, never the run's
            if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                raise  # from the keyboard: who handles Ctrl-C otherwise is told by a signal, not by this
            self._fail(number, node, state, error)
        return []

    def _missing(self, number: int, sources: list[int]) -> list[int] | None:
        """Sources whose digests are not known yet; None, and the node is skipped, when one of them is lost.

        It is skipped once the others are known, too: branches go on where one fails, whoever computes them.
        """
        lost = [source for source in sources if self._states[source].over]
        unknown = [source for source in dict.fromkeys(sources) if self._states[source].refs is None]
        pending = [source for source in unknown if not self._states[source].over] if lost else unknown
        if lost and not pending:
            because = self.graph.nodes[lost[0]].id
            self._states[number].report = NodeReport(status="skipped")
            if self._told:
                self.running.skipped(self.graph.nodes[number], because)
            self._claims.settle(number)
            return None
        return pending

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
        if number in self._bound:
            value = self._bound[number].load()
            if value is MISSING:
                raise Lost(self, number)
            values = {PARAMETER: value}
        else:
            values = {port: self._cache.get(ref) for port, ref in (state.refs or {}).items()}
        if state.refs is None or any(value is MISSING for value in values.values()):
            state.again()
            return False
        self._claims.hold(number, values)
        return True

    # What is known.

    def _remembered(self, number: int, node: GraphNode, state: State) -> Action | None:
        """The action cache's answer for a node whose sources are known; sets the node's key."""
        surveyed = self._survey.keys[number]
        sources = (source for wire in node.wires.values() for source, _ in wire.sources)
        if surveyed and not any(self._states[source].ran for source in sources):
            state.key = surveyed
        else:
            state.key = self._keys.lifted(node, {port: self._digest(node, port, wire) for port, wire in eager(node)})
            for port in state.asked:
                state.key = self._keys.choice(state.key, port, self._digest(node, port, node.wires[port]))
        if not self._keeps(node):
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

    def _hit(self, number: int, node: GraphNode, state: State, action: Action) -> None:
        state.refs = dict(action.outputs)
        if node.kind.spec.output or number in self._kept:
            # What is handed out is taken now, while it is there.
            if not self._load(number):
                return
            if self.running.gone(node, self._claims.live(number) or {}):
                self._claims.let_go([number])
                state.again()
                return
        elif self._survey.known[number] is None:
            for ref in state.refs.values():
                self.holding.value(ref)
        state.report = NodeReport(status="cached", seconds=action.seconds)
        self._finished(number, node, state, True, action.seconds)

    def _demanded(self, node: GraphNode, state: State, port: str) -> None:
        if node.kind.spec.cache and not node.lift and node.body is None:
            self._cache.record(state.key, Action(demands=port))
        state.asked.append(port)

    # What must run.

    def _execute(self, number: int, node: GraphNode, state: State) -> None:
        options, flights, key = self.running.options, self.running.services.flights, state.key
        if not node.kind.spec.cache or (node.lift and options.shared):  # each element has a flight of its own
            self._compute(number, node, state)
            return
        if not flights.take_off(key, shared=options.shared):
            state.must_run = False
            self._pulling.leave(number, key)
            return
        try:
            if options.shared and not state.must_run and self._remembered(number, node, state) is not None:
                return  # another process has just done it
            self._compute(number, node, state)
            if options.shared and state.report is not None and state.report.seconds > WORTH_SHARING:
                self._cache.flush()
        finally:
            flights.land(key)

    def _compute(self, number: int, node: GraphNode, state: State) -> None:
        ready = [*eager(node), *((port, node.wires[port]) for port in state.asked)]
        arguments = {port: argument(wire, self._values(wire.sources)) for port, wire in ready}
        self._start(node, state)
        started = time.perf_counter()
        if node.lift:
            fixed = {port: self._digest(node, port, wire) for port, wire in eager(node) if not wire.depth}
            lazy = {port: self._digest(node, port, node.wires[port]) for port in state.asked}
            outputs = self.running.each.run(node, arguments, fixed, lazy, forced=node.id in self.force)
        else:
            outputs = self.running.caller.call(node, state.key, arguments)
        seconds = time.perf_counter() - started
        # What turns hand out is gathered: it has to find room on the disk.
        cheap = node.kind.cheap and not (self._turn and number in self.graph.targets)
        refs = {port: self._cache.put(value, seconds, cheap=cheap) for port, value in outputs.items()}
        if node.kind.spec.cache and self.running.memory.unchanged(node, arguments):
            self._cache.record(state.key, Action(outputs=refs, seconds=seconds))
        self._cache.note_seconds(node.kind.spec.id, seconds)
        state.refs, state.ran, state.must_run, state.only_here = refs, True, False, True
        self._claims.hold(number, outputs)
        state.report = NodeReport(status="ran", seconds=seconds)
        self._finished(number, node, state, False, seconds)
        self._let_go(ready)

    def _let_go(self, ready: Iterable[tuple[str, Wire]]) -> None:
        """What came from the cache can come from there again."""
        sources = {source for _, wire in ready for source, _ in wire.sources}
        self._claims.let_go(source for source in sources - self._kept if not self._states[source].only_here)

    # Calls.

    def _call(self, number: int, node: GraphNode, state: State, sources: list[int]) -> list[tuple[int, bool]]:
        """One step towards the result of a call; see `advance`."""
        body, known = node.body, self._survey.known[number]
        assert body is not None
        if known is not None and not (state.must_run or body.saves or any(self._changed(at) for at in sources)):
            state.refs = dict(known.outputs)
            self._compose(number, state, self._survey.lists.get(number, {}))
            if number in self._kept and not self._load(number):
                return []
            state.report = NodeReport(status="cached", seconds=known.seconds)
            self._finished(number, node, state, True, known.seconds)
            return []
        late = [(source, True) for source in sources if not self.satisfied(source, True)]
        if late:
            return late
        if state.turns is None:
            state.turns = Turns(self, node, all_values=state.must_run or number in self._kept)
        turned = state.turns.run()
        state.turns = None
        self._let_go(node.wires.items())
        if turned.problem is not None:
            state.report = NodeReport(status="failed", seconds=turned.seconds)
            self._say(node, [turned.problem])
            self._claims.settle(number)
            return []
        state.refs, state.ran, state.must_run = turned.refs, turned.ran, False
        if turned.values is not None:
            state.only_here = True
            self._claims.hold(number, turned.values)
        elif number in self._kept and not self._load(number):
            return []
        state.report = NodeReport(status="ran" if turned.ran else "cached", seconds=turned.seconds)
        self._finished(number, node, state, not turned.ran, turned.seconds)
        return []

    def _compose(self, number: int, state: State, lists: Mapping[str, list[ValueRef]]) -> None:
        """Makes the lists of a call that is remembered; one that has no room, but whose elements are there, is held."""
        scarce = [port for port, refs in lists.items() if not self.holding.value(self._cache.compose(refs))]
        if not scarce or not all(self._cache.has(ref) for port in scarce for ref in lists[port]):
            return
        values = {port: self._cache.get(ref) for port, ref in (state.refs or {}).items() if port not in scarce}
        values |= {port: [self._cache.get(ref) for ref in lists[port]] for port in scarce}
        parts = [part for value in values.values() for part in (value if isinstance(value, list) else [value])]
        if not any(part is MISSING for part in parts):
            state.only_here = True
            self._claims.hold(number, values)

    def _changed(self, number: int) -> bool:
        """Whether a node ran and gave something else than was known when the frame began: a value that was gone only is
        made again as it was, and what is known of a call below still holds."""
        state, known = self._states[number], self._survey.known[number]
        return state.ran and (known is None or state.refs != dict(known.outputs))

    def _named(self, sources: tuple[tuple[int, str], ...]) -> list[Any]:
        """The values of sources that may name files, read for a key."""
        for source, _ in sources:
            if not self._load(source):
                raise Gone
        return self._values(sources)

    def _values(self, sources: tuple[tuple[int, str], ...]) -> list[Any]:
        return [(self._claims.live(source) or {})[output] for source, output in sources]

    # How it ended.

    def start(self, node: GraphNode) -> None:
        """A call of this graph, of which something is about to run."""
        self._start(node, self._states[self._calls[node.id]])

    def _start(self, node: GraphNode, state: State) -> None:
        if state.started:
            return
        state.started = True
        if self._begin is not None:
            self._begin()
        self.running.started(node)

    def _finished(self, number: int, node: GraphNode, state: State, cached: bool, seconds: float) -> None:
        # What was remembered is told of nodes of turns only where there are files in it: a thousand turns are quick.
        if not cached or self._begin is None or node.kind.spec.output:
            if node.kind.spec.output:
                self._type_in()
            live, refs = self._claims.live(number) or {}, state.refs or {}
            self.running.finished(node, self.graph, live, refs, cached=cached, seconds=seconds)
        self._claims.settle(number)

    def _type_in(self) -> None:
        """Makes small values that come into a turn readable in its graph: names of files may be made of them."""
        for number, one in self._bound.items():
            value = one.load() if one.ref.size <= SMALL else None
            if isinstance(value, bool | int | float | str):
                self.graph.nodes[number].wires = {PARAMETER: Wire(value=value)}

    def _fail(self, number: int, node: GraphNode, state: State, error: BaseException) -> None:
        state.report = NodeReport(status="failed")
        self.running.caller.forget()
        self._say(node, problems_of(node, error))
        self._claims.settle(number)

    def _say(self, node: GraphNode, problems: list[Problem]) -> None:
        if self._told:
            self.running.say(node, problems)
