"""A document to a graph of ComfyUI's, by the rules of each node. What has none stays as a node of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from safelight.graph import Document, Port
from safelight.graph.document import SUBGRAPH, Node
from safelight.graph.migrate import migrate
from safelight.protocol.imports import ExportReport
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem

from .. import classes
from ..canvas import BELOW
from ..graph import OUTSIDE, Box, ForeignGraph, ForeignNode, Place, Wire
from ..kept import CLASS, OURS, StandIn, kept_properties
from ..rules.base import Unfit
from ..translate import PLACEHOLDER, input_names, port_name, port_names
from . import images, models, sampling
from .base import Back, Own, Piece, Rule, Source, Spot, Written
from .ids import Ids
from .levels import side_by_side
from .rows import by_row

_RULES: Mapping[str, Rule] = {**models.RULES, **sampling.RULES, **images.RULES}
_TYPES = {
    "Image": "IMAGE",
    "Mask": "MASK",
    "Latent": "LATENT",
    "Conditioning": "CONDITIONING",
    "ModelRef[Denoiser]": "MODEL",
    "ModelRef[TextEncoder]": "CLIP",
    "ModelRef[VAE]": "VAE",
    "ModelRef[ControlNet]": "CONTROL_NET",
    "ModelRef[ImageEncoder]": "CLIP_VISION",
    "ModelRef[Upscaler]": "UPSCALE_MODEL",
    "Sigmas": "SIGMAS",
    "Video": "VIDEO",
    "Audio": "AUDIO",
    "int": "INT",
    "float": "FLOAT",
    "str": "STRING",
    "choice": "STRING",
    "bool": "BOOLEAN",
}
"""What ComfyUI calls the types of ports, for nodes of ours that it does not know."""


class Exported(NamedTuple):
    """A graph of ComfyUI's, and what became of the nodes of the document."""

    graph: ForeignGraph
    report: ExportReport


def written(document: Document, catalogue: Catalogue) -> Exported:
    """The graph. Nodes keep their places, titles, frames and notes; subgraphs stay subgraphs."""
    document = side_by_side(migrate(document, catalogue))
    report = ExportReport(program="ComfyUI")
    scope = dict(document.subgraphs)
    ids = Ids(node for level in (document, *scope.values()) for node in level.nodes.values())
    graph = _Level(document, catalogue, scope, report, "", ids).graph()
    for key, body in scope.items():
        graph.subgraphs[key] = _Level(body, catalogue, scope, report, key, ids).graph()
    return Exported(graph, report)


