"""How the inputs of one node get their values: over links of fitting types, or typed in."""

from __future__ import annotations

from typing import Any

from safelight.sdk.node import TYPED_IN, InputSpec, is_scalar, value_fault
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import one_of
from safelight.sdk.types import ANY, PortType, can_connect

from .check_ports import Say
from .flat import Source, Step
from .structure import GraphNode, Wire


class Wiring:
    """Makes the wires of nodes, in an order in which what comes before is known."""

    def __init__(self, steps: list[Step], catalogue: Catalogue, cut: set[int], say: Say) -> None:
        """`cut` are the steps that have lost all links into an input, because those began at muted nodes."""
        self._steps = steps
        self._catalogue = catalogue
        self.cut = cut
        self._say = say

    def wire(
        self,
        step: Step,
        port: InputSpec,
        wanted: PortType,
        givers: list[tuple[Source, GraphNode]],
        bound: dict[str, PortType],
    ) -> Wire | None:
        wire = Wire(sources=tuple([source for source, _ in givers]))
        several = len(givers) > 1
        generic = wanted.innermost.var
        for source, node in givers:
            given = node.types.get(source[1])
            if given is None:
                return None
            if generic:
                inner = given
                for _ in range(wanted.depth if given.depth >= wanted.depth else 0):
                    inner = inner.args[0]
                bound.setdefault(wanted.innermost.name, inner)
                if given.depth < wanted.depth:
                    wire.collect = True
            target = wanted.bind(bound) if generic else wanted
            fit = can_connect(given, target)
            if not fit.ok or (several and fit.depth):
                giver = f"{self._steps[source[0]].id}.{source[1]}"
                reason = fit.reason or f"several links end here, so {given} cannot run the node once an element."
                message = f"{giver} cannot feed {step.id}.{port.name}: {reason}"
                self._say(
                    "type_mismatch", message, f"{port.name} takes {target}, {giver} gives {given}.", step.id, port.name
                )
                return None
            if port.lazy and fit.depth:
                message = f"{step.id}.{port.name} takes one {target}, and {given} is a list."
                self._say("type_mismatch", message, "Choose before the list is made.", step.id, port.name)
                return None
            wire.depth = max(wire.depth, fit.depth)
            wire.spread += (fit.how != "wrap",)
            wire.collect = wire.collect or several or fit.how == "wrap"
            if target.innermost.name == "float":
                wire.widen = wire.widen or given.innermost.name == "int"
        return wire

    def typed_in(
        self, number: int, step: Step, port: InputSpec, wanted: PortType, bound: dict[str, PortType]
    ) -> Wire | None:
        if port.name not in step.values:
            if not port.required:
                return Wire(value=port.default)
            if number not in self.cut:
                message = f"{step.id} needs {a_value(wanted)} at {port.name!r}."
                self._say("missing_input", message, self._givers(wanted, port), step.id, port.name)
            return None
        value = step.values[port.name]
        if value is None and not port.required and port.default is None:
            return Wire()
        # A type variable that an input before this one has settled is that type here.
        wanted = bound.get(wanted.name, wanted) if wanted.var and is_scalar(value) else wanted
        fault = value_fault(wanted, port.widget, value)
        if fault:
            where = f"{step.id}.{port.name}: {fault.message}"
            self._say(fault.code, where, fault.hint, step.id, port.name, value)
            return None
        for remark in port.widget.remarks(value) if port.widget else ():
            self._say(remark.code, remark.message, remark.hint, step.id, port.name, warning=True)
        if wanted.var and is_scalar(value):
            bound.setdefault(
                wanted.name, PortType(type(value).__name__ if type(value) in (bool, int, str) else "float")
            )
        return Wire(value=coerced(wanted, value))

    def _givers(self, wanted: PortType, port: InputSpec) -> str:
        """Where such a value comes from: the first few node types with a fitting output."""
        if port.widget is not None:
            return "Type a value in, or connect an output."
        if wanted.innermost.var or wanted.innermost == ANY:
            return "Connect any output, or type a value in."
        found: dict[str, list[str]] = {
            "same": [],
            "wrap": [],
        }  # what is a list comes before what becomes an element of one
        for kind in self._catalogue.values():
            for name, given in kind.outputs.items():
                how = can_connect(given, wanted).how
                if not given.innermost.var and how in found:
                    found[how].append(f"{kind.spec.id}.{name}")
        names = found["same"] or found["wrap"]
        if wanted.innermost.name in TYPED_IN:
            return f"Connect {one_of(names, 3)}, or type a value in." if names else "Type a value in."
        return f"Connect {one_of(names, 3)}." if names else "No installed node gives one."


def coerced(wanted: PortType, value: Any) -> Any:
    """The literal in the type of the port, so that 1 and 1.0 are the same float and give the same key."""
    if wanted.name == "float":
        return float(value)
    if wanted.name == "list":
        return [coerced(wanted.args[0], element) for element in value]
    return value


def a_value(kind: PortType) -> str:
    """A type with its article, as a sentence names it."""
    name = kind.args[0].name + " model" if kind.name == "ModelRef" else str(kind)
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
