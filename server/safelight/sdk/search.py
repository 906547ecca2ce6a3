"""Finding a node by what people call it: its id, its title, its former ids, and words of other programs (tags)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .node import NodeSpec, NodeType
from .problem import one_of


def suggestion(kinds: Iterable[NodeType], word: str) -> str:
    """A sentence that proposes the closest nodes, or the empty string when nothing is close."""
    offered = [kind.spec for kind in kinds if not kind.spec.deprecated]
    names: dict[str, list[str]] = {}
    for spec in offered:
        for name in (spec.id, *_further(spec)):
            names.setdefault(name.lower(), []).append(spec.id)
    close = difflib.get_close_matches(word.lower(), names, n=6, cutoff=0.6)
    found = list(dict.fromkeys(node for name in close for node in names[name]))
    return f"Did you mean {one_of(found[:3])}?" if found else ""


def found_by(kinds: Iterable[NodeType], words: str) -> list[NodeType]:
    """The nodes that match each of the words somewhere, the best first; deprecated ones are not offered."""
    query = " ".join(words.lower().split())
    scored = [(_score(kind.spec, query), kind) for kind in kinds if not kind.spec.deprecated]
    return [kind for score, kind in sorted(scored, key=lambda pair: -pair[0]) if score > 0]


def _score(spec: NodeSpec, query: str) -> float:
    names = [name.lower() for name in (spec.id, *_further(spec))]
    if query in names:
        return 1000.0
    run_together = _letters(query)
    if run_together and any(_letters(name) == run_together for name in names):  # SaveImage, Save Image, save_image
        return 900.0
    total = 0.0
    for word in query.split():
        best = max((_fit(name, word) for name in names), default=0.0)
        best = max(best, 5.0 if word in spec.help.lower() else 0.0)
        if not best:
            return 0.0
        total += best
    return total


def _fit(name: str, word: str) -> float:
    at = name.find(word)
    if at < 0:
        return 0.0
    return 80.0 if name == word else 60.0 if at == 0 or not name[at - 1].isalnum() else 30.0


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name))


def _further(spec: NodeSpec) -> tuple[str, ...]:
    return (spec.title, spec.category, *spec.aliases, *spec.tags)
