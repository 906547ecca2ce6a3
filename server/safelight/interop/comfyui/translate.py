"""A graph of another program to a document, by the rules of each class. What has no rule stays as a placeholder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from safelight.graph import Document
from safelight.graph.document import InputPort, Link, Node, OutputPort, Port
from safelight.protocol.imports import ImportReport, NamedModel
from safelight.sdk.problem import Problem

from .canvas import drawn
from .graph import OUTSIDE, ForeignGraph, ForeignNode, Wire, free_name
from .kept import OURS, kept_of, kept_repeat, restored
from .level import At, Level, handed_on
from .rules import rules
from .rules.base import Convert, Lead, Made, Out, Part, Ref, Rule, Unfit

PLACEHOLDER = "comfyui:"
"""What the type of a placeholder of ComfyUI begins with; its class stands behind it."""
SUBGRAPH = "subgraph:"
_OWN_NAME = re.compile(r"[A-Za-z0-9_]{1,120}")


class Program(NamedTuple):
    """Whose graph it is: its name, the key below which a node keeps what it was there, with which the types of
    placeholders begin, and the rules of its classes."""

    name: str
    key: str
    rules: Mapping[str, Rule]


class _Entry(NamedTuple):
    """A port of an instance for an input of its subgraph."""

    name: str
    convert: Convert | None


class _Source(NamedTuple):
    """Where a wire begins in the document: at a port, or at an input of the level."""

    port: Port | None = None
    entry: int = -1


@dataclass
class _Body:
    """A level that is done. `entries` are ports for each of its inputs (several where one goes to several nodes), then
    for what it wants of its surroundings; `outputs` are ports, or inputs that are only handed on."""

    level: Level
    document: Document
    entries: list[list[_Entry]]
    outputs: list[str | int | None]


def translate(graph: ForeignGraph, program: Program | None = None) -> tuple[Document, ImportReport]:
    """The document, and the report of what became of each node; of ComfyUI's where no other program is named."""
    program = program or Program("ComfyUI", PLACEHOLDER.removesuffix(":"), rules())
    order = _inner_first(graph.subgraphs)
    _cut_what_nobody_gives(graph, order)
    levels = (graph, *graph.subgraphs.values())
    everything = {node.type for level in levels for node in level.nodes.values()}
    report = ImportReport(program=program.name, models=_models(levels))
    report.remarks = [
        Problem(code="imported_otherwise", message=said, level="warning") for level in levels for said in level.faults
    ]
    bodies: dict[str, _Body] = {}
    for key in order:
        level = Level(graph.subgraphs[key], everything, inner=True)
        bodies[key] = _Translation(level, bodies, report, key, program).body()
    body = _Translation(Level(graph, everything, inner=False), bodies, report, "", program).body()
    subgraphs = {key: body.document for key, body in bodies.items()}
    top = body.document
    return Document(name=graph.name, nodes=top.nodes, links=top.links, subgraphs=subgraphs, ui=top.ui), report


def _models(levels: Iterable[ForeignGraph]) -> list[NamedModel]:
    found: dict[tuple[str, str], NamedModel] = {}
    for level in levels:
        for one in level.models:
            model = NamedModel(**one)
            found.setdefault((model.directory, model.name), model)
    return list(found.values())


def _inner_first(subgraphs: Mapping[str, ForeignGraph]) -> list[str]:
    """Each after those that it has instances of."""
    order: list[str] = []
    opened: set[str] = set()
    todo = [(key, False) for key in reversed(list(subgraphs))]
    while todo:
        key, left = todo.pop()
        if left:
            order.append(key)
        elif key not in opened:
            opened.add(key)
            todo.append((key, True))
            inside = {node.type.removeprefix(SUBGRAPH) for node in subgraphs[key].nodes.values()} & set(subgraphs)
            todo += [(one, False) for one in sorted(inside - opened)]
    return order


def _cut_what_nobody_gives(graph: ForeignGraph, inner_first: list[str]) -> None:
    """Takes the wires out of subgraphs that begin at an input which no instance gives anything: what is inside then
    goes by its own value, or does without."""
    given: dict[str, set[int]] = {}
    for key in ("", *reversed(inner_first)):
        body = graph.subgraphs[key] if key else graph
        if key in given:
            for node in body.nodes.values():
                wires = node.wires.items()
                node.wires = {name: wire for name, wire in wires if wire.node != OUTSIDE or wire.slot in given[key]}
        level = Level(body, (), inner=bool(key))
        for node in body.nodes.values():
            inner = node.type.removeprefix(SUBGRAPH)
            if node.type == inner or inner not in graph.subgraphs:
                continue
            told = given.setdefault(inner, set())
            for slot, (name, _) in enumerate(graph.subgraphs[inner].inputs):
                if name in node.typed or level.behind(node.wires.get(name)) is not None:
                    told.add(slot)


