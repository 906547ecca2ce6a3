"""Numbers for nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

from safelight.graph.document import Node

FIRST_NOTE = 900_000_000
"""Where the numbers of notes begin."""
_MOST = 9
"""Digits of a number that is kept."""


class Ids:
    """A node that came from ComfyUI goes back under the number that it had there, by which scripts know it; others get
    numbers that none had. Where several say the same, as copies do, the first one gets it."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._had = {number for node in nodes if (number := _had(node)) is not None}
        self._given: set[int] = set()
        self._free = (number for number in count(1) if number not in self._had)

    def of(self, node: Node) -> str:
        number = _had(node)
        if number is None or number in self._given:
            return self.new()
        self._given.add(number)
        return str(number)

    def new(self) -> str:
        return str(next(self._free))


def _had(node: Node) -> int | None:
    said = node.extra.get("comfyui")
    given = said.get("id") if isinstance(said, Mapping) else None
    if not isinstance(given, str) or not given.isascii() or not given.isdigit() or len(given) > _MOST:
        return None
    number = int(given)
    return number if str(number) == given and 0 < number < FIRST_NOTE else None
