"""Instances that are repeated: what is said of it held against their subgraphs, and their bodies checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from safelight.sdk.node import InputSpec, NodeType, is_scalar
from safelight.sdk.problem import ProblemError
from safelight.sdk.types import ANY, PortType, can_connect

from .check_ports import Say, known_names
from .flat import Call, Source, Step
from .ports import GIVEN, PARAMETER, call_type
from .repeat import FIELDS, MOST_EVER
from .structure import Body, Graph, GraphNode
from .turns import number_of_turns
from .wiring import Wiring, a_value

BodyOf = Callable[[Step, Call, Mapping[int, GraphNode], Iterable[str], bool], tuple[Graph, set[str]] | None]
"""Checks the body of a call: the nodes that stand for its inputs, the outputs that are wanted, and whether its output
nodes count. Gives its graph and the outputs that are muted inside."""

_T = PortType("T", var=True)


def call_saves(call: Call) -> bool:
    """Whether there are output nodes in the body of a call."""
    return any(
        step.mode == "on"
        and ((step.kind is not None and step.kind.spec.output) or (step.call and call_saves(step.call)))
        for step in call.flat.steps
    )


class Calls:
    """Makes the nodes of calls."""

    def __init__(self, wiring: Wiring, say: Say, body: BodyOf, saves: Callable[[Step], tuple[bool, bool]]) -> None:
        """`saves` says of a call whether its output nodes count, and whether it is named as a target."""
        self._wiring = wiring
        self._say = say
        self._body = body
        self._saves = saves

    def node(self, number: int, step: Step, nodes: Sequence[GraphNode | None], wanted: set[str]) -> GraphNode | None:
        """The node of a call, `wanted` being the outputs that somebody asks for; None where something is wrong."""
        call, kind = step.call, step.kind
        if kind is None or call is None or step.mode != "on":
            return None
        sound = self._names(step, call, kind)
        made = GraphNode(step.id, kind, {})
        given: dict[int, GraphNode] = {}
        types: dict[str, PortType] = {}
        known = True
        for port in kind.spec.inputs:
            if port.name not in call.params and port.name != call.repeat.times:
                continue
            if port.name == call.repeat.index:
                found = PortType("int")
            else:
                givers = [(source, nodes[source[0]]) for source in step.links.get(port.name, ())]
                known = known and all(giver is not None for _, giver in givers)
                alive = [(source, giver) for source, giver in givers if giver is not None and giver.gives(source[1])]
                if (givers or number in self._wiring.cut) and not alive and port.name not in step.values:
                    self._switched_off(made, call, port.name, given)
                    continue
                found = self._input(number, step, call, port, alive, made)
            known = known and found is not None
            if found is not None:
                types[port.name] = found
                at = call.params.get(port.name)
                if at is not None:
                    given[at] = GraphNode(f"{step.id}/.{port.name}", GIVEN, {}, types={PARAMETER: found}, given=True)
        if not known:
            return None
        if made.off:
            return made
        well = self._with_body(made, step, call, kind, given, types, wanted) and self._lists(made, call)
        return made if well and sound else None

    def _lists(self, made: GraphNode, call: Call) -> bool:
        """Whether lists that are typed in give a number of turns: those that come in are counted in the run."""
        wires = [(name, made.wires[name]) for name in call.repeat.each if name in made.wires]
        typed = {name: len(wire.value) for name, wire in wires if not wire.sources}
        try:
            if typed:
                number_of_turns(made, typed, None)
        except ProblemError as error:
            for problem in error.problems:
                self._say(problem.code, problem.message, problem.hint, made.id, None, problem.value)
            return False
        return True

    def _switched_off(self, made: GraphNode, call: Call, port: str, given: dict[int, GraphNode]) -> None:
        """All that comes into an input is muted: so is what needs it inside, or all turns."""
        made.off = made.off or port in (*call.repeat.each, *call.repeat.carry, call.repeat.times)
        if port in call.params:
            at = call.params[port]
            given[at] = GraphNode(f"{made.id}/.{port}", GIVEN, {}, off=True, given=True)

    # What the document says.

    def _names(self, step: Step, call: Call, kind: NodeType) -> bool:
        """Says all that is wrong with the names and numbers of a repetition; whether all is well."""
        repeat = call.repeat
        wrong: list[tuple[str, str, str | None, Any]] = []
        if not repeat.each and repeat.times is None and not repeat.proceed:
            wrong.append(("It says neither `each`, `times` nor `while`.", "Say one of them.", None, None))
        if repeat.each and repeat.times is not None:
            wrong.append(("It says both `each` and `times`.", "The lists say how many turns there are.", None, None))
        inputs: list[str] = [*repeat.each, *repeat.carry, *([repeat.index] if repeat.index else [])]
        for name in dict.fromkeys(inputs):
            if name not in call.inputs:
                wrong.append((f"The subgraph has no input {name!r}.", known_names(name, call.inputs), name, name))
        asked: list[str] = [*repeat.carry.values(), *([repeat.proceed] if repeat.proceed else [])]
        for name in dict.fromkeys(asked):
            if name not in kind.outputs:
                wrong.append((f"The subgraph has no output {name!r}.", known_names(name, kind.outputs), name, name))
        for name in repeat.each:
            if name in repeat.carry or name == repeat.times:
                said = f"{name!r} cannot be taken element by element and hold something else, too."
                wrong.append((said, "Name it once.", name, name))
        if repeat.index and (
            repeat.index in (*repeat.each, *repeat.carry, repeat.times)
            or repeat.index in step.values
            or step.links.get(repeat.index)
        ):
            hint = "Take away its link, its value and its other names."
            wrong.append(
                (f"{repeat.index!r} gets the number of the turn, and something else, too.", hint, repeat.index, None)
            )
        if not 1 <= repeat.most <= MOST_EVER:
            hint = f"Give a number from 1 to {MOST_EVER:,}."
            wrong.append((f"{repeat.most} cannot be the greatest number of turns.", hint, None, repeat.most))
        for message, hint, port, value in wrong:
            self._say("bad_repeat", f"{step.id} cannot be repeated so: {message}", hint, step.id, port, value)
        for name in repeat.extra:
            message = f"{step.id} says {name!r} under `repeat`, which means nothing here: it is ignored."
            self._say("bad_repeat", message, known_names(name, FIELDS), step.id, value=name, warning=True)
        if repeat.proceed and not (repeat.carry or repeat.index or repeat.each or repeat.times is not None):
            message = f"Nothing in {step.id} changes from turn to turn, so its condition may hold for ever."
            hint = f"Carry a value, or use the number of the turn. It fails after {repeat.most:,} turns."
            self._say("endless_loop", message, hint, step.id, repeat.proceed, warning=True)
        return self._count(step, call, repeat.times) and not wrong

    def _count(self, step: Step, call: Call, times: Any) -> bool:
        if not isinstance(times, int):
            return True
        if times < 0:
            self._say("out_of_range", f"{times} is not a number of turns.", "Give 0 or more.", step.id, None, times)
        elif times > call.repeat.most:
            message = f"{step.id} would make {times:,} turns, and may make {call.repeat.most:,}."
            hint = "Raise its greatest number of turns (`most`), or make fewer."
            self._say("too_many_turns", message, hint, step.id, None, times)
        return 0 <= times <= call.repeat.most

    def _whole(self, step: Step, call: Call, name: str, times: Any) -> bool:
        """The same of a number that is typed in, or the default of what takes it inside, which may be of any kind."""
        if isinstance(times, int) and not isinstance(times, bool):
            return self._count(step, call, times)
        message = f"{step.id} would be repeated {times!r} times, the default of {name!r}."
        self._say("wrong_type", message, f"Give {name!r} a whole number.", step.id, name, times)
        return False

    # What comes in.

    def _input(
        self,
        number: int,
        step: Step,
        call: Call,
        port: InputSpec,
        givers: list[tuple[Source, GraphNode]],
        made: GraphNode,
    ) -> PortType | None:
        """Makes the wire of an input; the type of what each turn gets there, or None."""
        assert step.kind is not None
        name, declared, repeat = port.name, step.kind.inputs[port.name], call.repeat
        each = name in repeat.each
        bound: dict[str, PortType] = {}
        if not givers:
            if each and name not in step.values:
                message = f"{step.id} takes {name!r} element by element, and no list comes in."
                self._say("bad_repeat", message, f"Connect a list to {name!r}, or type one in.", step.id, name)
                return None
            if name == repeat.times:  # whatever else takes it inside
                declared = PortType("int")
            wire = self._wiring.typed_in(number, step, port, declared, bound)
            if wire is None or (name == repeat.times and not self._whole(step, call, name, wire.value)):
                return None
            made.wires[name] = wire
            inner = declared.args[0] if each else declared
            if inner.var:
                value = next(iter(wire.value), None) if each else wire.value
                scalar = PortType(type(value).__name__) if is_scalar(value) else inner
                inner = bound.get(inner.name, scalar)
            return inner
        listed = PortType("list", (_T,))
        several = len(givers) > 1
        wanted = PortType("int") if name == repeat.times else listed if each or several else _T
        wire = self._wiring.wire(step, port, wanted, givers, bound)
        if wire is None:
            return None
        if wire.depth or (each and not several and wire.collect):
            source, node = givers[0]
            given = node.types[source[1]]
            message = f"{step.id} takes {'a list' if each else 'one number'} at {name!r}, and gets {given}."
            hint = f"Connect a list, or take {name!r} out of `each`." if each else "Pick one of them."
            self._say("bad_repeat" if each else "type_mismatch", message, hint, step.id, name)
            return None
        made.wires[name] = wire
        if name == repeat.times:
            return wanted
        got = bound["T"]
        if name in repeat.carry and can_connect(got, declared).how == "widen":
            wire.widen = True
            return declared
        return got if each or not several else listed.bind(bound)

    # The body.

    def _with_body(
        self,
        made: GraphNode,
        step: Step,
        call: Call,
        kind: NodeType,
        given: Mapping[int, GraphNode],
        types: Mapping[str, PortType],
        wanted: set[str],
    ) -> bool:
        """Gives a call its body and the types of its outputs; whether all is well."""
        repeat = call.repeat
        saves, named = self._saves(step)
        saves = saves and call_saves(call)
        names = [*wanted, *repeat.carry.values(), *([repeat.proceed] if repeat.proceed else [])]
        names = list(kind.outputs) if named or not (wanted or saves) else names
        checked = self._body(step, call, given, [name for name in kind.outputs if name in names], saves)
        if checked is None:
            return False
        graph, off = checked
        gives = {name: graph.nodes[at].types.get(port, ANY) for name, (at, port) in graph.outputs.items()}
        if not self._carries(step, call, types, gives, off):
            return False
        declared = {name: kind.outputs[name] for name in kind.outputs if name not in off}
        actual = {name: found.lifted(name not in repeat.carry.values()) for name, found in gives.items()}
        made.types = declared | actual
        made.body = Body(graph, call.params, graph.outputs, repeat, saves)
        made.off = not graph.targets
        needed = graph.needed(lambda _: None)
        lazy = {name for name, at in call.params.items() if at not in needed}
        lazy -= {*repeat.each, *repeat.carry, repeat.index, str(repeat.times)}
        ports = {
            port.name: (msgspec.structs.replace(port, lazy=port.name in lazy), kind.inputs[port.name])
            for port in kind.spec.inputs
        }
        made.kind = call_type(kind.spec.id, ports, kind.outputs)
        return True

    def _carries(
        self,
        step: Step,
        call: Call,
        types: Mapping[str, PortType],
        gives: Mapping[str, PortType],
        off: set[str],
    ) -> bool:
        """Says which outputs cannot go on into the next turn, or cannot say whether there is one."""
        wrong: list[tuple[str, str, str]] = []
        for name, output in call.repeat.carry.items():
            if output in off:
                wrong.append(
                    (f"{output!r} is muted inside, so nothing comes back to {name!r}.", "Take the mute away.", name)
                )
            elif output in gives and name in types:
                got, wants = gives[output], types[name]
                fit = can_connect(got, wants)
                if not (fit.ok and fit.how == "same"):
                    message = f"{output!r} gives {got}, and {name!r} begins with {wants}: it cannot come back there."
                    wrong.append((message, f"Make {output!r} {a_value(wants)}.", name))
        proceed = call.repeat.proceed
        if proceed in off:
            wrong.append((f"{proceed!r} is muted inside, so nothing says when to end.", "Take the mute away.", proceed))
        elif proceed in gives and gives[proceed].name != "bool" and not gives[proceed].innermost.var:
            message = f"{proceed!r} gives {gives[proceed]}, and `while` needs yes or no (bool)."
            wrong.append((message, "Compare it with something first: values.compare gives yes or no.", proceed))
        for message, hint, port in wrong:
            self._say("bad_repeat", f"{step.id} cannot be repeated so: {message}", hint, step.id, port)
        return not wrong
