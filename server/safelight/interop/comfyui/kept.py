"""What of a node of ours goes along in a file of ComfyUI's, where ComfyUI saves it back unread, and is found when the
file comes home: its name, and values that have no counterpart there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from safelight.graph.document import Node
from safelight.graph.repeat import Repeat, read_repeat

OURS = "safelight:"
"""What the class of a node of ours begins with that ComfyUI does not know; its type stands behind it."""
CLASS = "safelight"
"""The key below `properties` (in the API format: `_meta`) of a node."""


class StandIn(NamedTuple):
    """Values that were written into inputs of theirs where ours have no counterpart; `ours` are by port, None where
    nothing was typed. They come back together, or not at all where one of theirs was changed. `sampler.sampler_name` is
    the input of the node that the input `sampler` is linked to."""

    written: dict[str, Any]
    ours: dict[str, Any]


def kept_properties(
    name: str, node: Node, values: Mapping[str, Any], stand_ins: Sequence[StandIn], outputs: Sequence[str]
) -> dict[str, Any]:
    """What is written with a node: `values` are those that ComfyUI has no place for, `outputs` the names of what a node
    gives that it does not know."""
    kept: dict[str, Any] = {"id": name, "type": node.type}
    if values:
        kept["values"] = dict(values)
    if stand_ins:
        kept["instead"] = [list(one) for one in stand_ins]
    if outputs:
        kept["outputs"] = list(outputs)
    repeat = node.repeat
    if repeat is not None and (not isinstance(repeat.times, str) or repeat.times in node.values):
        kept["repeat"] = repeat.data()
    return kept


def restored(
    raw: Mapping[str, Any], typed: Callable[[str], Any], type: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of a node that came home, with those that were kept for it.

    Args:
        raw: the node as the file has it.
        typed: gives the value of an input there, by its name or as a `StandIn` has it; None where there is none.
        type: what it became here: only the node that it was gets its values back.
        values: what they became here. A value that was changed there counts.
    """
    kept = kept_of(raw)
    found = dict(values)
    own, stand_ins = kept.get("values"), kept.get("instead")
    if kept.get("type") != type:
        return found
    if isinstance(own, Mapping):
        found |= {str(name): value for name, value in own.items()}
    for one in stand_ins if isinstance(stand_ins, list) else ():
        if not isinstance(one, list) or len(one) != len(StandIn._fields):
            continue
        written, ours = one
        if not isinstance(written, Mapping) or not isinstance(ours, Mapping):
            continue
        if any(typed(str(name)) != value for name, value in written.items()):
            continue
        for port, value in ours.items():
            found.pop(str(port), None)
            if value is not None:
                found[str(port)] = value
    return found


def kept_of(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a node of a file brings home; empty for those that were never here."""
    for place in ("properties", "_meta"):
        held = raw.get(place)
        kept = held.get(CLASS) if isinstance(held, Mapping) else None
        if isinstance(kept, Mapping):
            return kept
    return {}


def kept_repeat(kept: Mapping[str, Any]) -> Repeat | None:
    """The repetition of an instance; None for one that is not as we write it."""
    raw = kept.get("repeat")
    wrong: list[tuple[Any, ...]] = []
    if not isinstance(raw, Mapping):
        return None
    repeat = read_repeat(dict(raw), lambda *told: wrong.append(told))
    return None if wrong else repeat
