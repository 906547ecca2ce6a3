"""Subgraphs inlined: a document with instances at any depth becomes one flat list of steps.

The id of a step inside an instance is a path, `hires/sample`. An instance that is repeated stays one step, a call,
whose body is a flat list of its own. Only calls inside calls recurse, to a bounded depth, and a document that would
grow past `MAX_NODES` steps is refused instead of unrolled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from safelight.sdk.node import InputSpec, NodeType
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, did_you_mean, one_of
from safelight.sdk.types import ANY, PortType

from .constant import constant
from .document import MAX_NODES, SUBGRAPH, Document, Mode, Node, Port
from .flat import Call, Fault, Flat, Source, Step
from .ports import GIVEN, PARAMETER, call_type, input_of_call
from .repeat import Repeat

MAX_CALLS = 20
"""How deep calls may lie inside calls."""


@dataclass
class _Scope:
    """One document or one instance of a subgraph, with what its node ids mean."""

    path: str
    document: Document
    outer: _Scope | None
    mode: Mode
    node: Node | None = None
    steps: dict[str, int] = field(default_factory=dict)
    children: dict[str, _Scope] = field(default_factory=dict)
    incoming: dict[Port, list[Port]] = field(default_factory=dict)
    constants: dict[str, Source] = field(default_factory=dict)

    def name(self, node: str) -> str:
        return f"{self.path}/{node}" if self.path else node

    def definition(self, name: str) -> Document | None:
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.document.subgraphs:
                return scope.document.subgraphs[name]
            scope = scope.outer
        return None

    def within(self, definition: Document) -> bool:
        scope: _Scope | None = self
        while scope is not None:
            if scope.document is definition:
                return True
            scope = scope.outer
        return False


def expand(document: Document, catalogue: Catalogue) -> Flat:
    """Inlines every instance of a subgraph. Problems are collected, and what is sound is still returned."""
    expansion = _Expansion(catalogue, _Scope("", document, None, "on"))
    scopes = expansion.open()
    expansion.connect()
    return expansion.flat(expansion.outputs(scopes[0]))


class _Expansion:
    """One flat list of steps: of a document, or of the body of a call. Opened first, and connected when what comes
    into it is known."""

    def __init__(self, catalogue: Catalogue, top: _Scope, depth: int = 0, size: list[int] | None = None) -> None:
        """`size` counts the nodes of the document with all its bodies."""
        self._catalogue = catalogue
        self._depth = depth
        self._size = [0] if size is None else size
        self._scopes = [top]
        self._steps: list[Step] = []
        self._faults: list[Fault] = []
        self._fixed: set[Source] = set()
        self._calls: list[tuple[Step, _Expansion]] = []

    def connect(self) -> None:
        for scope in self._scopes:
            if scope.node is not None:
                self._instance_values(scope, scope.node)
        for scope in self._scopes:
            self._links(scope)
        for step, body in self._calls:
            body.connect_body(step)

    def flat(self, outputs: dict[str, list[Source]]) -> Flat:
        index = {step.id: number for number, step in enumerate(self._steps)}
        return Flat(self._steps, index, outputs, self._faults)

    # Calls.

    def _call(self, child: _Scope, node: Node, mode: Mode) -> Step:
        """The step of an instance that is repeated, its body opened."""
        if self._depth == MAX_CALLS:
            message = f"Repeated instances lie inside each other more than {MAX_CALLS} deep."
            self._say("too_deep", message, "Repeat fewer of them.", child.path)
            return Step(child.path, node, None, mode, {}, told=True)
        body = _Expansion(self._catalogue, child, self._depth + 1, self._size)
        body.open()
        step = Step(child.path, node, body.ports(node), mode, dict(node.values))
        self._calls.append((step, body))
        return step

    def ports(self, node: Node) -> NodeType:
        """The inputs and outputs of a call, by what its subgraph declares."""
        top, repeat = self._scopes[0], node.repeat or Repeat()
        before = len(self._faults)
        inputs: dict[str, tuple[InputSpec, PortType]] = {}
        for entry in top.document.inputs:
            found = next(self._targets(top, entry.to), None)
            inner = self._steps[found[0]].kind if found else None
            spec = inner.ports.get(found[1]) if inner and found else None
            kind = inner.inputs[found[1]] if inner and found and spec else ANY
            each = entry.name in repeat.each
            inputs.setdefault(entry.name, input_of_call(entry.name, kind.lifted(each), None if each else spec))
        if isinstance(repeat.times, str):
            inputs.setdefault(repeat.times, input_of_call(repeat.times, PortType("int"), None))
        outputs: dict[str, PortType] = {}
        for entry in top.document.outputs:
            kind = self._type(next(self._sources(top, entry.source, None), None), "outputs") or ANY
            outputs.setdefault(entry.name, kind.lifted(entry.name not in repeat.carry.values()))
        del self._faults[before:]  # what the outputs come from is looked at again when all is connected
        return call_type(node.type, inputs, outputs)

    def connect_body(self, step: Step) -> None:
        """Connects the body of a call, now that its own values and links are known."""
        top, repeat = self._scopes[0], step.node.repeat or Repeat()
        inputs: dict[str, list[Source]] = {}
        for entry in top.document.inputs:
            inputs.setdefault(entry.name, []).extend(self._targets(top, entry.to))
        linked = [name for name, sources in step.links.items() if sources]
        own = [name for name in inputs if name in (*linked, *repeat.each, *repeat.carry, repeat.index)]
        apart = (*own, repeat.times) if repeat.times not in inputs else own
        top.node = replace(step.node, values={key: value for key, value in step.values.items() if key not in apart})
        params: dict[str, int] = {}
        for name in own:
            params[name] = len(self._steps)
            self._steps.append(Step(f"{top.path}/.{name}", step.node, GIVEN, "on", {}, given=True))
        self.connect()
        for name in reversed(own):  # before the links from inside, in the order of the subgraph
            for number, port in inputs[name]:
                if (number, port) not in self._fixed:
                    self._steps[number].links.setdefault(port, []).insert(0, (params[name], PARAMETER))
        outputs: dict[str, list[Source]] = {}
        broken: dict[str, list[Fault]] = {}
        for entry in top.document.outputs:
            before = len(self._faults)
            outputs.setdefault(entry.name, list(self._sources(top, entry.source, None)))
            broken.setdefault(entry.name, self._faults[before:])
            del self._faults[before:]
        step.call = Call(repeat, self.flat(outputs), inputs, params, broken)
        known = step.kind.inputs if step.kind else {}
        keep = known if step.mode != "on" else {name: None for name in (*own, repeat.times) if name in known}
        step.values = {key: value for key, value in step.values.items() if key in keep}

    # Instances that are inlined.

    def open(self) -> list[_Scope]:
        scopes = self._scopes
        for scope in scopes:  # grows while it is walked: instances open further scopes
            for link in scope.document.links:
                scope.incoming.setdefault(link.target, []).append(link.source)
            for node_id, node in scope.document.nodes.items():
                self._size[0] += 1
                if self._size[0] > MAX_NODES:
                    message = f"With its subgraphs inlined the workflow has more than {MAX_NODES:,} nodes."
                    self._say("too_large", message, "Use fewer instances inside instances.")
                    return scopes
                mode = node.mode if scope.mode == "on" else "mute"
                if node.type.startswith(SUBGRAPH):
                    child = self._instance(scope, node_id, node, mode)
                    if child is not None and node.repeat is not None:
                        scope.steps[node_id] = len(self._steps)
                        self._steps.append(self._call(child, node, mode))
                    elif child is not None:
                        scope.children[node_id] = child
                        scopes.append(child)
                    else:
                        scope.steps[node_id] = len(self._steps)
                        self._steps.append(Step(scope.name(node_id), node, None, mode, {}, told=True))
                    continue
                scope.steps[node_id] = len(self._steps)
                kind = self._catalogue.get(node.type)
                self._steps.append(Step(scope.name(node_id), node, kind, mode, dict(node.values)))
        return scopes

    def _instance(self, scope: _Scope, node_id: str, node: Node, mode: Mode) -> _Scope | None:
        name = node.type.removeprefix(SUBGRAPH)
        definition = scope.definition(name)
        if definition is None:
            known = list(scope.document.subgraphs)
            hint = did_you_mean(name, known) or (
                f"The file defines {one_of(known)}." if known else "Define it under subgraphs."
            )
            self._say("unknown_subgraph", f"There is no subgraph {name!r} in the file.", hint, scope.name(node_id))
            return None
        if scope.within(definition):
            message = f"The subgraph {name!r} contains itself."
            self._say("recursive_subgraph", message, "Take the inner instance out.", scope.name(node_id))
            return None
        return _Scope(scope.name(node_id), definition, scope, mode, node)

    def _instance_values(self, scope: _Scope, node: Node) -> None:
        """Values typed into an instance: by the name of its input, or by the path of a port inside it."""
        for key, value in node.values.items():
            path, dot, port = key.rpartition(".")
            if not dot:
                targets = [entry.to for entry in scope.document.inputs if entry.name == key]
                if not targets:
                    known = [entry.name for entry in scope.document.inputs]
                    hint = did_you_mean(key, known) or f"Its inputs are {one_of(known)}." if known else "It has none."
                    message = f"The subgraph has no input {key!r}."
                    self._say("unknown_port", message, hint, scope.path, key, value)
                found = [target for entry in targets for target in self._targets(scope, entry)]
            else:
                inner, *rest = path.split("/")
                at: _Scope | None = scope
                while rest and at and inner not in at.steps:
                    at, inner = at.children.get(inner), rest.pop(0)
                found = [] if at is None or rest else list(self._targets(at, Port(inner, port)))
                if rest and at:  # into a call, which looks for it inside
                    call = self._steps[at.steps[inner]]
                    call.values[f"{'/'.join(rest)}.{port}"] = value
                    continue
                if not found:
                    message = f"There is no node {path!r} inside the subgraph."
                    self._say("unknown_port", message, "", scope.path, key, value)
            for number, name in found:
                self._steps[number].values[name] = value
                if dot:
                    self._fixed.add((number, name))

    def _links(self, scope: _Scope) -> None:
        for link in scope.document.links:
            before = len(self._faults)
            sources = list(self._sources(scope, link.source, link.target))
            targets = list(self._targets(scope, link.target))
            for fault in self._faults[before:]:
                fault.concerns = [self._steps[number].id for number, _ in targets]
            for number, port in targets:
                if (number, port) not in self._fixed:  # a value for this very port counts for more than a link
                    self._steps[number].links.setdefault(port, []).extend(sources)
            if not targets:
                before = len(self._faults)
                self._dangling(scope, link.target, f"A link from {link.source} ends", "an input", link.source)
                for fault in self._faults[before:]:
                    fault.concerns = []

    def _sources(self, scope: _Scope, port: Port, target: Port | None) -> Iterator[Source]:
        """The outputs that a reference means: through instances, and around bypassed ones."""
        todo = [(scope, port)]
        seen: set[tuple[int, Port]] = set()
        while todo:
            at, here = todo.pop(0)
            if (id(at), here) in seen:  # bypassed instances wired in a circle
                continue
            seen.add((id(at), here))
            if here.node in at.steps:
                yield at.steps[here.node], here.port
                continue
            child = at.children.get(here.node)
            if child is None:
                into = f" into {target}" if target else ""
                self._dangling(at, here, f"A link{into} starts", "an output", target)
                continue
            inner = [entry.source for entry in child.document.outputs if entry.name == here.port]
            if not inner:
                known = [entry.name for entry in child.document.outputs]
                hint = did_you_mean(here.port, known) or (f"It has {one_of(known)}." if known else "It has none.")
                message = f"The subgraph has no output {here.port!r}."
                self._say("unknown_output", message, hint, child.path, here.port)
                continue
            if child.mode == "bypass":
                links, given = self._through(at, child, here, inner[0])
                todo += [(at, source) for source in links]
                if given is not None:
                    yield given
            else:
                todo.append((child, inner[0]))

    def _through(self, scope: _Scope, child: _Scope, out: Port, inner: Port) -> tuple[list[Port], Source | None]:
        """What a bypassed instance passes on: the links into its first input of the output's type that has any, or a
        step that hands on what is typed in there."""
        wanted = self._type(next(self._sources(child, inner, None), None), "outputs")
        for entry in child.document.inputs:
            target = next(self._targets(child, entry.to), None)
            if self._type(target, "inputs") != wanted:
                continue
            links = scope.incoming.get(Port(out.node, entry.name))
            if links:
                return links, None
            if wanted is not None and target is not None and child.node and entry.name in child.node.values:
                return [], self._constant(child, child.node, out.port, entry.name, target, wanted)
        return [], None

    def _constant(
        self, child: _Scope, node: Node, output: str, name: str, target: Source, wanted: PortType
    ) -> Source | None:
        kind = self._steps[target[0]].kind
        if kind is not None and output not in child.constants:
            spec = msgspec.structs.replace(kind.ports[target[1]], name=name)
            made = constant({output: (spec, wanted)})
            child.constants[output] = len(self._steps), output
            self._steps.append(Step(child.path, node, made, "on", {name: node.values[name]}))
        return child.constants.get(output)

    def _type(self, port: Source | None, side: str) -> Any:
        kind = self._steps[port[0]].kind if port else None
        return getattr(kind, side).get(port[1]) if kind and port else None

    def _targets(self, scope: _Scope, port: Port) -> Iterator[Source]:
        """The inputs that a reference means; an input of an instance may feed several inside it."""
        todo = [(scope, port)]
        while todo:
            at, here = todo.pop(0)
            if here.node in at.steps:
                yield at.steps[here.node], here.port
            elif here.node in at.children:
                child = at.children[here.node]
                todo += [(child, entry.to) for entry in child.document.inputs if entry.name == here.port]

    def outputs(self, top: _Scope) -> dict[str, list[Source]]:
        found: dict[str, list[Source]] = {}
        for entry in top.document.outputs:
            if entry.name in found:
                message = f"Two outputs of the workflow are named {entry.name!r}."
                self._say("duplicate_name", message, "Rename one of them.", value=entry.name)
            known = entry.source.node in top.steps or entry.source.node in top.children
            if not known:
                message = f"The workflow's output {entry.name!r} comes from {entry.source}, which is not in the file."
                hint = did_you_mean(entry.source.node, top.document.nodes) or "Point it at a node of the file."
                self._say("bad_workflow_output", message, hint, port=entry.name, value=str(entry.source))
            before = len(self._faults)
            found[entry.name] = list(self._sources(top, entry.source, None)) if known else []
            for fault in self._faults[before:]:
                fault.concerns = []
        names: set[str] = set()
        for entry in top.document.inputs:
            first = next(self._targets(top, entry.to), None)
            kind = self._steps[first[0]].kind if first else None
            if first is None or (kind is not None and first[1] not in kind.inputs):
                message = f"The workflow's input {entry.name!r} goes to {entry.to}, which is not in the file."
                hint = did_you_mean(entry.to.node, top.document.nodes) if first is None else ""
                if kind and first:
                    hint = did_you_mean(first[1], kind.inputs)
                hint = hint or "Point it at an input of a node of the file."
                self._say("bad_workflow_input", message, hint, port=entry.name, value=str(entry.to))
            if entry.name in names and entry.to in [other.to for other in top.document.inputs if other is not entry]:
                message = f"The workflow's input {entry.name!r} is declared twice for {entry.to}."
                self._say("duplicate_name", message, "Take one of them out.", value=entry.name)
            names.add(entry.name)
        return found

    def _dangling(self, scope: _Scope, port: Port, what: str, kind: str, other: Port | None) -> None:
        nodes = scope.document.nodes
        if port.node in nodes:
            node = nodes[port.node]
            if node.type.startswith(SUBGRAPH) and port.node in scope.children:
                known = [entry.name for entry in scope.children[port.node].document.inputs]
                hint = did_you_mean(port.port, known) or (f"It has {one_of(known)}." if known else "It has none.")
                message = f"The subgraph has no input {port.port!r}."
                self._say("unknown_port", message, hint, scope.name(port.node), port.port)
            return
        hint = (
            did_you_mean(port.node, nodes) or f"Remove the link, or add a node {port.node!r} with {kind} {port.port!r}."
        )
        at = scope.name(other.node) if other and other.node in nodes else None
        message = f"{what} at {port}, but there is no node {port.node!r}."
        self._say("dangling_link", message, hint, at, other.port if at and other else None, str(port))

    def _say(
        self, code: str, message: str, hint: str, node: str | None = None, port: str | None = None, value: Any = None
    ) -> None:
        problem = Problem(code=code, message=message, hint=hint, node=node, port=port, value=value)
        self._faults.append(Fault(problem, [node] if node else []))