@dataclass
class _Level:
    document: Document
    catalogue: Catalogue
    scope: Mapping[str, Document]
    report: ExportReport
    path: str
    ids: Ids
    made: dict[str, Written] = field(default_factory=dict)
    numbers: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.into: dict[Port, list[Port]] = {}
        if self.path:
            for port in self.document.inputs:
                self.into.setdefault(port.to, []).append(Port(OUTSIDE, port.name))
        for link in self.document.links:
            self.into.setdefault(link.target, []).append(link.source)
        self.taken = {source for sources in self.into.values() for source in sources}
        self.taken |= {port.source for port in self.document.outputs} if self.path else set()

    def graph(self) -> ForeignGraph:
        document = self.document
        graph = ForeignGraph(name=document.name or self.path)
        spots: dict[str, _At] = {}
        for name, node in document.nodes.items():
            spot = spots[name] = _At(self, name, node)
            self.made[name] = self._written(spot)
            for place, key in enumerate(self.made[name].pieces):
                self.numbers[name, key] = self.ids.new() if place else self.ids.of(node)
        for name, node in document.nodes.items():
            drop = 0.0
            for key, piece in self.made[name].pieces.items():
                made = self._node(name, node, key, piece, spots[name])
                if made.place is not None and key:
                    drop += BELOW
                    made.place = Place(made.place.x, made.place.y + drop, made.place.width, made.place.height)
                graph.nodes[made.id] = made
        if self.path:
            graph.inputs = [(port.name, self._kind(port.to)) for port in document.inputs]
            graph.outputs = [(port.name, self._reached(port.source)) for port in document.outputs]
        ui = document.ui
        graph.frames = [_box(one, "title") for one in _objects(ui.get("frames"))]
        graph.notes = [_box(one, "text") for one in _objects(ui.get("notes"))]
        return graph

    def _written(self, spot: _At) -> Written:
        kind = spot.type
        if kind.startswith(SUBGRAPH):
            return self._instance(spot)
        if kind.startswith(PLACEHOLDER):
            return self._placeholder(spot)
        self.report.nodes += 1
        try:
            rule = _RULES.get(kind)
            done = rule(spot) if rule is not None else by_row(spot)
        except Unfit as unfit:
            return self._kept(spot, str(unfit))
        self.report.written += 1
        spot.finish()
        return done

    def _instance(self, spot: _At) -> Written:
        """An instance of a subgraph; what a field inside says stands with the instance, as ComfyUI has it."""
        piece = Piece(spot.type)
        repeat, body = spot.node.repeat, self.scope.get(spot.type.removeprefix(SUBGRAPH))
        turns = {*repeat.each, *repeat.carry, repeat.index} if repeat is not None else set[str]()
        if repeat is not None:
            spot.remark("It runs several times here, and once there.")
        if body is None:
            return Written({"": piece})
        for port in body.inputs:
            spot.put(piece, port.name, port.name)
            inner = body.nodes.get(port.to.node)
            if port.name not in {*piece.typed, *turns} and inner is not None and port.to.port in inner.values:
                piece.typed[port.name] = inner.values[port.to.port]
        known = {port.name for port in body.inputs}
        spot.left |= {port: value for port, value in spot.node.values.items() if port not in known}
        return Written({"": piece}, {port.name: Own("", slot) for slot, port in enumerate(body.outputs)})

    def _placeholder(self, spot: _At) -> Written:
        """What came from there goes back as it was."""
        self.report.nodes += 1
        self.report.written += 1
        theirs = spot.type.removeprefix(PLACEHOLDER)
        raw = _raw(spot.node)
        piece = Piece(theirs)
        known = classes.find(theirs)
        listed = (*input_names(raw), *(one.name for one in (known.inputs if known else ())))
        names = {port: name for name, port in port_names(listed).items()}
        for port in {*spot.node.values, *spot.linked()}:
            spot.put(piece, names.get(port, port), port)
        outputs = [str(one.get("name", "")) for one in _objects(raw.get("outputs"))]
        if not outputs and known:
            outputs = [name for name, _ in known.outputs]
        slots: dict[str, Source | None] = {port_name(name): Own("", slot) for slot, name in enumerate(outputs)}
        return Written({"": piece}, slots)

    def _kept(self, spot: _At, why: str) -> Written:
        """A node of ours under a class of its own: ComfyUI calls it missing, and it is read back as it was."""
        counted = self.report.kept
        counted[spot.type] = counted.get(spot.type, 0) + 1
        spot.said.clear()
        spot.remark(why or "ComfyUI has no node that does this.", "no_counterpart")
        piece = Piece(OURS + spot.type, dict(spot.node.values))
        kind = self.catalogue.get(spot.type)
        known = [one.name for one in kind.spec.inputs] if kind is not None else []
        for port in dict.fromkeys((*known, *spot.linked())):
            for number, source in enumerate(spot.sources(port)):
                piece.wires[port if not number else f"{port}#{number}"] = source
        names = [one.name for one in kind.spec.outputs] if kind is not None else []
        return Written({"": piece}, {name: Own("", slot) for slot, name in enumerate(names)})

    def _node(self, name: str, node: Node, key: str, piece: Piece, spot: _At) -> ForeignNode:
        known = classes.find(piece.type)
        raw = _raw(node) if node.type.startswith(PLACEHOLDER) else {}
        made = ForeignNode(
            id=self.numbers[name, key],
            type=piece.type,
            typed=dict(piece.typed),
            outputs=self._outputs(piece, known, raw) or self._told(name, key),
            types={one.name: one.type for one in known.inputs} if known else {},
            mode=node.mode,
            title=node.title if not key else "",
            place=_place(self.document.ui, name),
            raw=dict(raw),
        )
        for input, source in piece.wires.items():
            wire = self._wire(name, source)
            if wire is not None:
                made.wires[input] = wire
        if not key:
            outputs = [one for one, _ in made.outputs] if piece.type.startswith(OURS) else []
            made.raw[CLASS] = kept_properties(name, node, spot.left, spot.stand_ins, outputs)
        return made

    def _told(self, name: str, key: str) -> list[tuple[str, str]]:
        """Outputs of a piece of a class that is not known: those that the node's ports come from, by their names."""
        slots = {
            one.slot: port for port, one in self.made[name].outputs.items() if isinstance(one, Own) and one.piece == key
        }
        return [(slots.get(slot, ""), "*") for slot in range(max(slots, default=-1) + 1)]

    def _outputs(self, piece: Piece, known: classes.NodeClass | None, raw: Mapping[str, Any]) -> list[tuple[str, str]]:
        if known is not None:
            return list(known.outputs)
        if piece.type.startswith(SUBGRAPH):
            body = self.scope.get(piece.type.removeprefix(SUBGRAPH))
            return [(port.name, "*") for port in body.outputs] if body is not None else []
        if piece.type.startswith(OURS):
            kind = self.catalogue.get(piece.type.removeprefix(OURS))
            return [(one.name, _TYPES.get(one.type, "*")) for one in kind.spec.outputs] if kind is not None else []
        return [(str(one.get("name", "")), str(one.get("type", "*"))) for one in _objects(raw.get("outputs"))]

    def _wire(self, name: str, source: Source) -> Wire | None:
        if isinstance(source, Own):
            return Wire(self.numbers[name, source.piece], source.slot)
        return self._reached(source)

    def _reached(self, port: Port) -> Wire | None:
        seen: set[Port] = set()
        while port not in seen:
            seen.add(port)
            if port.node == OUTSIDE:
                names = [one.name for one in self.document.inputs]
                return Wire(OUTSIDE, names.index(port.port))
            made = self.made.get(port.node)
            source = made.outputs.get(port.port) if made is not None else None
            if source is None:
                return None
            if isinstance(source, Own):
                return Wire(self.numbers[port.node, source.piece], source.slot)
            port = source
        return None

    def _kind(self, port: Port) -> str:
        """ComfyUI's type of an input of a subgraph: that of the input it goes to."""
        node = self.document.nodes.get(port.node)
        kind = self.catalogue.get(node.type) if node is not None else None
        spec = next((one for one in kind.spec.inputs if one.name == port.port), None) if kind is not None else None
        return _TYPES.get(spec.type, "*") if spec is not None else "*"

    def giver(self, source: Port | None) -> _At | None:
        node = self.document.nodes.get(source.node) if source is not None else None
        return _At(self, source.node, node) if source is not None and node is not None else None


