"""Everything that is wrong with a document, at once; and, of what is sound, a graph ready to be planned.

The whole pass is linear in nodes and links, and nothing recurses but calls inside calls: ten thousand nodes in a chain
are fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safelight.sdk.node import NodeSpec, NodeType
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError, errors, one_of
from safelight.sdk.types import PortType

from .bypass import Constants, around_bypassed, behind
from .check_calls import Calls, call_saves
from .check_ports import Ports, known_names
from .document import Document
from .expand import expand
from .flat import Call, Fault, Flat, Source, Step, locate
from .migrate import migrate
from .order import topological
from .pause import no_collection
from .structure import Graph, GraphNode, Wire, unknown_node
from .wiring import Wiring


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
        checked = _Check(expand(current, catalogue), catalogue, targets, {}).run(current)
        checked.migrated = current is not document
        return checked


class _Check:
    """One pass over a flat list of steps: a document, or the body of a call."""

    def __init__(
        self, flat: Flat, catalogue: Catalogue, targets: Sequence[str] | None, given: Mapping[int, GraphNode]
    ) -> None:
        """`given` are the nodes that stand in a body for the inputs of its call; those left out are not known."""
        self._catalogue = catalogue
        self._targets = targets
        self._flat = flat
        self._given = given
        self._saves = True
        self._outputs_wanted: Iterable[str] = flat.outputs
        self._faults: list[Fault] = list(flat.faults)
        self._constants: Constants = {}
        self._order: list[int] = []
        self._nodes: list[GraphNode | None] = []

    def run(self, document: Document) -> Checked:
        self._walk()
        outputs = self._outputs()
        targets = self._find_targets(outputs)
        problems = self._told(targets)
        if errors(problems):
            return Checked(document, problems, None)
        graph = self._graph(outputs, targets)
        if all(graph.nodes[number].off for number in targets):
            return Checked(document, [*problems, _nothing_to_run(self._targets)], None)
        return Checked(document, problems, graph)

    def _walk(self) -> None:
        """Finds what every step is made of, and what it gives."""
        steps = self._flat.steps
        ports = Ports(steps, self._catalogue, self._say)
        for step in steps:
            ports.look(step)
        cut, self._constants = around_bypassed(steps)
        self._order, knotted, cycles = topological(steps)
        for path in cycles:
            shown = path if len(path) <= 12 else [*path[:6], "...", *path[-5:]]
            message = f"The links run in a circle: {' → '.join(shown)}."
            self._say("cycle", message, "Remove one of these links.", path[0], value=path[:100], concerns=path)
        wiring = Wiring(steps, self._catalogue, cut, self._say)
        calls = Calls(wiring, self._say, self._body, self._asked) if any(step.call for step in steps) else None
        nodes: list[GraphNode | None] = [None] * len(steps)
        self._nodes = nodes
        wanted = self._wanted() if calls else {}
        for number in self._order:
            step = steps[number]
            if number in knotted:
                continue
            if step.given:
                nodes[number] = self._given.get(number)
            elif calls and step.call:
                nodes[number] = calls.node(number, step, nodes, wanted.get(number, set()))
            else:
                nodes[number] = self._node(number, step, nodes, wiring)

    def _graph(self, outputs: dict[str, Source], targets: list[int]) -> Graph:
        nodes = [node or _stands_for(step) for node, step in zip(self._nodes, self._flat.steps, strict=True)]
        self._spread_faults(nodes)
        return Graph(nodes, self._flat.index, self._order, outputs, targets)

    # Calls.

    def _wanted(self) -> dict[int, set[str]]:
        """The outputs of steps that somebody asks for."""
        found: dict[int, set[str]] = {}
        asked = [source for step in self._flat.steps for sources in step.links.values() for source in sources]
        asked += [source for name in self._outputs_wanted for source in self._flat.outputs.get(name, ())]
        for number, output in asked:
            found.setdefault(number, set()).add(output)
        return found

    def _asked(self, step: Step) -> tuple[bool, bool]:
        """Whether the output nodes inside a call count, and whether it is named as a target."""
        if self._targets is None:
            return self._saves, False
        named = any(name == step.id or name.startswith(f"{step.id}/") for name in self._targets)
        return named, named

    def _body(
        self, step: Step, call: Call, given: Mapping[int, GraphNode], wanted: Iterable[str], saves: bool
    ) -> tuple[Graph, set[str]] | None:
        """The graph of a call's body up to the outputs that are wanted, and to its output nodes where it `saves`.

        With it come the outputs that are muted inside. None where something is wrong with it, which has been said.
        """
        inner = _Check(call.flat, self._catalogue, None, given)
        inner._saves, inner._outputs_wanted = saves, wanted
        inner._walk()
        outputs: dict[str, Source] = {}
        off: set[str] = set()
        lost = False
        for name in wanted:
            for fault in call.broken.get(name, ()):
                lost = True
                self._faults.append(Fault(fault.problem, [step.id]))
            reached = [
                at for source in call.flat.outputs[name] for at in behind(call.flat.steps, inner._constants, source)
            ]
            if not reached:
                off.add(name)
                continue
            number, port = outputs[name] = reached[0]
            kind = call.flat.steps[number].kind
            if kind is not None and port not in kind.outputs:
                at = f"{call.flat.steps[number].id}.{port}"
                message = f"The output {name!r} comes from {at}, which does not exist."
                self._say("bad_workflow_output", message, known_names(port, kind.outputs), step.id, name, at)
                lost = True
        targets = {number for number, _ in outputs.values()}
        targets |= inner._savers() if saves else set()
        problems = inner._told(sorted(targets))
        self._faults += [Fault(problem, [step.id] if problem.level == "error" else []) for problem in problems]
        if errors(problems) or lost or any(inner._nodes[number] is None for number in targets):
            return None
        graph = inner._graph(outputs, sorted(targets))
        off |= {name for name, (number, _) in outputs.items() if graph.nodes[number].off}
        start = len(step.id) + 1
        for node in graph.nodes:
            node.id = node.id[start:]
        graph.index = {node.id: number for number, node in enumerate(graph.nodes) if not node.given}
        graph.targets = [number for number in graph.targets if not graph.nodes[number].off]
        graph.outputs = {name: source for name, source in outputs.items() if name not in off}
        return graph, off

    def _savers(self) -> set[int]:
        """The output nodes that are on, and the calls in which there are some."""
        return {
            number
            for number, step in enumerate(self._flat.steps)
            if step.mode == "on" and step.kind and (step.kind.spec.output or (step.call and call_saves(step.call)))
        }

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

    # Types, in order, so that lists and type variables are known when they are needed.

    def _node(self, number: int, step: Step, nodes: Sequence[GraphNode | None], wiring: Wiring) -> GraphNode | None:
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
                alive = [(source, giver) for source, giver in givers if giver is not None and giver.gives(source[1])]
                if any(giver is None for _, giver in givers):
                    # The fault lies further up, and has been said there. A branch that is not chosen may be faulty.
                    complete = complete and port.lazy
                    made.wires[port.name] = Wire(sources=tuple([source for source, _ in givers]))
                elif not alive:
                    made.off = made.off or port.required
                    made.wires[port.name] = Wire(value=port.default)
                else:
                    wire = wiring.wire(step, port, kind.inputs[port.name], alive, bound)
                    complete = complete and wire is not None
                    made.wires[port.name] = wire or Wire()
            else:
                wire = wiring.typed_in(number, step, port, kind.inputs[port.name], bound)
                if wire is None and number in wiring.cut:
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
                hint = known_names(source[1], step.kind.outputs)
                self._say("bad_workflow_output", message, hint, port=name, value=f"{step.id}.{source[1]}")
        return found

    def _find_targets(self, outputs: dict[str, Source]) -> list[int]:
        steps = self._flat.steps
        if self._targets is not None:
            found = {name: locate(self._flat, name) for name in self._targets}
            for name in [name for name, way in found.items() if not way]:
                self._faults.append(Fault(unknown_node(name, self._flat.index)))
            return list(dict.fromkeys(way[0][1] for way in found.values() if way))
        targets = {source[0] for source in outputs.values()} | self._savers()
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

    def _say(
        self,
        code: str,
        message: str,
        hint: str,
        node: str | None = None,
        port: str | None = None,
        value: Any = None,
        concerns: list[str] | None = None,
        *,
        warning: bool = False,
    ) -> None:
        problem = Problem(code=code, message=message, hint=hint, node=node, port=port, value=value)
        if warning:  # nothing hangs on it
            self._faults.append(Fault(problem.warning()))
        else:
            self._faults.append(Fault(problem, concerns if concerns is not None else [node] if node else []))


_ALWAYS = ("unknown_node", "too_large", "no_output", "bad_workflow_input", "duplicate_name")
"""Problems of the whole document that stop every run of it."""


def _nothing_to_run(targets: Sequence[str] | None) -> Problem:
    if targets is not None and not targets:
        message, hint = "No nodes were named to run up to.", "Name some, or leave the targets out to run everything."
    else:
        named = f" ({one_of(list(targets))})" if targets else ""
        message = f"There is nothing to run: all that was asked for{named} is muted or bypassed, or hangs on what is."
        hint = "Take the mute or the bypass away, or name another node."
    return Problem(code="nothing_to_run", message=message, hint=hint)


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
