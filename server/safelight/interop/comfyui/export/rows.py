"""The rows of the importer turned around: what is data there needs no second table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from .. import classes
from ..rules import rules
from ..rules.base import Row, TwoWay, Unfit
from .base import Own, Piece, Spot, Written


class _Turned(NamedTuple):
    theirs: str
    row: Row


@cache
def _by_type() -> Mapping[str, list[_Turned]]:
    """Rows by our node, ComfyUI's own classes before those of packs."""
    found: dict[str, list[_Turned]] = {}
    for theirs, rule in rules().items():
        if isinstance(rule, Row):
            found.setdefault(rule.type, []).append(_Turned(theirs, rule))
    for rows in found.values():
        rows.sort(key=lambda one: (not classes.is_core(one.theirs), -len(one.row.fixed), len(one.row.inputs)))
    return found


def by_row(spot: Spot) -> Written:
    """The node by the first row whose fixed values it has, and whose inputs take all that is linked into it.

    Raises:
        Unfit: there is none.
    """
    rows = [one for one in _by_type().get(spot.type, ()) if _fits(one.row, spot)]
    if not rows:
        raise Unfit("ComfyUI has no node that does this.")
    return _written(spot, *rows[0])


def _fits(row: Row, spot: Spot) -> bool:
    if any(spot.value(port) != value for port, value in row.fixed.items()):
        return False
    names: dict[str, int] = {}
    for ours in row.inputs.values():
        port = ours if isinstance(ours, str) else ours[0]
        names[port] = names.get(port, 0) + 1
    return all(len(spot.sources(port)) <= count for port, count in names.items())


def _written(spot: Spot, theirs: str, row: Row) -> Written:
    piece = Piece(theirs)
    used: dict[str, int] = {}
    for name, ours in row.inputs.items():
        port, convert = (ours, None) if isinstance(ours, str) else ours
        sources = spot.sources(port)
        turn = used[port] = used.get(port, -1) + 1
        if sources:
            if turn < len(sources):
                piece.wires[name] = sources[turn]
        elif convert is None or isinstance(convert, TwoWay):
            spot.put(piece, name, port, convert.back if convert is not None else None)
    spot.told(*row.fixed)
    return Written({"": piece}, {port: Own("", slot) for slot, port in enumerate(row.outputs) if port})
