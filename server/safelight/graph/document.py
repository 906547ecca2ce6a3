"""The workflow document: what is saved, shared, sent to the API and run. One shape for all four.

Reading collects every structural problem before it gives up. Fields and nodes that this version does not know are
kept as they were written and saved back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from safelight.sdk.problem import Problem, ProblemError, did_you_mean, one_of

from .jsontext import compact, depth_of, dumps, loads
from .repeat import Repeat, read_repeat
from .whole import half_characters

FORMAT = "safelight/1"
MAX_NODES = 100_000
SUBGRAPH = "subgraph:"

Mode = Literal["on", "mute", "bypass"]
_MODES: tuple[str, ...] = get_args(Mode)


@dataclass(frozen=True)
class Port:
    """A port of a node, written `node.port`."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


@dataclass(frozen=True)
class Node:
    """A node of a document. `version` is None where the file names none: then it is the installed one.

    `repeat` is for instances of subgraphs: how often the body runs.
    """

    type: str
    version: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    mode: Mode = "on"
    title: str = ""
    repeat: Repeat | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A wire from an output to an input. Several into one list input are collected in the order of the file."""

    source: Port
    target: Port
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InputPort:
    """A parameter of the whole workflow: a flag of the command line, a field of the form, a parameter over HTTP."""

    name: str
    to: Port
    help: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputPort:
    """A result of the whole workflow."""

    name: str
    source: Port
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A workflow, or a subgraph, which has the same shape."""

    name: str = ""
    description: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    inputs: tuple[InputPort, ...] = ()
    outputs: tuple[OutputPort, ...] = ()
    subgraphs: dict[str, Document] = field(default_factory=dict)
    ui: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def loads(cls, text: str | bytes) -> Document:
        """Reads a document from JSON text.

        Raises:
            ProblemError: with every structural problem of the file.
        """
        return cls.parse(loads(text))

    @classmethod
    def parse(cls, data: Any) -> Document:
        """Reads a document from parsed JSON; see `loads`."""
        depth_of(data)
        halves = half_characters(data)
        if halves:
            raise ProblemError(halves)
        reader = _Reader()
        document = reader.document(data)
        if reader.problems or document is None:
            raise ProblemError(reader.problems)
        return document

    def dumps(self) -> str:
        """Readable JSON text; reading it gives an equal document."""
        return dumps(self.data())

    def data(self, *, top: bool = True) -> dict[str, Any]:
        """The document as JSON data, known fields first and in a fixed order, then what was not known."""
        data: dict[str, Any] = {"format": FORMAT} if top else {}
        if self.name:
            data["name"] = self.name
        if self.description:
            data["description"] = self.description
        data["nodes"] = {key: _node_data(node) for key, node in self.nodes.items()}
        data["links"] = [{"from": str(link.source), "to": str(link.target), **link.extra} for link in self.links]
        if self.inputs:
            data["inputs"] = [
                {"name": port.name, "to": str(port.to), **({"help": port.help} if port.help else {}), **port.extra}
                for port in self.inputs
            ]
        if self.outputs:
            data["outputs"] = [{"name": port.name, "from": str(port.source), **port.extra} for port in self.outputs]
        if self.subgraphs:
            data["subgraphs"] = {key: sub.data(top=False) for key, sub in self.subgraphs.items()}
        if self.ui:
            data["ui"] = self.ui
        return data | self.extra

    def with_inputs(self, given: Mapping[str, Any]) -> Document:
        """This document with values for its workflow inputs.

        Raises:
            ProblemError: `unknown_input` for each name that is not an input.
        """
        known = [port.name for port in self.inputs]
        unknown = [name for name in given if name not in known]
        if unknown:
            listed = f"Its inputs are {one_of(known)}." if known else "It has none."
            raise ProblemError(
                Problem(
                    code="unknown_input",
                    message=f"The workflow has no input named {name!r}.",
                    hint=did_you_mean(name, known) or listed,
                    value=name,
                )
                for name in unknown
            )
        values = {port.to: given[port.name] for port in self.inputs if port.name in given}
        return self.with_values(values) if values else self

    def with_values(self, given: Mapping[Port, Any]) -> Document:
        """This document with values typed into ports; a link into such a port is taken away.

        The node of a port may be a path into subgraph instances, `hires/sample`: the value is then kept with the
        instance, so the other instances of that subgraph do not change.

        Raises:
            ProblemError: `unknown_node` for each port whose node does not exist.
        """
        nodes = dict(self.nodes)
        problems: list[Problem] = []
        taken: set[Port] = set()
        for port, value in given.items():
            top, _, inner = port.node.partition("/")
            if top not in nodes:
                problems.append(
                    Problem(
                        code="unknown_node",
                        message=f"The workflow has no node {top!r}.",
                        hint=did_you_mean(top, nodes) or f"Its nodes are {one_of(list(nodes))}.",
                        value=str(port),
                    )
                )
                continue
            key = f"{inner}.{port.port}" if inner else port.port
            nodes[top] = replace(nodes[top], values={**nodes[top].values, key: value})
            taken.add(port)
        if problems:
            raise ProblemError(problems)
        links = tuple(link for link in self.links if link.target not in taken)
        return replace(self, nodes=nodes, links=links)


