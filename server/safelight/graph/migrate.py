"""Documents written for older nodes, brought to the installed versions, one version at a time."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from safelight.sdk.file_names import TOKEN
from safelight.sdk.node import Migration, NodeType
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.widgets import Text

from .document import SUBGRAPH, Document, Node, Port


def migrate(document: Document, catalogue: Catalogue) -> Document:
    """The document with every node at its installed version: ports renamed, values changed, what names ports follows.

    These are links, inputs and outputs, values typed into instances of subgraphs by the path of a port, `{node.port}`
    in the names of files, and what `ui` keeps of a port. A node of a former id gets the id that it goes by now;
    versions go on counting across a renaming. Nodes of unknown types or of newer versions are left alone; `check`
    speaks of them. Returns the same object when there is nothing to do.

    Raises:
        ProblemError: `migration_failed` when the code of a pack fails.
    """
    return migrated(document, catalogue)[0]


def migrated(document: Document, catalogue: Catalogue) -> tuple[Document, Callable[[Port], Port]]:
    """The same, and what an input of the document is called today, given the name that it had or has.

    The node may be a path into instances of subgraphs. Names that are not known stay as they are.
    """
    work = _Migrations(catalogue)
    work.raise_nodes(document, "")
    return (work.rewritten([document]) if work.any else document), lambda port: work.today(document, port)


@dataclass
class _Raised:
    """What became of the nodes of one document: the node before with its type, and the node of today, by id."""

    before: dict[str, tuple[Node, NodeType]] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    inputs: dict[Port, str] = field(default_factory=dict)
    outputs: dict[Port, str] = field(default_factory=dict)
    typed: set[Port] = field(default_factory=set)
    """Renamed inputs with a value under today's name, which only a run can have given: links into them go."""

    def target(self, port: Port) -> Port:
        return Port(port.node, self.inputs.get(port, port.port))

    def source(self, port: Port) -> Port:
        return Port(port.node, self.outputs.get(port, port.port))


