"""What of a graph is known before a run: it is walked forward to learn which results are remembered, and backward to
learn which of the rest are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import count
from typing import Any, Literal

import msgspec

from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Problem, ProblemError

from .flat import Source
from .keys import Called, Foreseen, Keys, Known, Memory, Typed, eager, needs_of
from .ports import PARAMETER
from .structure import Body, Graph, GraphNode, Wire
from .turns import Turned, force_of_turn, number_of_turns, too_many

Status = Literal["cached", "run", "unknown", "off", "unneeded"]


_MOST_TURNS = 5_000
"""Turns that a survey looks at, those of calls inside calls included: some seconds of work."""
_MOST_PROBLEMS = 20
"""Problems of turns that are told: what is wrong with one is often wrong with all."""


class Choice(msgspec.Struct, frozen=True):
    """The lazy inputs that a choice node asks for. They are all of them where it is `whole`; else more may follow."""

    ports: frozenset[str]
    whole: bool


Choose = Callable[[GraphNode, dict[str, Any]], Choice]
"""Asks a choice node, given its eager inputs by name, which lazy inputs it will want."""


Light = Callable[[GraphNode, dict[str, list[Any]]], Mapping[str, Any] | None]
"""Calls a light node, given what its links bring by port; its outputs by port, or None where it may not or fails."""


class Survey:
    """What of a graph is known before a run: the keys, the remembered results, and which of these a run will need."""

    def __init__(
        self,
        graph: Graph,
        memory: Memory,
        keys: Keys,
        force: frozenset[str] = frozenset(),
        choose: Choose | None = None,
        light: Light | None = None,
        given: Mapping[int, Any] | None = None,
        room: list[int] | None = None,
    ) -> None:
        """`given` has references for the nodes that stand for the inputs of a body, `room` counts the turns that may
        still be looked at; see `plan` for the rest."""
        self._graph = graph
        self._memory = memory
        self._keys = keys
        self._force = force
        self._choose = choose
        self._light = light
        self._foreseen: dict[int, dict[str, Any]] = {}
        self._chosen: dict[int, Choice] = {}
        self._given = given or {}
        self._room = [_MOST_TURNS] if room is None else room
        self.problems: list[Problem] = []
        self.turns: dict[int, Turned] = {}
        """What is known of the turns of each call."""
        self.lists: dict[int, dict[str, list[Any]]] = {}
        """By call that is remembered and output: the elements of its list."""
        self.known: list[Known | None] = [None] * len(graph.nodes)
        """The remembered result of each node, where all that goes into it is known."""
        self.keys: list[str] = [""] * len(graph.nodes)
        """The key of each node without lazy inputs, where all that goes into it is known."""
        self._held: list[int] = []
        for number, ref in self._given.items():
            self.known[number] = Called({PARAMETER: ref}, 0.0)
        for number in graph.order:
            node = graph.nodes[number]
            if not node.off and not node.faults and not node.given:
                call = node.body is not None
                self.known[number] = self._call(number, node) if call else self._forward(number, node)

    @cached_property
    def statuses(self) -> list[Status]:
        """What will become of each node."""
        return self._backward()

    @property
    def held(self) -> list[Known]:
        """The remembered results whose values a run will need, and which are there."""
        assert self.statuses is not None, "they are found on the way back"
        return [known for number in self._held if (known := self.known[number]) is not None]

    def ref(self, source: Source) -> Any | None:
        """What is known, or foreseen, of an output."""
        known = self.known[source[0]]
        outputs = self._foreseen.get(source[0]) if known is None else known.outputs
        return None if outputs is None else outputs[source[1]]

    def models(self, number: int) -> tuple[ModelRef[Any], ...]:
        """The recipes that a node computes with, as far as they are known; none for a light node, which only passes
        them on."""
        node = self._graph.nodes[number]
        if node.kind.light or node.off or node.body is not None:
            return ()
        found: dict[ModelRef[Any], None] = {}
        for port, wire in node.wires.items():
            kind = node.kind.ports.get(port)
            if not wire.sources or kind is None or not str(kind.type).startswith("Model"):
                continue
            for source in wire.sources:
                with contextlib.suppress(LookupError):
                    ref = self.ref(source)
                    value = None if ref is None else self._value(ref)
                    if isinstance(value, ModelRef):
                        found[value] = None
        return tuple(found)

    def _forward(self, number: int, node: GraphNode) -> Known | None:
        """The remembered result of a node, if all that goes into it is known."""
        digests: dict[str, str] = {}
        port = None
        try:
            for port, wire in eager(node):
                refs = self._refs(wire)
                if refs is None:
                    return None
                digests[port] = self._wire(node, port, refs)
        except ProblemError as error:
            self.problems += [problem.at(node.id, port) for problem in error.problems]
            return None
        except LookupError:
            return None
        if not node.kind.spec.cache or node.id in self._force:
            return None
        key = self._keys.lifted(node, digests)
        known = self._memory.lookup(key)
        if node.kind.lazy:
            return self._follow(number, node, key, known)
        self.keys[number] = key
        if known is None and node.kind.light and self._light is not None and not node.lift:
            self._foresee(number, node, self._light)
        return known

    def _foresee(self, number: int, node: GraphNode, light: Light) -> None:
        """Learns what a light node will give, so that what its change does not touch is known to stay."""
        try:
            given = {port: [self._value(ref) for ref in self._refs(wire) or []] for port, wire in eager(node)}
        except LookupError:
            return
        outputs = light(node, given)
        if outputs is not None:
            self._foreseen[number] = {
                port: Foreseen(self._memory.digest(value), value) for port, value in outputs.items()
            }

    def _value(self, ref: Any) -> Any:
        return ref.value if isinstance(ref, Foreseen) else self._memory.value(ref)

    def _wire(self, node: GraphNode, port: str, refs: list[Any]) -> str:
        return self._keys.wire(node, port, node.wires[port], refs, lambda: [self._value(ref) for ref in refs])

    def _refs(self, wire: Wire) -> list[Any] | None:
        refs: list[Any] = []
        for source in wire.sources:
            ref = self.ref(source)
            if ref is None:
                return None
            refs.append(ref)
        return refs

    def _follow(self, number: int, node: GraphNode, key: str, known: Known | None) -> Known | None:
        """Goes along the inputs that a choice asked for when it was last made, as far as it is remembered."""
        asked: list[str] = []
        while known is not None and known.demands is not None:
            port = known.demands
            asked.append(port)
            refs = self._refs(node.wires[port])
            if refs is None:
                known = None
                break
            key = self._keys.choice(key, port, self._wire(node, port, refs))
            known = self._memory.lookup(key)
        self._chosen[number] = Choice(frozenset(asked), whole=True) if known is not None else self._ask(node, asked)
        return known

    def _ask(self, node: GraphNode, asked: list[str]) -> Choice:
        """What a choice will ask for, as far as it can say now; what it asked for earlier is among it."""
        unsure = Choice(frozenset(asked), whole=False)
        if self._choose is None or node.lift:
            return unsure
        values: dict[str, Any] = {}
        for port, wire in eager(node):
            refs = self._refs(wire)
            try:
                values[port] = wire.value if not wire.sources else self._scalar((refs or [])[0])
            except (LookupError, IndexError):
                return unsure
        found = self._choose(node, values)
        return Choice(found.ports | unsure.ports, found.whole)

    def _scalar(self, ref: Any) -> Any:
        if isinstance(ref, Typed):
            return ref.value
        if isinstance(ref, Foreseen):
            raise LookupError(ref.digest)
        return self._memory.scalar(ref)

    # Calls: the body is surveyed turn by turn, as far as what goes into the turns is known.

    def _call(self, number: int, node: GraphNode) -> Known | None:
        body = node.body
        assert body is not None
        found = self.turns[number] = Turned()
        try:
            inputs = {port: self._bound(body, port, wire) for port, wire in node.wires.items()}
            lists = {port: inputs[port] for port in body.repeat.each}
            times = body.repeat.times
            if isinstance(times, str):
                times = None if inputs[times] is None else self._scalar(inputs[times])
            if (times is not None or body.repeat.times is None) and all(given is not None for given in lists.values()):
                found.total = number_of_turns(node, {port: len(given) for port, given in lists.items()}, times)
            if any(given is None for port, given in inputs.items() if port not in node.kind.lazy):
                found.guess(0, self._usual(body))
                return None
            outputs = self._all_turns(node, body, inputs, lists, found)
        except ProblemError as error:
            self.problems += [problem.at(node.id) for problem in error.problems]
            return None
        except LookupError:
            return None
        if outputs is None:
            return None
        lists = {port: given for port, given in outputs.items() if isinstance(given, list)}
        known = outputs | {port: self._listed(given) for port, given in lists.items()}
        if found.run or any(isinstance(ref, Foreseen) for ref in known.values()):
            self._foreseen[number] = known
            return None
        self.lists[number] = lists
        needs = tuple(ref for refs in found.needs for ref in refs)
        if found.total == 0:  # what came in goes out
            needs = tuple(ref for port, ref in known.items() if port not in lists)
        return Called(known, found.seconds, needs)

    def _all_turns(
        self, node: GraphNode, body: Body, inputs: dict[str, Any], lists: dict[str, Any], found: Turned
    ) -> dict[str, Any] | None:
        """What each output gives, a list where it is not carried; None where some of that is not known."""
        repeat = body.repeat
        lasting = {output: inputs[port] for port, output in repeat.carry.items()}
        outputs: dict[str, list[Any]] = {name: [] for name in body.outputs if name not in lasting}
        carried = {port: inputs[port] for port in repeat.carry}
        whole = True
        for turn in range(found.total) if found.total is not None else count():
            if turn >= repeat.most:
                raise ProblemError(too_many(node, repeat.most))
            if self._room[0] <= 0:
                found.unsure = True
                return None
            self._room[0] -= 1
            refs = inputs | {port: given[turn if len(given) > 1 else 0] for port, given in lists.items()} | carried
            if repeat.index:
                refs[repeat.index] = self._typed(turn)
            inner = self._inside(node, body, turn, refs)
            self._count(inner, body, found)
            gave = {name: inner.ref(source) for name, source in body.outputs.items()}
            whole = whole and all(ref is not None for ref in gave.values())
            for name, refs_so_far in outputs.items():
                refs_so_far.append(gave[name])
            if repeat.apart:
                continue
            carried = {port: gave[output] for port, output in repeat.carry.items()}
            lasting = {output: gave[output] for output in lasting}
            go_on = gave[repeat.proceed] if repeat.proceed else True
            if go_on is None or any(ref is None for ref in carried.values()):
                found.guess(turn + 1, self._usual(body))
                return None
            if go_on is not True and not (go_on.value if isinstance(go_on, Foreseen) else self._scalar(go_on)):
                found.total = turn + 1
                break
        return outputs | lasting if whole else None

    def _inside(self, node: GraphNode, body: Body, turn: int, refs: dict[str, Any]) -> Survey:
        inner = Survey(
            body.graph.within(f"{node.id}/{turn}/"),
            self._memory,
            self._keys,
            force_of_turn(node, body, turn, self._force),
            self._choose,
            self._light,
            {at: refs[port] for port, at in body.params.items() if refs.get(port) is not None},
            self._room,
        )
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems += inner.problems
        return inner

    def _count(self, inner: Survey, body: Body, found: Turned) -> None:
        """Notes whether a turn is remembered, and what it took or will take."""
        known = [inner.known[target] for target in body.graph.targets if not body.graph.nodes[target].off]
        if all(one is not None for one in known) and not inner.foresees:
            found.needs.append(tuple(ref for one in known if one is not None for ref in needs_of(one)))
            found.seconds += sum(one.seconds for one in inner.known if one is not None)
            return
        found.run += 1
        found.to_run += sum(inner.seconds(number) for number, status in enumerate(inner.statuses) if status == "run")

    def seconds(self, number: int) -> float:
        """What a node is expected to take; 0 where nothing is known of it."""
        known, turns = self.known[number], self.turns.get(number)
        if turns is not None and known is None:
            return turns.to_run
        kind = self._graph.nodes[number].kind
        return (known.seconds if known else self._memory.last_seconds(kind.spec.id)) or 0.0

    @property
    def foresees(self) -> bool:
        """Whether some of what is known comes of light nodes that have yet to run."""
        return bool(self._foreseen)

    def _usual(self, body: Body) -> float:
        """Seconds that a turn usually takes of which nothing is known."""
        found = 0.0
        for _, graph in body.graph.everything():
            found += sum(self._memory.last_seconds(node.kind.spec.id) or 0.0 for node in graph.nodes)
        return found

    def _listed(self, refs: list[Any]) -> Any:
        """The reference of a list of what is known or foreseen."""
        listed = self._memory.listed(refs)
        if any(isinstance(ref, Foreseen) for ref in refs):
            return Foreseen(listed.digest, [self._value(ref) for ref in refs])
        return listed

    def _bound(self, body: Body, port: str, wire: Wire) -> Any:
        """What is known of an input of a call: a reference, those of its elements, or None."""
        if not wire.sources:
            refs, taken = [self._typed(wire.value)], True
        else:
            found = self._refs(wire)
            if found is None:
                return None
            refs, taken = found, False
        each = port in body.repeat.each
        if wire.collect:
            parts = [self._elements(ref) if spread else [ref] for ref, spread in zip(refs, wire.spread, strict=True)]
            refs = [ref for part in parts for ref in part]
        elif each:
            refs = self._elements(refs[0])
        if wire.widen and not taken:
            refs = [self._typed(float(self._value(ref))) for ref in refs]
        return refs if each else self._listed(refs) if wire.collect else refs[0]

    def _elements(self, ref: Any) -> list[Any]:
        if isinstance(ref, Typed):
            return [self._typed(value) for value in ref.value]
        if isinstance(ref, Foreseen):
            return [Foreseen(self._memory.digest(value), value) for value in ref.value]
        return self._memory.elements(ref)

    def _typed(self, value: Any) -> Typed:
        return Typed(self._keys.literal(value), value)

    def _backward(self) -> list[Status]:
        graph = self._graph
        status: list[Status] = ["unneeded"] * len(graph.nodes)
        wanted = set(graph.targets)
        values = set(graph.targets)
        keyed: set[int] = set()
        for number in reversed(graph.order):
            node = graph.nodes[number]
            if node.off:
                status[number] = "off"
                continue
            if node.given:
                continue
            known = self.known[number]
            if number not in wanted and known is not None and number in keyed:
                keyed |= self._sources_of_key(number, node)
            if number not in wanted and not (known is None and number in keyed):
                continue
            if known is not None and (number not in values or self._memory.available(node, known)):
                status[number] = "cached"
                if number in values:
                    self._held.append(number)
                keyed |= self._sources_of_key(number, node)
                continue
            if number in self.turns and self.turns[number].unsure and not self.turns[number].run:
                status[number] = "unknown"
            elif status[number] != "unknown":
                status[number] = "run"
            if node.faults:
                continue
            for port, wire in node.wires.items():
                sources = {source for source, _ in wire.sources}
                lazy = port in node.kind.lazy
                chosen = self._chosen.get(number)
                sure = not lazy or (chosen is not None and port in chosen.ports)
                if not sure and chosen is not None and chosen.whole:
                    continue
                if not sure or status[number] == "unknown":
                    for source in sources - wanted:
                        status[source] = "unknown"
                elif status[number] == "run":
                    for source in sources:
                        status[source] = "run"
                wanted |= sources
                values |= sources
        self._mark_upstream(status, wanted)
        return status

    def _sources_of_key(self, number: int, node: GraphNode) -> set[int]:
        """What a cached node is looked up by: where that was foreseen, it has to run first."""
        if not self._foreseen:
            return set()
        chosen = self._chosen.get(number)
        ports = set(node.wires) - node.kind.lazy | (chosen.ports if chosen else set())
        return {source for port in ports for source, _ in node.wires[port].sources}

    def _mark_upstream(self, status: list[Status], wanted: set[int]) -> None:
        """What lies above a cached node is not needed now, but shown as cached where it is: nothing of it runs."""
        above = {number for number in wanted if status[number] == "cached"}
        for number in reversed(self._graph.order):
            if number in above:
                for wire in self._graph.nodes[number].wires.values():
                    above |= {source for source, _ in wire.sources}
                if status[number] == "unneeded" and self.known[number] is not None:
                    status[number] = "cached"
