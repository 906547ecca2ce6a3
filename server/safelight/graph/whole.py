"""Half characters in a document: found before anything is done with it, and told with node and port."""

from __future__ import annotations

from typing import Any

from safelight.sdk.problem import Problem
from safelight.sdk.unicode import escaped, halves

_MOST = 20


def half_characters(data: Any) -> list[Problem]:
    """`bad_value` for the texts of a document (parsed JSON), names and keys among them, that UTF-8 cannot hold."""
    problems: list[Problem] = []
    for path, text in halves(data):
        node, port = _place(path)
        shown = escaped(text)
        place = f"The text {text[:200]!r}" if node else f"The text {text[:200]!r} at {escaped('.'.join(path))!r}"
        problems.append(
            Problem(
                code="bad_value",
                message=f"{place} holds half of a character.",
                hint="Type it again: an emoji was cut in two, or the text is in another encoding than UTF-8.",
                node=node,
                port=port,
                value=shown,
            )
        )
        if len(problems) == _MOST:
            break
    return problems


def _place(path: tuple[str, ...]) -> tuple[str | None, str | None]:
    """The node (below its subgraphs, as `a/b`) and the port that a path through a document leads to."""
    names: list[str] = []
    while len(path) > 1 and path[0] == "subgraphs":
        names.append(path[1])
        path = path[2:]
    if len(path) < 2 or path[0] != "nodes":
        return None, None
    node = escaped("/".join([*names, path[1]]))
    return node, escaped(path[3]) if len(path) > 3 and path[2] == "values" else None