@dataclass
class _Translation:
    level: Level
    bodies: Mapping[str, _Body]
    report: ImportReport
    path: str
    program: Program
    made: dict[str, Made] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)

    def body(self) -> _Body:
        nodes = self.level.graph.nodes
        for node in nodes.values():
            own = kept_of(node.raw).get("id")
            if isinstance(own, str) and _OWN_NAME.fullmatch(own):
                self.ids[node.id] = free_name(own, self.ids.values())
        for node in nodes.values():
            self.ids.setdefault(node.id, free_name(_slug(node), self.ids.values()))
        for node in nodes.values():
            self.made[node.id] = self._made(node)
        return self._assembled()

    def _made(self, node: ForeignNode) -> Made:
        site = At(self.level, node)
        if node.type.startswith(SUBGRAPH):
            return self._restored(node, self._instance(site))
        self.report.nodes += 1
        if node.type.startswith(OURS):
            return self._returned(node)
        rule = self.program.rules.get(node.type)
        if rule is None:
            return self._placeholder(node, "")
        try:
            made = rule(site)
        except Unfit as unfit:
            return self._placeholder(node, str(unfit))
        except (TypeError, ValueError, OverflowError):  # a file may hold anything in the place of a number
            return self._placeholder(node, "Its values are not of the kinds that they should be.")
        self.report.mapped += 1
        self._restored(node, made)
        if node.unread and not node.typed:
            listed = ", ".join(str(value)[:30] for value in node.unread[:6])
            site.approximate(f"Its values have no names in the file, and are left out: {listed}.")
        for said in site.said:
            self._remark("imported_otherwise", node, f"{self._shown(node)} ({node.type}): {said}", "")
        return made

    def _restored(self, node: ForeignNode, made: Made) -> Made:
        """With the values that were kept for the node, if it was one of ours."""

        def typed(name: str) -> Any:
            before, _, inner = name.rpartition(".")
            at = self.level.at(node.wires.get(before)) if before and name not in node.typed else node
            return at.typed.get(name if at is node else inner) if at is not None else None

        first = made.parts.get("")
        if first is not None:
            first.values = restored(node.raw, typed, first.type, first.values)
        return made

    def _returned(self, node: ForeignNode) -> Made:
        """A node of ours that ComfyUI did not know."""
        self.report.mapped += 1
        part = Part(node.type.removeprefix(OURS), dict(node.typed))
        for name, wire in node.wires.items():
            port = port_name(name.split("#")[0])
            if port:
                part.lead(port, Lead(wire))
        return Made({"": part}, _ports(node))

    def _placeholder(self, node: ForeignNode, why: str) -> Made:
        self.kept.add(node.id)
        counted = self.report.placeholders
        counted[node.type] = counted.get(node.type, 0) + 1
        message = f"{self._shown(node)} is {self.program.name}'s {node.type}, for which there is no node here."
        hint = why or "It stays as a placeholder, with its values and links: put nodes of Safelight in its place."
        self._remark("placeholder", node, message, hint)
        ports = port_names([*input_names(node.raw), *node.typed, *node.wires])
        part = Part(f"{self.program.key}:{node.type}", {ports[name]: value for name, value in node.typed.items()})
        for name, wire in node.wires.items():
            part.lead(ports[name], Lead(wire))
        return Made({"": part}, _ports(node))

    def _instance(self, site: At) -> Made:
        body = self.bodies.get(site.node.type.removeprefix(SUBGRAPH))
        if body is None:
            return self._placeholder(site.node, "A subgraph cannot contain itself.")
        part = Part(site.node.type)
        inputs = [name for name, _ in body.level.graph.inputs]
        for name, entries in zip(inputs, body.entries, strict=False):
            for entry in entries:
                site.put(part, entry.name, name, entry.convert)
        for kind, entries in zip(body.level.wanted, body.entries[len(inputs) :], strict=True):
            nearest = site.nearest(kind)
            if nearest is not None:
                for entry in entries:
                    part.lead(entry.name, Lead(nearest))
        outputs: list[Out] = []
        for out in body.outputs:
            handed = site.wire(inputs[out]) if isinstance(out, int) and out < len(inputs) else None
            outputs.append(Ref("", out) if isinstance(out, str) else handed)
        return Made({"": part}, outputs)

    def _assembled(self) -> _Body:
        graph = self.level.graph
        nodes: dict[str, Node] = {}
        links: list[Link] = []
        inputs: list[InputPort] = []
        entries: list[list[_Entry]] = []
        for node in graph.nodes.values():
            for key, part in self.made[node.id].parts.items():
                name = self._id(node.id, key)
                nodes[name] = self._node(node, key, part)
                for port, given in part.inputs.items():
                    target = Port(name, port)
                    for lead in given if isinstance(given, list) else [given]:
                        source = self._source(node.id, lead)
                        if source.port is not None:
                            links.append(Link(source.port, target, _drawing(lead)))
                        elif source.entry >= 0:
                            while len(entries) <= source.entry:
                                entries.append([])
                            entry = self._entry(source.entry, inputs)
                            inputs.append(InputPort(entry, target, extra=_drawing(lead)))
                            convert = lead.convert if isinstance(lead, Lead) else None
                            entries[source.entry].append(_Entry(entry, convert))
        entries += [[] for _ in range(len(graph.inputs) + len(self.level.wanted) - len(entries))]
        outputs: list[OutputPort] = []
        given_out: list[str | int | None] = []
        for name, wire in graph.outputs:
            source = self._reached(wire)
            if source.port is not None:
                shown = free_name(_name(name) or "output", [one.name for one in outputs])
                outputs.append(OutputPort(shown, source.port))
                given_out.append(shown)
            else:
                given_out.append(source.entry if source.entry >= 0 else None)
        document = Document(
            name=graph.name,
            nodes=nodes,
            links=tuple({(link.source, link.target): link for link in links}.values()),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            ui=drawn(graph, {key: self._parts(key) for key in graph.nodes}),
        )
        return _Body(self.level, document, entries, given_out)

    def _node(self, node: ForeignNode, key: str, part: Part) -> Node:
        kept = node.id in self.kept
        extra: dict[str, Any] = {}
        if not key:
            was = {"node": node.raw} if kept else {"class": node.type}
            extra[self.program.key] = {"id": node.id, **was}
        return Node(
            type=part.type,
            values=part.values,
            mode=node.mode,
            title=node.title if not key else "",
            repeat=kept_repeat(kept_of(node.raw)) if not key and part.type.startswith(SUBGRAPH) else None,
            extra=extra,
        )

    def _entry(self, slot: int, inputs: Collection[InputPort]) -> str:
        own = self.level.graph.inputs
        base = _name(own[slot][0]) if slot < len(own) else self.level.wanted[slot - len(own)].lower()
        return free_name(base or f"input_{slot}", [one.name for one in inputs])

    def _source(self, node: str, lead: Lead | Ref) -> _Source:
        if isinstance(lead, Ref):
            return _Source(Port(self._id(node, lead.part), lead.port))
        return self._reached(lead.wire)

    def _reached(self, wire: Wire | None) -> _Source:
        """Where a wire begins, behind the nodes that only hand on."""
        seen: set[Wire] = set()
        while wire is not None and wire not in seen:
            seen.add(wire)
            if wire.node == OUTSIDE:
                return _Source(entry=wire.slot)
            node = self.level.graph.nodes.get(wire.node)
            if node is None:
                break
            if node.id in self.kept and node.mode != "on":  # nothing is known of it that could hand on
                wire = handed_on(node, wire.slot) if node.mode == "bypass" else None
                continue
            outputs = self.made[node.id].outputs
            out = outputs[wire.slot] if 0 <= wire.slot < len(outputs) else None
            if isinstance(out, Ref):
                return _Source(Port(self._id(node.id, out.part), out.port))
            wire = out
        return _Source()

    def _id(self, node: str, part: str) -> str:
        return f"{self.ids[node]}_{part}" if part else self.ids[node]

    def _parts(self, node: str) -> list[str]:
        return [self._id(node, key) for key in self.made[node].parts]

    def _shown(self, node: ForeignNode) -> str:
        name = node.title or node.type
        return f"{name!r}" + (f" in the subgraph {self.path!r}" if self.path else "")

    def _remark(self, code: str, node: ForeignNode, message: str, hint: str) -> None:
        shown = None if self.path else self.ids[node.id]
        self.report.remarks.append(Problem(code=code, message=message, hint=hint, node=shown, level="warning"))