def _node_data(node: Node) -> dict[str, Any]:
    data: dict[str, Any] = {"type": node.type}
    if node.version is not None:
        data["version"] = node.version
    if node.values:
        data["values"] = node.values
    if node.mode != "on":
        data["mode"] = node.mode
    if node.title:
        data["title"] = node.title
    if node.repeat is not None:
        data["repeat"] = node.repeat.data()
    return data | node.extra


_KINDS: dict[type, str] = {dict: "an object {...}", list: "a list [...]", str: "text", int: "a whole number"}


class _Reader:
    """Reads JSON data into a document and collects what is wrong with its shape."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._nodes = 0

    def document(self, data: Any, path: str = "", depth: int = 0) -> Document | None:
        if not isinstance(data, dict):
            what = "The subgraph" if path else "The file"
            self._say("not_workflow", f"{what} is not a JSON object.", "A workflow starts with {.", node=path or None)
            return None
        if depth > 50:
            self._say("too_deep", "Subgraphs are defined inside each other more than 50 levels deep.", "", node=path)
            return None
        if not path and not self._format(data):
            return None
        where = path or None
        nodes: dict[str, Node] = {}
        for key, raw in self._get(data, "nodes", dict, {}, where).items():
            node = self._node(key, raw, path)
            if node is not None:
                nodes[key] = node
        subgraphs: dict[str, Document] = {}
        for key, raw in self._get(data, "subgraphs", dict, {}, where).items():
            sub = self.document(raw, f"{path}/{key}" if path else key, depth + 1)
            if sub is not None:
                subgraphs[key] = sub
        known = {"format", "name", "description", "nodes", "links", "inputs", "outputs", "subgraphs", "ui"}
        return Document(
            name=self._get(data, "name", str, "", where),
            description=self._get(data, "description", str, "", where),
            nodes=nodes,
            links=tuple(self._links(data, where)),
            inputs=tuple(self._inputs(data, where)),
            outputs=tuple(self._outputs(data, where)),
            subgraphs=subgraphs,
            ui=self._get(data, "ui", dict, {}, where),
            extra={key: item for key, item in data.items() if key not in known},
        )

    def _format(self, data: dict[str, Any]) -> bool:
        given = data.get("format")
        if given == FORMAT:
            return True
        if isinstance(given, str) and given.startswith("safelight/"):
            self._say(
                "newer_format",
                f"The file has the format {given!r}; this version reads {FORMAT!r}.",
                "Update Safelight: pip install --upgrade safelight.",
                value=given,
            )
        elif given is None and _looks_foreign(data):
            self._say(
                "foreign_workflow",
                f"This is a workflow of {_looks_foreign(data)}, not of Safelight.",
                "Where it can be translated, the editor and `safelight convert` do it; else build it again here.",
            )
        else:
            said = "names no format" if given is None else f"has the format {given!r}"
            self._say(
                "not_workflow", f"The file {said}.", f'A workflow says "format": "{FORMAT}" at its top.', value=given
            )
        return False

    def _node(self, key: str, raw: Any, path: str) -> Node | None:
        where = f"{path}/{key}" if path else key
        self._nodes += 1
        if self._nodes == MAX_NODES + 1:
            self._say("too_large", f"The workflow has more than {MAX_NODES:,} nodes.", "Split it into several.")
        if self._nodes > MAX_NODES:
            return None
        if not key or any(mark in key for mark in "./ \t\n\0") or len(key) > 200:
            self._say(
                "bad_id",
                f"{key!r} cannot be the id of a node.",
                "Use letters, digits, - and _; ids hold no dots, slashes or blanks.",
                node=where,
                value=key,
            )
            return None
        if not isinstance(raw, dict):
            self._wrong(raw, "node", dict, where)
            return None
        kind = raw.get("type")
        if not isinstance(kind, str) or not kind:
            self._say("bad_shape", "The node names no type.", 'Write "type": "text.encode", for example.', node=where)
            return None
        version = raw.get("version")
        if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
            self._say(
                "bad_shape", f"The version {version!r} is not a whole number from 1.", "", node=where, value=version
            )
            version = None
        mode = raw.get("mode", "on")
        if mode not in _MODES:
            self._say(
                "bad_shape", f"{mode!r} is not a mode.", f"A mode is {one_of(_MODES)}.", node=where, value=_small(mode)
            )
            mode = "on"
        known = {"type", "version", "values", "mode", "title", "repeat"}
        return Node(
            type=kind,
            version=version,
            values=self._get(raw, "values", dict, {}, where),
            mode=mode,
            title=self._get(raw, "title", str, "", where),
            repeat=self._repeat(raw, where),
            extra={name: item for name, item in raw.items() if name not in known},
        )

    def _repeat(self, raw: dict[str, Any], where: str) -> Repeat | None:
        if raw.get("repeat") is None:
            return None

        def wrong(found: Any, name: str, wanted: str) -> None:
            message = f"{name!r} of 'repeat' is {compact(_small(found))}, and should be {wanted}."
            self._say("bad_shape", message, f"Make it {wanted}, or take it out.", node=where, value=_small(found))

        return read_repeat(self._get(raw, "repeat", dict, {}, where), wrong)

    def _links(self, data: dict[str, Any], where: str | None) -> Iterator[Link]:
        for raw in self._objects(data, "links", where):
            source, target = self._port(raw, "from", where), self._port(raw, "to", where)
            if source and target:
                yield Link(source, target, _rest(raw, {"from", "to"}))

    def _inputs(self, data: dict[str, Any], where: str | None) -> Iterator[InputPort]:
        for raw in self._objects(data, "inputs", where):
            name, to = self._name(raw, "input", where), self._port(raw, "to", where)
            if name and to:
                yield InputPort(name, to, self._get(raw, "help", str, "", where), _rest(raw, {"name", "to", "help"}))

    def _outputs(self, data: dict[str, Any], where: str | None) -> Iterator[OutputPort]:
        for raw in self._objects(data, "outputs", where):
            name, source = self._name(raw, "output", where), self._port(raw, "from", where)
            if name and source:
                yield OutputPort(name, source, _rest(raw, {"name", "from"}))

    def _objects(self, data: dict[str, Any], key: str, where: str | None) -> Iterator[dict[str, Any]]:
        for raw in self._get(data, key, list, [], where):
            if isinstance(raw, dict):
                yield raw
            else:
                self._wrong(raw, f"entry of {key!r}", dict, where)

    def _name(self, raw: dict[str, Any], what: str, where: str | None) -> str | None:
        name = raw.get("name")
        if isinstance(name, str) and name and not any(mark in name for mark in "./= \t\n\0"):
            return name
        self._say(
            "bad_shape",
            f"{name!r} cannot name an {what} of the workflow.",
            "Use letters, digits, - and _: it becomes a flag of the command line.",
            node=where,
            value=_small(name),
        )
        return None

    def _port(self, raw: dict[str, Any], key: str, where: str | None) -> Port | None:
        text = raw.get(key)
        if isinstance(text, str):
            node, dot, port = text.rpartition(".")
            if node and dot and port:
                return Port(node, port)
        self._say(
            "bad_port",
            f"{text!r} does not name a port.",
            f'Write "{key}": "node.port", the id of a node, a dot and the name of a port.',
            node=where,
            value=_small(text),
        )
        return None

    def _get(self, data: dict[str, Any], key: str, kind: type, default: Any, where: str | None) -> Any:
        found = data.get(key, default)
        if isinstance(found, kind):
            return found
        self._wrong(found, repr(key), kind, where)
        return default

    def _wrong(self, found: Any, what: str, kind: type, where: str | None) -> None:
        self._say(
            "bad_shape",
            f"The {what} is {compact(_small(found))}, and should be {_KINDS[kind]}.",
            f"Make it {_KINDS[kind]}, or take it out.",
            node=where,
            value=_small(found),
        )

    def _say(self, code: str, message: str, hint: str, *, node: str | None = None, value: Any = None) -> None:
        self.problems.append(Problem(code=code, message=message, hint=hint, node=node, value=value))


def _rest(raw: dict[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: item for key, item in raw.items() if key not in known}


def _small(found: Any) -> Any:
    """The value as it is shown in a problem: whole when it is short, cut when it is not."""
    if isinstance(found, dict | list):
        text = compact(found) if len(found) <= 20 else ""
        if not text or len(text) > 200:
            return f"{'an object' if isinstance(found, dict) else 'a list'} of {len(found)} entries"
    return found[:200] if isinstance(found, str) else found


def _looks_foreign(data: Mapping[str, Any]) -> str:
    """The name of the program whose workflow this is, if it is known."""
    nodes = data.get("nodes")
    if isinstance(nodes, list) and "last_node_id" in data:
        return "ComfyUI"
    entries: Iterable[Any] = list(data.values())[:5]
    if data and all(isinstance(entry, dict) and "class_type" in entry for entry in entries):
        return "ComfyUI (API format)"
    if isinstance(nodes, list) and "exposedFields" in data:
        return "InvokeAI"
    return ""
