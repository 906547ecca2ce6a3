"""Everything that is wrong with a document, at once; and, of what is sound, a graph ready to be planned.

The whole pass is linear in nodes and links, and nothing recurses: ten thousand nodes in a chain are fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from safelight.sdk.node import InputSpec, NodeSpec, NodeType, is_scalar, value_fault
from safelight.sdk.pack import BUILT_IN, Catalogue
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, errors, one_of
from safelight.sdk.types import PortType, can_connect
from safelight.sdk.widgets import Fault as Remark

from .bypass import Constants, around_bypassed, behind
from .document import Document
from .expand import Fault, Flat, Source, Step, expand
from .migrate import migrate
from .order import topological
from .pause import no_collection
from .structure import Graph, GraphNode, Wire, unknown_node


@dataclass
class Checked:
    """The outcome of a check: every problem, and the graph unless one of them stops a run.

    Problems of what the targets do not need, or may not need, are warnings.
    """

    document: Document
    """The document of today's nodes: what was given, migrated."""
    problems: list[Problem]
    graph: Graph | None
    migrated: bool = False
    """Whether it is another one than was given."""

    @property
    def ok(self) -> bool:
        """Whether it can run."""
        return self.graph is not None and not errors(self.problems)

    def require(self) -> Graph:
        """The graph, or all the problems raised together."""
        if self.graph is None or not self.ok:
            raise ProblemError(self.problems)
        return self.graph


def check(document: Document, catalogue: Catalogue, targets: Sequence[str] | None = None) -> Checked:
    """Checks a document against the installed nodes.

    Args:
        document: as read; nodes of older versions are migrated first.
        catalogue: the installed nodes.
        targets: ids of the nodes to run up to; by default all output nodes and all outputs of the workflow.
    """
    with no_collection():
        current = migrate(document, catalogue)
        checked = _Check(current, catalogue, targets).run()
        checked.migrated = current is not document
        return checked


