"""Subgraphs that lie in subgraphs, laid side by side, as ComfyUI keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from safelight.graph import Document
from safelight.graph.document import SUBGRAPH

from ..graph import free_name


def side_by_side(document: Document) -> Document:
    """The document with every subgraph in its own table: one that only a subgraph knew gets a free name there."""
    if not any(body.subgraphs for body in document.subgraphs.values()):
        return document
    found: dict[str, Document] = {}
    top = _laid(document, {}, found)
    return replace(top, subgraphs=found)


def _laid(document: Document, outer: Mapping[str, str], found: dict[str, Document]) -> Document:
    names = dict(outer)
    for key in document.subgraphs:
        names[key] = free_name(key, found)
        found[names[key]] = Document()  # holds the name
    for key, body in document.subgraphs.items():
        found[names[key]] = _laid(body, names, found)
    nodes = dict(document.nodes)
    for name, node in nodes.items():
        key = node.type.removeprefix(SUBGRAPH)
        if node.type.startswith(SUBGRAPH) and key in names:
            nodes[name] = replace(node, type=SUBGRAPH + names[key])
    return replace(document, nodes=nodes, subgraphs={})
