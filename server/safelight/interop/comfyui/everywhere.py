"""Links that nobody draws: nodes of the pack Use Everywhere send what comes into them to every input of its type that
has no link. Files of some versions list where to (`extra.ue_links`); of others it is found as the pack finds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .graph import ForeignGraph, ForeignNode, Wire

_PROMPTS = ("prompt|positive", "neg")
"""What the names of inputs hold that Prompts Everywhere sends its first and second input to."""
_SENDERS = re.compile(r"^(Anything|Prompts) Everywhere\??3?$")


class _Sent(NamedTuple):
    wire: Wire
    type: str
    title: str
    """Titles of nodes that it goes to, and names of their inputs, as patterns."""
    input: str


def is_everywhere(kind: str) -> bool:
    return _SENDERS.match(kind) is not None or kind == "Seed Everywhere"


def sent_everywhere(
    raws: Mapping[str, Mapping[str, Any]],
    graph: ForeignGraph,
    into: Callable[[Any], Any],
    kind_of: Callable[[Any], str],
) -> None:
    """Gives the nodes of a graph what is sent to their free inputs.

    Args:
        raws: all nodes of the level as they were written, by id.
        graph: the nodes that stay; their wires are added to.
        into: a link's number to what comes in by it.
        kind_of: a link's number to the type of what comes in.
    """
    sent = [one for raw in raws.values() for one in _sent(raw, into, kind_of)]
    sent.sort(key=lambda one: one.title == one.input == "")  # the narrower one goes first
    for node in graph.nodes.values() if sent else ():
        for name in _free(node):
            for one in sent:
                fits = one.type == node.types.get(name) and one.wire.node != node.id
                if fits and _matches(one.title, node.title or node.type) and _matches(one.input, name):
                    node.wires[name] = one.wire
                    break


def _sent(raw: Mapping[str, Any], into: Callable[[Any], Any], kind_of: Callable[[Any], str]) -> Iterator[_Sent]:
    kind = str(raw["type"])
    inputs = raw.get("inputs")
    if not _SENDERS.match(kind) or raw.get("mode") in (2, 4) or not isinstance(inputs, list):
        return
    values = raw.get("widgets_values")
    patterns = [str(one or "") for one in values] if isinstance(values, list) and kind.endswith("?") else []
    title, name = (["" if one == ".*" else one for one in patterns] + ["", ""])[:2]
    for number, one in enumerate(inputs):
        link = one.get("link") if isinstance(one, Mapping) else None
        wire = into(link) if link is not None else None
        if isinstance(wire, Wire):
            own = _PROMPTS[number] if kind.startswith("Prompts") and number < 2 else name
            yield _Sent(wire, kind_of(link), title, own)


def _free(node: ForeignNode) -> list[str]:
    """Sockets that have no link. Fields are left alone: they have values."""
    listed = node.raw.get("inputs")
    sockets = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    names = [str(one.get("name", "")) for one in sockets if one.get("link") is None and not one.get("widget")]
    return [name for name in names if name not in node.wires and name not in node.typed]


def _matches(pattern: str, text: str) -> bool:
    if not pattern:
        return True
    try:
        return len(pattern) < 200 and re.search(pattern, text[:200], re.IGNORECASE) is not None
    except re.error:
        return False