class _Migrations:
    """Raises all nodes first; then everything that names a port can follow, wherever it stands."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._raised: dict[int, _Raised] = {}
        self.any = False

    def raise_nodes(self, document: Document, path: str) -> None:
        """`path` leads to the document, where it is a subgraph."""
        raised = self._raised[id(document)] = _Raised()
        for name, sub in document.subgraphs.items():
            self.raise_nodes(sub, f"{path}{name}/")
        for node_id, node in document.nodes.items():
            kind, version, current = self._catalogue.get(node.type), node.version, node
            if kind is None:
                kind = self._catalogue.former(node.type)
                if kind is None:
                    continue
                version = version or kind.aliases[node.type]
                current = raised.nodes[node_id] = replace(node, type=kind.spec.id, version=version)
            if version is None or version >= kind.spec.version:
                continue
            values = _raised_values(path + node_id, current, kind, current.values)
            raised.nodes[node_id] = replace(current, version=kind.spec.version, values=values)
            raised.before[node_id] = current, kind
            steps = _migrations(version, kind)
            inputs, outputs = _chain([step.inputs for step in steps]), _chain([step.outputs for step in steps])
            raised.inputs |= {Port(node_id, old): new for old, new in inputs.items()}
            raised.outputs |= {Port(node_id, old): new for old, new in outputs.items()}
            raised.typed |= {Port(node_id, new) for new in _news(inputs) if new in node.values}
        self.any = self.any or bool(raised.nodes)

    def rewritten(self, scopes: Sequence[Document]) -> Document:
        """The last of the documents, each of which defines the next, as it is today."""
        document = scopes[-1]
        raised = self._raised[id(document)]
        subgraphs = {name: self.rewritten([*scopes, sub]) for name, sub in document.subgraphs.items()}
        nodes = {
            node_id: self._naming(scopes, node_id, raised.nodes.get(node_id, node))
            for node_id, node in document.nodes.items()
        }
        same = all(nodes[node_id] is node for node_id, node in document.nodes.items())
        if same and all(subgraphs[name] is sub for name, sub in document.subgraphs.items()):
            return document
        return replace(
            document,
            nodes=nodes,
            links=tuple(
                replace(link, source=raised.source(link.source), target=raised.target(link.target))
                for link in document.links
                if link.target not in raised.inputs or raised.target(link.target) not in raised.typed
            ),
            inputs=tuple(replace(entry, to=raised.target(entry.to)) for entry in document.inputs),
            outputs=tuple(replace(entry, source=raised.source(entry.source)) for entry in document.outputs),
            subgraphs=subgraphs,
            ui=_ui(document.ui, raised.inputs),
        )

    def today(self, document: Document, port: Port) -> Port:
        found = self._find([document], port.node)
        if found is None:
            return port
        raised = self._raised[id(found[0])]
        if found[1] not in raised.before or port.port in raised.before[found[1]][1].inputs:
            return port
        return Port(port.node, raised.target(Port(found[1], port.port)).port)

    def _naming(self, scopes: Sequence[Document], node_id: str, node: Node) -> Node:
        """The node with what its values say of ports brought up to date."""
        if node.type.startswith(SUBGRAPH):
            values = self._instance_values(scopes, node_id, node)
        else:
            values = self._file_names(scopes[0], node)
        return node if values == node.values else replace(node, values=values)

    def _instance_values(self, scopes: Sequence[Document], node_id: str, node: Node) -> dict[str, Any]:
        """Values by the path of a port inside the instance go through the migrations of the node that they are for."""
        values: dict[str, Any] = {}
        inner: dict[tuple[str, int, str], dict[str, Any]] = {}
        for key, value in node.values.items():
            path, dot, port = key.rpartition(".")
            found = self._find(scopes, f"{node_id}/{path}") if dot else None
            if found is None or found[1] not in self._raised[id(found[0])].before:
                values[key] = value
            else:
                inner.setdefault((path, id(found[0]), found[1]), {})[port] = value
        for (path, definition, name), given in inner.items():
            raised = self._raised[definition]
            before, kind = raised.before[name]
            known = raised.nodes[name].values
            made = _raised_values(f"{node_id}/{path}", before, kind, {**before.values, **given})
            named = {raised.target(Port(name, port)).port for port in given}
            changed = {port for port, value in made.items() if port in named or known.get(port, ...) != value}
            values |= {f"{path}.{port}": made[port] for port in made if port in changed}
        return values

    def _file_names(self, root: Document, node: Node) -> dict[str, Any]:
        """`{node.port}` in the name of a file: the path leads from the whole document."""
        kind = self._catalogue.get(node.type)
        ports = [
            port.name
            for port in (kind.spec.inputs if kind else ())
            if isinstance(port.widget, Text) and port.widget.file_name and isinstance(node.values.get(port.name), str)
        ]

        def today(match: Any) -> str:
            path, _, port = match[1].rpartition(".")
            found = self._find([root], path) if path else None
            if found is None:
                return match[0]
            return f"{{{path}.{self._raised[id(found[0])].target(Port(found[1], port)).port}}}"

        return (
            {**node.values, **{port: TOKEN.sub(today, node.values[port]) for port in ports}} if ports else node.values
        )

    def _find(self, scopes: Sequence[Document], path: str) -> tuple[Document, str] | None:
        """The document in which the node at the end of a path stands, and its id there."""
        chain = list(scopes)
        *instances, last = path.split("/")
        for name in instances:
            node = chain[-1].nodes.get(name)
            kind = node.type.removeprefix(SUBGRAPH) if node is not None and node.type.startswith(SUBGRAPH) else None
            holder = next((at for at in reversed(range(len(chain))) if kind in chain[at].subgraphs), None)
            if kind is None or holder is None:
                return None
            chain.append(chain[holder].subgraphs[kind])
        return (chain[-1], last) if last in chain[-1].nodes else None


def _ui(ui: dict[str, Any], inputs: dict[Port, str]) -> dict[str, Any]:
    """What an editor keeps of inputs by name: those shown as sockets, and how seeds turn."""
    looks = ui.get("nodes")
    touched = {port.node for port in inputs}
    if not isinstance(looks, dict) or not touched & looks.keys():
        return ui
    made = dict(looks)
    for node in touched & looks.keys():
        look = made[node]
        if not isinstance(look, dict):
            continue
        sockets, seeds = look.get("sockets"), look.get("seeds")
        renamed = {port.port: new for port, new in inputs.items() if port.node == node}
        if isinstance(sockets, list):
            look = {**look, "sockets": [renamed.get(name, name) if isinstance(name, str) else name for name in sockets]}
        if isinstance(seeds, dict):
            look = {**look, "seeds": {renamed.get(name, name): mode for name, mode in seeds.items()}}
        made[node] = look
    return {**ui, "nodes": made}


def _raised_values(place: str, node: Node, kind: NodeType, values: dict[str, Any]) -> dict[str, Any]:
    """Values through all migrations, but those that bear a name of today.

    Raises ProblemError `migration_failed` when the code of the node's pack does."""
    steps = _migrations(node.version or 1, kind)
    today = {name: values[name] for name in _news(_chain([step.inputs for step in steps])) if name in values}
    values = {name: value for name, value in values.items() if name not in today}
    try:
        for migration in steps:
            values = {migration.inputs.get(name, name): value for name, value in values.items()}
            if migration.values is not None:
                values = migration.values(values)
                if not isinstance(values, dict):
                    raise TypeError(f"it gave {type(values).__name__} instead of values by port")
    except (Exception, SystemExit) as error:
        raise ProblemError(_failed(place, node, kind, error)) from error
    return values | today


def _failed(node_id: str, node: Node, kind: NodeType, error: BaseException) -> Problem:
    try:
        said = str(error) or type(error).__name__
    except Exception:  # its words are foreign code, too
        said = type(error).__name__
    return Problem(
        code="migration_failed",
        message=f"{kind.spec.id} of version {node.version} cannot be brought to version {kind.spec.version}: {said}.",
        hint=f"This is a fault of the pack {kind.spec.pack!r}: tell its authors, or make the node again.",
        node=node_id,
        value=node.version,
        details=traceback.format_exc(),
    )


def _migrations(version: int, kind: NodeType) -> list[Migration]:
    return [kind.migrations[old] for old in range(version, kind.spec.version)]


def _news(chained: dict[str, str]) -> set[str]:
    """Names of today that no version before had: who gave a value under one knows the node of today."""
    return set(chained.values()) - chained.keys()


def _chain(renamings: list[dict[str, str]]) -> dict[str, str]:
    """Old name to newest name, through renamings applied one after the other."""
    chained: dict[str, str] = {}
    for renaming in renamings:
        chained = {old: renaming.get(new, new) for old, new in chained.items()}
        current = set(chained.values())
        chained |= {old: new for old, new in renaming.items() if old not in current and new not in current}
    return chained
