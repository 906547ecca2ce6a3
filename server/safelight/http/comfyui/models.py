"""Models by the folders and names that ComfyUI's clients know them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from safelight.app import Studio
from safelight.graph import Document, Port
from safelight.models import ModelEntry
from safelight.models.trees import PLACES
from safelight.sdk.problem import ProblemError
from safelight.sdk.widgets import ModelPick

FOLDERS = tuple(dict.fromkeys((*PLACES.values(), "diffusers", "gligen", "hypernetworks", "style_models", "vae_approx")))
"""The folders that are named to clients."""


def shelves(entries: Iterable[ModelEntry]) -> dict[str, dict[str, str]]:
    """For each folder the models in it: our name by the one below the folder.

    A model that lies in none of the folders, such as the starter or one of the hub's cache, is in that of its kind by
    its whole name.
    """
    found: dict[str, dict[str, str]] = {folder: {} for folder in FOLDERS}
    for entry in entries:
        if entry.problem is not None:
            continue
        folder, _, rest = entry.name.partition("/")
        if not rest or folder not in found:
            folder, rest = PLACES.get(entry.kind, ""), entry.name
        if folder:
            found[folder].setdefault(rest, entry.name)
    return found


def unplaced(studio: Studio, document: Document) -> dict[Port, str]:
    """The models of a document that lie in no folder of models by the name that they have."""
    found: dict[Port, str] = {}
    for name, node in document.nodes.items():
        kind = studio.catalogue.get(node.type)
        for port in kind.spec.inputs if kind is not None else ():
            value = node.values.get(port.name)
            if isinstance(port.widget, ModelPick) and isinstance(value, str) and value and not _is_there(studio, value):
                found[Port(name, port.name)] = value
    return found


def _is_there(studio: Studio, name: str) -> bool:
    try:
        return studio.models.library.names.path(name) is not None
    except ProblemError:
        return True  # what is wrong with it is told by the check


def placed(document: Document, missing: Mapping[Port, str], known: Mapping[str, Mapping[str, str]]) -> Document:
    """The document with the names of models that are shown in a folder, and lie elsewhere."""
    named: dict[Port, str] = {}
    for port, value in missing.items():
        folder, _, rest = value.partition("/")
        ours = known.get(folder, {}).get(rest)
        if ours is not None:
            named[port] = ours
    return document.with_values(named) if named else document