class _At:
    """A node of a level: implements `base.Spot`."""

    def __init__(self, level: _Level, name: str, node: Node) -> None:
        self._level = level
        self._name = name
        self.node = node
        self.said: list[str] = []
        self.left: dict[str, Any] = {}
        self.stand_ins: list[StandIn] = []
        self._told: set[str] = set()
        kind = level.catalogue.get(node.type)
        self._specs = {one.name: one for one in kind.spec.inputs} if kind is not None else {}

    @property
    def type(self) -> str:
        return self.node.type

    def value(self, port: str) -> Any:
        if port in self.node.values:
            return self.node.values[port]
        spec = self._specs.get(port)
        return spec.default if spec is not None else None

    def linked(self) -> list[str]:
        return [port.port for port in self._level.into if port.node == self._name]

    def sources(self, port: str) -> Sequence[Port]:
        self._told.add(port)
        return self._level.into.get(Port(self._name, port), ())

    def source(self, port: str) -> Port | None:
        return next(iter(self.sources(port)), None)

    def put(self, piece: Piece, name: str, port: str, back: Back | None = None) -> None:
        source = self.source(port)
        value = self.value(port)
        if value is not None:
            try:
                piece.typed[name] = back(value) if back is not None else value
            except Unfit as unfit:
                if source is None:
                    self.remark(f"{port} = {str(value)[:60]!r}: {unfit}")
                    self.left[port] = value
        if source is not None:
            piece.wires[name] = source

    def keep(self, port: str) -> None:
        self._told.add(port)
        self.left[port] = self.value(port)

    def stand_in(self, piece: Piece, written: Mapping[str, Any], ports: Sequence[str], why: str, via: str = "") -> None:
        self._told.update(ports)
        piece.typed |= written
        ours = {port: self.node.values.get(port) for port in ports if Port(self._name, port) not in self._level.into}
        places = {f"{via}.{name}" if via else name: value for name, value in written.items()}
        self.stand_ins.append(StandIn(places, ours))
        self.remark(why)

    def giver(self, source: Port | None) -> Spot | None:
        return self._level.giver(source)

    def takes(self, port: str) -> bool:
        return Port(self._name, port) in self._level.taken

    def told(self, *ports: str) -> None:
        self._told.update(ports)

    def remark(self, said: str, code: str = "exported_otherwise") -> None:
        if said in self.said:
            return
        self.said.append(said)
        shown = f"{self.node.title or self._name!r} ({self.type})"
        message = f"{shown}{f' in the subgraph {self._level.path!r}' if self._level.path else ''}: {said}"
        node = None if self._level.path else self._name
        self._level.report.remarks.append(Problem(code=code, message=message, node=node, level="warning"))

    def finish(self) -> None:
        """Tells of what is set and no rule has looked at. Values are kept with the node, for when it comes back."""
        for port, value in self.node.values.items():
            spec = self._specs.get(port)
            if port in self._told or spec is None or value == spec.default:
                continue
            self.left[port] = value
            self.remark(f"{port} = {str(value)[:60]!r} has no counterpart there.")
        for port in self.linked():
            if port not in self._told:
                self.remark(f"What is linked to {port} has no counterpart there, and is left out.")


def _raw(node: Node) -> dict[str, Any]:
    theirs = node.extra.get("comfyui")
    raw = theirs.get("node") if isinstance(theirs, Mapping) else None
    return dict(raw) if isinstance(raw, Mapping) else {}


def _objects(given: Any) -> list[Mapping[str, Any]]:
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []


def _place(ui: Mapping[str, Any], name: str) -> Place | None:
    nodes = ui.get("nodes")
    looks = nodes.get(name) if isinstance(nodes, Mapping) else None
    if not isinstance(looks, Mapping):
        return None
    x, y, width = (_number(looks.get(key)) for key in ("x", "y", "w"))
    return Place(x, y, width)


def _box(one: Mapping[str, Any], text: str) -> Box:
    place = Place(*(_number(one.get(key)) for key in ("x", "y", "w", "h")))
    return Box(str(one.get(text) or ""), place, str(one.get("color") or ""))


def _number(given: Any) -> float:
    return float(given) if isinstance(given, int | float) and not isinstance(given, bool) else 0.0
