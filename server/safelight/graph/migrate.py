"""Documents written for older nodes, brought to the installed versions, one version at a time."""

from __future__ import annotations

import traceback
from dataclasses import replace

from safelight.sdk.node import Migration, NodeType
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import Problem, ProblemError

from .document import Document, Node, Port


def migrate(document: Document, catalogue: Catalogue, path: str = "") -> Document:
    """The document with every node at its installed version: ports renamed, values changed, links following.

    A node of a former id gets the id that it goes by now; versions go on counting across a renaming. Nodes of unknown
    types or of newer versions are left alone; `check` speaks of them. Returns the same object when there is nothing to
    do. `path` leads to the document, where it is a subgraph.

    Raises:
        ProblemError: `migration_failed` when the code of a pack fails.
    """
    subgraphs = {name: migrate(sub, catalogue, f"{path}{name}/") for name, sub in document.subgraphs.items()}
    nodes: dict[str, Node] = {}
    inputs: dict[Port, str] = {}
    outputs: dict[Port, str] = {}
    for node_id, node in document.nodes.items():
        kind = catalogue.get(node.type)
        version = node.version
        if kind is None:
            kind = catalogue.former(node.type)
            if kind is None:
                continue
            version = version or kind.aliases[node.type]
            node = replace(node, type=kind.spec.id, version=version)  # noqa: PLW2901 - the node as it is called now
            nodes[node_id] = node
        if version is None or version >= kind.spec.version:
            continue
        nodes[node_id] = _upgrade(path + node_id, node, kind)
        for steps, renamed, names in ((_input_names, inputs, kind), (_output_names, outputs, kind)):
            for old, new in steps(version, names).items():
                renamed[Port(node_id, old)] = new
    if not nodes and all(subgraphs[name] is sub for name, sub in document.subgraphs.items()):
        return document

    def target(port: Port) -> Port:
        return Port(port.node, inputs.get(port, port.port))

    def source(port: Port) -> Port:
        return Port(port.node, outputs.get(port, port.port))

    return replace(
        document,
        nodes={node_id: nodes.get(node_id, node) for node_id, node in document.nodes.items()},
        links=tuple(replace(link, source=source(link.source), target=target(link.target)) for link in document.links),
        inputs=tuple(replace(entry, to=target(entry.to)) for entry in document.inputs),
        outputs=tuple(replace(entry, source=source(entry.source)) for entry in document.outputs),
        subgraphs=subgraphs,
    )


def _upgrade(node_id: str, node: Node, kind: NodeType) -> Node:
    """Raises ProblemError `migration_failed` when the code of the node's pack does."""
    values = dict(node.values)
    try:
        for migration in _migrations(node.version or 1, kind):
            values = {migration.inputs.get(name, name): value for name, value in values.items()}
            if migration.values is not None:
                values = migration.values(values)
                if not isinstance(values, dict):
                    raise TypeError(f"it gave {type(values).__name__} instead of values by port")
    except (Exception, SystemExit) as error:
        raise ProblemError(_failed(node_id, node, kind, error)) from error
    return replace(node, version=kind.spec.version, values=values)


def _failed(node_id: str, node: Node, kind: NodeType, error: BaseException) -> Problem:
    try:
        said = str(error) or type(error).__name__
    except Exception:  # its words are foreign code, too
        said = type(error).__name__
    return Problem(
        code="migration_failed",
        message=f"{kind.spec.id} of version {node.version} cannot be brought to version {kind.spec.version}: {said}.",
        hint=f"This is a fault of the pack {kind.spec.pack!r}: tell its authors, or make the node anew.",
        node=node_id,
        value=node.version,
        details=traceback.format_exc(),
    )


def _migrations(version: int, kind: NodeType) -> list[Migration]:
    return [kind.migrations[old] for old in range(version, kind.spec.version)]


def _input_names(version: int, kind: NodeType) -> dict[str, str]:
    return _chain([migration.inputs for migration in _migrations(version, kind)])


def _output_names(version: int, kind: NodeType) -> dict[str, str]:
    return _chain([migration.outputs for migration in _migrations(version, kind)])


def _chain(renamings: list[dict[str, str]]) -> dict[str, str]:
    """Old name to newest name, through renamings applied one after the other."""
    chained: dict[str, str] = {}
    for renaming in renamings:
        chained = {old: renaming.get(new, new) for old, new in chained.items()}
        current = set(chained.values())
        chained |= {old: new for old, new in renaming.items() if old not in current and new not in current}
    return chained
