"""Lists out of numbers and of other lists. `values.collect` joins lists: links into a list follow one another."""

from __future__ import annotations

from typing import Annotated, Generic, NamedTuple, TypeVar

from safelight.sdk import Number, Slider, node

from .._refusal import refusal

T = TypeVar("T")
U = TypeVar("U")

MOST = 100_000
"""The elements that a node of this room makes at most."""


@node(version=1, title="Count", tags=("range", "counter", "Number Counter", "INT list", "sequence", "index"))
def count(
    *,
    start: Annotated[int, Number(), "The first number."] = 0,
    count: Annotated[int, Number(0, 10_000), "How many numbers."] = 10,
    step: Annotated[int, Number(), "From one number to the next; below 0 it counts down."] = 1,
) -> list[int]:
    """Whole numbers in equal steps, such as seeds for a series. Numbers with fractions: `values.span`."""
    last = start + step * max(0, count - 1)
    if abs(last) >= 2**63:
        raise refusal(
            code="no_result",
            message=f"The last number would be {last}.",
            hint="Choose a smaller start or step.",
            port="step",
            value=step,
        )
    return [start + step * place for place in range(count)]


@node(version=1, tags=("RepeatImageBatch", "duplicate", "tile list"))
def repeat(
    items: Annotated[list[T], "The list."],
    *,
    times: Annotated[int, Slider(1, 1000), "How often each value comes."] = 2,
    each: Annotated[bool, "On: a, a, b, b. Off: a, b, a, b."] = False,
) -> list[T]:
    """The values of a list several times."""
    _require_few(len(items) * times, "times", times)
    return [item for item in items for _ in range(times)] if each else list(items) * times


class Crossed(NamedTuple, Generic[T, U]):
    first: Annotated[list[T], "Each value as often as the other list is long."]
    second: Annotated[list[U], "The other list as often as the first is long."]


@node(version=1, title="Every pair", tags=("cross product", "cartesian", "XY plot", "XYZ", "combinations", "grid"))
def cross(first: Annotated[list[T], "The first one."], second: Annotated[list[U], "The second one."]) -> Crossed[T, U]:
    """Two lists in step that hold every pair of their values, for a grid.

    Lists that are connected to one node go in step: first with first, second with second. This makes every value of
    one meet every value of the other.
    """
    _require_few(len(first) * len(second), "second", None)
    return Crossed([item for item in first for _ in second], [item for _ in first for item in second])


@node(version=1, title="Interleave", tags=("zip", "alternate", "merge lists", "weave"))
def interleave(first: Annotated[list[T], "The first one."], second: Annotated[list[T], "The second one."]) -> list[T]:
    """Two lists as one that takes from each in turn. The rest of the longer one comes at the end."""
    shorter = min(len(first), len(second))
    pairs = zip(first, second, strict=False)
    return [item for pair in pairs for item in pair] + first[shorter:] + second[shorter:]


def _require_few(made: int, port: str, value: int | None) -> None:
    if made > MOST:
        raise refusal(
            code="list_too_long",
            message=f"The list would hold {made:,} values.",
            hint=f"At most {MOST:,} are made.",
            port=port,
            value=value,
        )
