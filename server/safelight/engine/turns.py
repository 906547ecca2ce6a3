"""The turns of a call, one after the other.

Of what turns give only the references are kept, and the values where the caches have no room for them; so a thousand
turns take hardly more memory than ten. A turn whose results are remembered is passed over without reading them, which
is how a loop that was ended at some turn goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from safelight.graph import GraphNode, Wire
from safelight.graph.flat import Source
from safelight.graph.turns import number_of_turns, too_many
from safelight.sdk.problem import Problem, ProblemError

from .cache import MISSING, ValueRef
from .cache.pins import Holding
from .call import Demand, argument
from .result import NodeReport
from .running import Running

_TOLD_FAILURES = 20
"""Turns whose problems are told one by one; further ones are counted."""
_LOOK_SECONDS = 0.1


class Gone(Exception):
    """A value that was remembered and thought to be there could not be read; it is made again before this goes on."""


class Escape(BaseException):
    """Something has to be seen to outside of a body, at what stands for it there: this ends the turn for now."""

    def __init__(self, frame: object, number: int) -> None:
        super().__init__(number)
        self.frame = frame
        self.number = number


class Wanted(Escape):
    """An input of a call that may not be needed is."""


class Lost(Escape):
    """The value of an input of a call could not be read."""


class Bound(NamedTuple):
    """What an input of a call is in one turn. `load` gives the value, or MISSING when it could not be had."""

    ref: ValueRef
    load: Callable[[], Any]


class Turned(NamedTuple):
    """What became of all turns. `values` are given where not all of them can be had from the cache."""

    refs: dict[str, ValueRef]
    values: dict[str, Any] | None
    ran: bool
    seconds: float
    problem: Problem | None = None


class Turn(Protocol):
    """One turn: a frame that runs the body."""

    def go(self, values: Collection[int] = ()) -> None: ...
    def ref(self, source: Source, /) -> ValueRef | None: ...
    def live(self, source: Source, /) -> Any: ...
    def value(self, source: Source, /) -> Any: ...
    def reports(self) -> dict[str, NodeReport]: ...
    def touched(self) -> list[ValueRef]: ...
    def close(self) -> None: ...
    @property
    def ran(self) -> bool: ...
    @property
    def failed(self) -> bool: ...


class Outer(Protocol):
    """The frame that a call stands in."""

    running: Running
    holding: Holding

    def refs(self, wire: Wire, /) -> list[ValueRef] | None: ...
    def held(self, wire: Wire, /) -> bool: ...
    def brought(self, wire: Wire, /) -> list[Any]: ...
    def in_turn(
        self, node: GraphNode, turn: int, bound: Mapping[int, Bound], holding: Holding, *, told: bool
    ) -> Turn: ...
    def start(self, node: GraphNode, /) -> None: ...


@dataclass(slots=True)
class _Input:
    """An input of a call: a reference, or those of the elements of its list."""

    wire: Wire
    refs: list[ValueRef]
    each: bool
    whole: Any = MISSING

    def at(self, turn: int) -> int:
        return turn if self.each and len(self.refs) > 1 else 0


@dataclass(slots=True)
class _Gathered:
    """What the turns gave at one output: all of it, or what came last. `values` are those without room in the cache."""

    refs: list[ValueRef] = field(default_factory=list)
    values: dict[int, Any] = field(default_factory=dict)

    def put(self, place: int, ref: ValueRef, value: Any) -> None:
        """Notes what came at a place; `value` is MISSING where the cache has it."""
        self.refs[place:] = [ref] if place == len(self.refs) else [ref, *self.refs[place + 1 :]]
        self.values.pop(place, None)
        if value is not MISSING:
            self.values[place] = value


class Turns:
    """Runs a call. It may be stopped where something is missing, and goes on from there when `run` is called again."""

    def __init__(self, outer: Outer, node: GraphNode, *, all_values: bool) -> None:
        """`all_values` says that what is remembered has to be there, too, not only known."""
        assert node.body is not None
        self._outer = outer
        self._running = outer.running
        self._cache = outer.running.cache
        self._node = node
        self._body = node.body
        self._repeat = node.body.repeat
        self._all_values = all_values
        self._inputs: dict[str, _Input] = {}
        self._turn = 0
        self._total: int | None = None
        self._counted = False
        self._over = False
        self._gathered = {name: _Gathered() for name in self._body.outputs}
        self._carried: dict[str, Bound] = {}
        self._history: list[dict[str, ValueRef]] = []
        self._until = 0
        self._failed: list[int] = []
        self._problem: Problem | None = None
        self._ran = False
        self._seconds = 0.0
        self._looked = time.monotonic()

    def run(self) -> Turned:
        """Makes the turns that are left.

        Raises:
            Demand: an input that may not be needed is.
            Gone: what comes in was lost, and is to be made again.
            ProblemError: the number of turns is wrong.
            Cancelled: the run was.
        """
        for port, wire in self._node.wires.items():
            if port not in self._inputs:
                self._bind(port, wire)
        if not self._counted:
            self._count()
        while not self._over and (self._total is None or self._turn < self._total):
            self._running.cancel.check()
            if self._turn >= self._repeat.most:
                raise ProblemError(too_many(self._node, self._repeat.most))
            self._next()
        return self._result()

    # What comes in.

    def _bind(self, port: str, wire: Wire) -> None:
        each = port in self._repeat.each
        if not wire.sources:
            value = argument(wire, [])
            refs = [self._cache.put(item) for item in value] if each else [self._cache.put(value)]
            self._inputs[port] = _Input(wire, refs, each, value)
            return
        found = self._outer.refs(wire)
        if found is None:
            return  # one that may not be needed
        made = self._inputs[port] = _Input(wire, found, each)
        if wire.widen and not wire.collect:
            self._whole(made)
            made.refs = [self._cache.put(item) for item in made.whole] if each else [self._cache.put(made.whole)]
            return
        if wire.collect:
            parts = zip(found, wire.spread, wire.sources, strict=True)
            made.refs = [item for ref, spread, at in parts for item in (self._elements(ref, at) if spread else [ref])]
            if wire.widen:
                made.refs = [self._cache.put(item) for item in self._whole(made)]
            if not each:
                made.refs = [self._cache.compose(made.refs)]
        elif each:
            made.refs = self._elements(found[0], wire.sources[0])

    def _elements(self, ref: ValueRef, source: Source) -> list[ValueRef]:
        """The elements of a list that comes in; its values stay where they are."""
        elements = self._cache.elements(ref)
        if elements is not None:
            return elements
        return [self._cache.ref(item) for item in self._outer.brought(Wire(sources=(source,)))[0]]

    def _whole(self, given: _Input) -> Any:
        """The value of an input, a list where it is taken apart."""
        if given.whole is MISSING:
            given.whole = argument(given.wire, self._outer.brought(given.wire))
        return given.whole

    def _bound(self, given: _Input, turn: int) -> Bound:
        at = given.at(turn)
        ref = given.refs[at]

        def load() -> Any:
            if given.whole is MISSING and given.each and not self._outer.held(given.wire):
                value = self._cache.get(ref)
                if value is not MISSING:
                    return value
            try:
                whole = self._whole(given)
            except Gone:
                return MISSING
            return whole[at] if given.each else whole

        return Bound(ref, load)

    def _count(self) -> None:
        lengths = {port: len(self._inputs[port].refs) for port in self._repeat.each}
        times = self._repeat.times
        if isinstance(times, str):
            times = self._whole(self._inputs[times])
        self._total = number_of_turns(self._node, lengths, times)
        self._carried = {port: self._bound(self._inputs[port], 0) for port in self._repeat.carry}
        self._counted = True

    # One turn.

    def _next(self) -> None:
        turn = self._turn
        named = {port: self._bound(given, turn) for port, given in self._inputs.items() if port in self._body.params}
        if self._repeat.index:
            named[self._repeat.index] = Bound(self._cache.put(turn), lambda: turn)
        named |= self._carried
        bound = {self._body.params[port]: one for port, one in named.items()}
        with self._cache.holding() as holding:
            inner = self._outer.in_turn(self._node, turn, bound, holding, told=len(self._failed) < _TOLD_FAILURES)
            try:
                inner.go(self._wanted(turn))
                self._gather(turn, inner)
            except Escape as escape:
                if escape.frame is not inner:
                    raise
                names = {number: port for port, number in self._body.params.items()}
                self._missing(names[escape.number], lost=isinstance(escape, Lost))
            finally:
                self._report(inner)
                inner.close()
        self._cache.turn_over(inner.touched())

    def _wanted(self, turn: int) -> set[int]:
        """The nodes of the body whose values have to be there after a turn."""
        names = set(self._body.outputs) if self._all_values else set()
        names |= set(self._repeat.carry.values()) if turn < self._until else set()
        names |= {self._repeat.proceed} if self._repeat.proceed else set()
        return {self._body.outputs[name][0] for name in names}

    def _missing(self, port: str, *, lost: bool) -> None:
        if port not in self._carried or not self._turn:
            # One that may not be needed is only made again where it is asked for, though it was known before.
            if lost and port not in self._node.kind.lazy:
                raise Gone
            raise Demand(port)
        # What the turn before gave is not there: back to the last turn whose own inputs are, and on from it.
        back = self._turn - 1
        while back and not all(self._cache.has(ref) for ref in self._history[back].values()):
            back -= 1
        self._until = max(self._until, self._turn)
        self._turn = back
        first = {port: self._bound(self._inputs[port], 0) for port in self._repeat.carry}
        again = {port: self._kept(ref) for port, ref in self._history[back].items()}
        self._carried = again if back else first

    def _kept(self, ref: ValueRef) -> Bound:
        return Bound(ref, lambda: self._cache.get(ref))

    def _report(self, inner: Turn) -> None:
        reports = inner.reports()
        self._ran = self._ran or inner.ran
        self._seconds += sum(report.seconds for report in reports.values())
        for name, report in reports.items():
            self._running.report(name, report)

    def _gather(self, turn: int, inner: Turn) -> None:
        gave = {name: inner.ref(source) for name, source in self._body.outputs.items()}
        if inner.failed or any(ref is None for ref in gave.values()):
            self._failed.append(turn)
            self._over = not self._repeat.apart
        else:
            self._take(turn, inner, {name: ref for name, ref in gave.items() if ref is not None})
        self._turn += 1
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS or (self._ran and self._turn == self._total):
            self._looked = now
            self._outer.start(self._node)
            self._running.progress(self._node, self._turn, self._total or self._repeat.most)

    def _take(self, turn: int, inner: Turn, gave: dict[str, ValueRef]) -> None:
        """Notes what a turn gave, and finds out whether there is another one."""
        carried = set(self._repeat.carry.values())
        for name, ref in gave.items():
            source = self._body.outputs[name]
            there = self._outer.holding.value(ref)
            value = MISSING if there else inner.value(source) if self._all_values else inner.live(source)
            self._gathered[name].put(0 if name in carried else turn - len(self._failed), ref, value)
        if self._repeat.carry:
            self._history[turn:] = [{port: one.ref for port, one in self._carried.items()}]
            self._carried = {
                port: self._passed_on(gave[output], inner.live(self._body.outputs[output]))
                for port, output in self._repeat.carry.items()
            }
        if self._repeat.proceed and inner.value(self._body.outputs[self._repeat.proceed]) is not True:
            self._over, self._total = True, turn + 1

    def _passed_on(self, ref: ValueRef, value: Any) -> Bound:
        return self._kept(ref) if value is MISSING else Bound(ref, lambda: value)

    # What became of them.

    def _result(self) -> Turned:
        if self._failed:
            return Turned({}, None, self._ran, self._seconds, self._failure())
        refs: dict[str, ValueRef] = {}
        values: dict[str, Any] = {}
        lasting = {output: port for port, output in self._repeat.carry.items()}
        scarce = False
        for name, given in self._gathered.items():
            if name in lasting and not self._turn:
                # No turn was made: what came in goes out.
                first = self._carried[lasting[name]]
                given.put(0, first.ref, MISSING if self._outer.holding.value(first.ref) else first.load())
            scarce = scarce or bool(given.values)
            if name in lasting:
                refs[name] = given.refs[0]
            else:
                refs[name] = self._cache.compose(given.refs)
                # The list may have no room where its elements have: an empty one has none to lack.
                scarce = not self._outer.holding.value(refs[name]) or scarce
        if not scarce:
            return Turned(refs, None, self._ran, self._seconds)
        for name, given in self._gathered.items():
            held = [given.values.get(at, MISSING) for at in range(len(given.refs))]
            read = [
                self._cache.get(ref) if value is MISSING else value for ref, value in zip(given.refs, held, strict=True)
            ]
            if any(value is MISSING for value in read):
                return Turned(refs, None, self._ran, self._seconds)
            values[name] = read[0] if name in lasting else read
        return Turned(refs, values, self._ran, self._seconds)

    def _failure(self) -> Problem:
        failed, name = self._failed, self._node.id
        if len(failed) > 1:
            first, more = failed[:10], ", ..." if len(failed) > 10 else ""
            shown = ", ".join(str(turn + 1) for turn in first) + more
            ids = ", ".join(f"{name}/{turn}" for turn in first) + more
            message = f"{len(failed):,} of {self._turn:,} turns of {name} failed: {shown} ({ids})."
        else:
            message = f"Turn {failed[0] + 1} of {name} failed ({name}/{failed[0]})."
        hint = "The problems of its nodes say why."
        if self._repeat.apart and self._turn > len(failed):
            hint += " The other turns are kept."
        elif not self._repeat.apart and failed[0]:
            hint += " The turns before it are kept."
        return Problem(code="turn_failed", message=message, hint=hint, node=name, value=failed[:10])