class _Check:
    def __init__(self, document: Document, catalogue: Catalogue, targets: Sequence[str] | None) -> None:
        self._document = document
        self._catalogue = catalogue
        self._targets = targets
        self._flat: Flat = expand(document, catalogue)
        self._faults: list[Fault] = list(self._flat.faults)
        self._cut: set[int] = set()
        self._constants: Constants = {}
        self._suggested: dict[str, str] = {}

    def run(self) -> Checked:
        steps = self._flat.steps
        for step in steps:
            self._ports(step)
        self._cut, self._constants = around_bypassed(steps)
        order, knotted, cycles = topological(steps)
        for path in cycles:
            shown = path if len(path) <= 12 else [*path[:6], "...", *path[-5:]]
            message = f"The links run in a circle: {' → '.join(shown)}."
            self._say("cycle", message, "Remove one of these links.", path[0], value=path[:100], concerns=path)
        nodes: list[GraphNode | None] = [None] * len(steps)
        for number in order:
            nodes[number] = self._node(number, steps[number], nodes) if number not in knotted else None
        outputs = self._outputs()
        targets = self._find_targets(outputs)
        problems = self._told(targets)
        if errors(problems):
            return Checked(self._document, problems, None)
        sound = [node or _stands_for(step) for node, step in zip(nodes, steps, strict=True)]
        self._spread_faults(sound)
        if all(sound[number].off for number in targets):
            return Checked(self._document, [*problems, _nothing_to_run(self._targets)], None)
        return Checked(self._document, problems, Graph(sound, self._flat.index, order, outputs, targets))

    def _spread_faults(self, nodes: list[GraphNode]) -> None:
        """Gives each node that cannot run the problems why: its own, or those of what it depends on."""
        own: dict[str, list[Problem]] = {}
        for fault in self._faults:
            for name in fault.concerns:
                own.setdefault(name, []).append(fault.problem)
        users: dict[int, list[int]] = {}
        todo: list[int] = []
        for number, node in enumerate(nodes if own else ()):
            node.faults = tuple(own.get(node.id, ()))
            todo += [number] if node.faults else []
            for port, wire in node.wires.items():
                for source, _ in wire.sources if port not in node.kind.lazy else ():
                    users.setdefault(source, []).append(number)
        for number in todo:  # grows while it is walked
            for user in users.get(number, ()):
                if not nodes[user].faults:
                    nodes[user].faults = nodes[number].faults
                    todo.append(user)

    # Ports and values of one node, before links are looked at together.

    def _ports(self, step: Step) -> None:
        kind = step.kind
        if kind is None:
            if not step.told:
                self._unknown_type(step)
            return
        version = step.node.version
        if version is not None and version > kind.spec.version:
            message = (
                f"The file was made with version {version} of {kind.spec.id}; version {kind.spec.version} is here."
            )
            self._say("newer_version", message, "Update the pack that brings this node.", step.id, value=version)
        if kind.spec.deprecated:
            said = kind.spec.deprecated[:1].upper() + kind.spec.deprecated[1:]
            hint = said if said.endswith((".", "!")) else f"{said}."
            self._warn(Remark("deprecated", f"{kind.spec.id} is deprecated.", hint), step.id)
        for port in [name for name in step.values if name not in kind.inputs]:
            message = f"{kind.spec.id} has no input {port!r}."
            self._say("unknown_port", message, _known(port, kind.inputs), step.id, port, step.values[port])
        for port, sources in step.links.items():
            if port not in kind.inputs:
                message = f"A link ends at {step.id}.{port}, but {kind.spec.id} has no input {port!r}."
                self._say("unknown_port", message, _known(port, kind.inputs), step.id, port)
            elif len(sources) > 1 and kind.inputs[port].name != "list":
                names = one_of([f"{self._flat.steps[source].id}.{output}" for source, output in sources])
                message = f"{len(sources)} links end at {step.id}.{port}, which takes one ({names})."
                self._say("duplicate_link", message, "Remove all but one.", step.id, port)
        for port in [port for port in step.links if port not in kind.inputs]:
            del step.links[port]
        for port, sources in step.links.items():
            sound = [source for source in sources if self._has_output(source, step, port)]
            step.links[port] = sound

    def _has_output(self, source: Source, step: Step, port: str) -> bool:
        giver = self._flat.steps[source[0]]
        if giver.kind is None or source[1] in giver.kind.outputs:
            return True
        known = giver.kind.outputs
        hint = _known(source[1], known) if known else f"{giver.kind.spec.id} has no outputs."
        message = f"The link into {step.id}.{port} comes from {giver.id}.{source[1]}, an output that does not exist."
        self._say("unknown_output", message, hint, giver.id, source[1], concerns=[step.id])
        return False

    def _unknown_type(self, step: Step) -> None:
        given = step.node.type
        if given not in self._suggested and len(self._suggested) < _SUGGESTIONS:
            self._suggested[given] = self._catalogue.suggest(given) or _same_name(given, self._catalogue)
        hint = self._suggested.get(given, "")
        pack, slash, _ = given.partition("/")
        names = (pack if slash else BUILT_IN,)
        states = [state for state in self._catalogue.packs if state.name in names and state.reason]
        if states:
            hint = f"The pack {names[0]!r} did not load: {states[0].reason} {states[0].remedy}"
        elif slash and not any(name.startswith(pack + "/") for name in self._catalogue):
            hint = f"Install the pack {pack!r} that brings it."
        message = f"There is no node type {given!r}."
        self._say("unknown_type", message, hint or "`safelight nodes` lists all types.", step.id, value=given)

    # Types, in order, so that lists and type variables are known when they are needed.

    def _node(self, number: int, step: Step, nodes: list[GraphNode | None]) -> GraphNode | None:
        kind = step.kind
        if kind is None or step.mode != "on":
            return None
        made = GraphNode(step.id, kind, {})
        bound: dict[str, PortType] = {}
        complete = True
        for port in kind.spec.inputs:
            sources = step.links.get(port.name)
            if sources:
                givers = [(source, nodes[source[0]]) for source in sources]
                alive = [(source, giver) for source, giver in givers if giver is not None and not giver.off]
                if any(giver is None for _, giver in givers):
                    # The fault lies further up, and has been said there. A branch that is not chosen may be faulty.
                    complete = complete and port.lazy
                    made.wires[port.name] = Wire(sources=tuple([source for source, _ in givers]))
                elif not alive:
                    made.off = made.off or port.required
                    made.wires[port.name] = Wire(value=port.default)
                else:
                    wire = self._wire(step, port, kind.inputs[port.name], alive, bound)
                    complete = complete and wire is not None
                    made.wires[port.name] = wire or Wire()
            else:
                wire = self._typed_in(number, step, port, kind.inputs[port.name], bound)
                if wire is None and number in self._cut:
                    made.off = made.off or port.required
                    wire = Wire(value=port.default)
                complete = complete and wire is not None
                made.wires[port.name] = wire or Wire()
        if not complete:
            return None
        made.lift = max((wire.depth for wire in made.wires.values()), default=0)
        for name, output in kind.outputs.items():
            made.types[name] = output.bind(bound).lifted(made.lift) if bound or made.lift else output
        return made

    def _wire(
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
                giver = f"{self._flat.steps[source[0]].id}.{source[1]}"
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

    def _typed_in(
        self, number: int, step: Step, port: InputSpec, wanted: PortType, bound: dict[str, PortType]
    ) -> Wire | None:
        if port.name not in step.values:
            if not port.required:
                return Wire(value=port.default)
            if number not in self._cut:
                message = f"{step.id} needs {_a(wanted)} at {port.name!r}."
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
            self._warn(remark, step.id, port.name)
        if wanted.var and is_scalar(value):
            bound.setdefault(
                wanted.name, PortType(type(value).__name__ if type(value) in (bool, int, str) else "float")
            )
        return Wire(value=_coerced(wanted, value))

    def _givers(self, wanted: PortType, port: InputSpec) -> str:
        """Where such a value comes from: the first few node types with a fitting output."""
        if port.widget is not None:
            return "Type a value in, or connect an output."
        names = [
            f"{kind.spec.id}.{name}"
            for kind in self._catalogue.values()
            for name, given in kind.outputs.items()
            if not given.innermost.var and can_connect(given, wanted).how in ("same", "wrap")
        ]
        return f"Connect {one_of(names, 3)}." if names else "No installed node gives one."

    # Outputs and targets.

    def _outputs(self) -> dict[str, Source]:
        found: dict[str, Source] = {}
        for name, given in self._flat.outputs.items():
            sources = [reached for source in given for reached in behind(self._flat.steps, self._constants, source)]
            for source in sources[:1]:
                step = self._flat.steps[source[0]]
                if step.kind is None or source[1] in step.kind.outputs:
                    found[name] = source
                    continue
                message = f"The workflow's output {name!r} comes from {step.id}.{source[1]}, which does not exist."
                hint = _known(source[1], step.kind.outputs)
                self._say("bad_workflow_output", message, hint, port=name, value=f"{step.id}.{source[1]}")
        return found

    def _find_targets(self, outputs: dict[str, Source]) -> list[int]:
        steps = self._flat.steps
        if self._targets is not None:
            for name in self._targets:
                if name not in self._flat.index:
                    self._faults.append(Fault(unknown_node(name, self._flat.index)))
            return [self._flat.index[name] for name in dict.fromkeys(self._targets) if name in self._flat.index]
        targets = {source[0] for source in outputs.values()}
        targets |= {number for number, step in enumerate(steps) if step.kind and step.kind.spec.output}
        if not targets:  # nothing is declared: what nobody uses is what is wanted
            used = {source for step in steps for sources in step.links.values() for source, _ in sources}
            targets = set(range(len(steps))) - used
        if not steps:
            hint = "Add nodes, or open a template."
            self._say("no_output", "The workflow has no nodes, so there is nothing to run.", hint)
        return sorted(number for number in targets if steps[number].mode == "on")

    def _told(self, targets: list[int]) -> list[Problem]:
        """All problems: those that the targets cannot do without as errors, the others as warnings."""
        surely = self._reached(targets)
        return [fault.problem if self._stops(fault, surely) else fault.problem.warning() for fault in self._faults]

    def _stops(self, fault: Fault, surely: set[str]) -> bool:
        if not fault.concerns:
            return self._targets is None or fault.problem.code in _ALWAYS
        return any(name in surely for name in fault.concerns)

    def _reached(self, targets: list[int]) -> set[str]:
        """The ids of the steps that the targets need whatever is chosen, and of the instances that these lie in."""
        steps = self._flat.steps
        seen, todo = set(targets), list(targets)
        while todo:
            step = steps[todo.pop()]
            lazy = step.kind.lazy if step.kind else ()
            for port, sources in step.links.items():
                if port in lazy:
                    continue
                for source, _ in sources:
                    if source not in seen:
                        seen.add(source)
                        todo.append(source)
        found: set[str] = set()
        for number in seen:
            name = steps[number].id
            while name and name not in found:
                found.add(name)
                name = name.rpartition("/")[0]
        return found

    def _warn(self, remark: Remark, node: str, port: str | None = None) -> None:
        problem = Problem(code=remark.code, message=remark.message, hint=remark.hint, node=node, port=port)
        self._faults.append(Fault(problem.warning()))  # nothing hangs on it

    def _say(
        self,
        code: str,
        message: str,
        hint: str,
        node: str | None = None,
        port: str | None = None,
        value: Any = None,
        concerns: list[str] | None = None,
    ) -> None:
        problem = Problem(code=code, message=message, hint=hint, node=node, port=port, value=value)
        self._faults.append(Fault(problem, concerns if concerns is not None else [node] if node else []))


_SUGGESTIONS = 20
"""Unknown types that are compared with all names: each takes milliseconds, and a file may have thousands."""
_ALWAYS = ("unknown_node", "too_large", "no_output", "bad_workflow_input", "duplicate_name")
"""Problems of the whole document that stop every run of it."""


def _nothing_to_run(targets: Sequence[str] | None) -> Problem:
    if targets is not None and not targets:
        message, hint = "No nodes were named to run up to.", "Name some, or leave the targets out to run everything."
    else:
        named = f" ({one_of(list(targets))})" if targets else ""
        message = f"There is nothing to run: all that was asked for{named} is muted, or hangs on what is muted."
        hint = "Take the mute away, or name another node."
    return Problem(code="nothing_to_run", message=message, hint=hint)


def _coerced(wanted: PortType, value: Any) -> Any:
    """The literal in the type of the port, so that 1 and 1.0 are the same float and give the same key."""
    if wanted.name == "float":
        return float(value)
    if wanted.name == "list":
        return [_coerced(wanted.args[0], element) for element in value]
    return value


def _known(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return did_you_mean(name, names) or (f"It has {one_of(names)}." if names else "It has none.")


def _same_name(given: str, catalogue: Catalogue) -> str:
    """`sampler.sample` → "Did you mean sampling.sample?": the same function in another family."""
    tail = given.rsplit(".", 1)[-1]
    names = [name for name in catalogue if name.rsplit(".", 1)[-1] == tail]
    return f"Did you mean {one_of(names[:3])}?" if names else ""


def _a(kind: PortType) -> str:
    name = kind.args[0].name + " model" if kind.name == "ModelRef" else str(kind)
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"


def _stands_for(step: Step) -> GraphNode:
    """In the place of a node that cannot run: muted or bypassed, or faulty on a branch that may not be chosen."""
    if step.mode != "on":
        return GraphNode(step.id, _NOTHING, {}, off=True)
    wires = {port: Wire(sources=tuple(sources)) for port, sources in step.links.items() if sources}
    kind = step.kind or _NOTHING
    return GraphNode(step.id, kind, wires, types=dict(kind.outputs))


def _nothing() -> None:
    """Stands in for nodes that are muted or bypassed."""


_NOTHING = NodeType(
    spec=NodeSpec(id="", version=1, title="", category="", help="", inputs=(), outputs=()),
    function=_nothing,
    inputs={},
    outputs={},
    context=None,
    named=False,
    migrations={},
)