def _ports(node: ForeignNode) -> list[Out]:
    """The outputs of a node that stays as it is, by the names that the file has for them."""
    names: list[str] = []
    for slot, (name, _) in enumerate(node.outputs):
        names.append(free_name(port_name(name) or f"output_{slot}", names))
    return [Ref("", name) for name in names]


def _slug(node: ForeignNode) -> str:
    text = node.title or node.type.removeprefix(SUBGRAPH).split("|")[0]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    plain = re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_")[:40]
    number = re.sub(r"[^0-9A-Za-z]+", "_", node.id)
    return f"{plain or 'node'}_{number}"[:120]


def _drawing(lead: Lead | Ref) -> dict[str, Any]:
    """What the editor draws in the place of a wire: the name that Set and Get had."""
    return {"flag": lead.wire.name} if isinstance(lead, Lead) and lead.wire.name else {}


def _name(text: str) -> str:
    """A name for an input or output of a workflow."""
    return re.sub(r"[./=\s\0]+", "_", text).strip("_")[:80]


def input_names(raw: Mapping[str, Any]) -> list[str]:
    """The inputs that a node of a file lists, by their names there."""
    given = raw.get("inputs")
    if isinstance(given, Mapping):
        return [str(name) for name in given]
    listed = [one.get("name") for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
    return [name for name in listed if isinstance(name, str)]


def port_names(names: Iterable[str]) -> dict[str, str]:
    """What a placeholder calls its inputs, by their names there: each has a name of its own."""
    found: dict[str, str] = {}
    for name in names:
        if name not in found:
            found[name] = free_name(port_name(name) or "input", found.values())
    return found


def port_name(text: str) -> str:
    """What a placeholder calls an input or output of its class."""
    return re.sub(r"[./\s\0]+", "_", text).strip("_")
