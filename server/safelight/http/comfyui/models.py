"""Models by the folders and names that ComfyUI's clients know them by."""

from __future__ import annotations

from collections.abc import Iterable

from safelight.models import ModelEntry
from safelight.models.trees import PLACES

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
