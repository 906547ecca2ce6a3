"""Whose nodes are whose: ComfyUI's ids by ours, and what became of a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.graph import Document


def owners(document: Document) -> dict[str, str]:
    """The ids of their nodes by ours. A node of theirs that became several is told by the first; the others are named
    after it."""
    first = {
        name: str(said["id"])
        for name, node in document.nodes.items()
        if isinstance(said := node.extra.get("comfyui"), Mapping) and "id" in said
    }
    found = dict(first)
    for name in document.nodes:
        if name not in found:
            heads = [head for head in first if name.startswith(f"{head}_")]
            if heads:
                found[name] = first[max(heads, key=len)]
    return found


def above(prompt: Mapping[str, Any], start: str) -> set[str]:
    """A node of a prompt and all that lead to it."""
    seen, todo = {start}, [start]
    while todo:
        inputs = prompt.get(todo.pop(), {}).get("inputs")
        for value in inputs.values() if isinstance(inputs, Mapping) else ():
            if isinstance(value, list) and len(value) == 2 and str(value[0]) in prompt and str(value[0]) not in seen:
                seen.add(str(value[0]))
                todo.append(str(value[0]))
    return seen
