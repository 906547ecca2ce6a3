"""The order of a list."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from safelight.sdk import Seed, node

from .._natural import natural_key
from .._refusal import refusal

T = TypeVar("T")


@node(version=1, tags=("sort by", "order", "rank", "natural sort", "sort by similarity", "sort by score"))
def sort(
    items: Annotated[list[T], "The list."],
    by: Annotated[list[float] | None, "A number for each value, by which they are put in order."] = None,
    *,
    descending: Annotated[bool, "The greatest first."] = False,
    natural: Annotated[bool, "Of texts: numbers inside them count as numbers, so that 2 comes before 10."] = True,
) -> list[T]:
    """Put a list in order: numbers and texts by themselves, anything by numbers that belong to it.

    Values that are equal stay in the order in which they came.
    """
    keys: list[Any] = list(by) if by is not None else _own_keys(items, natural)
    if len(keys) != len(items):
        raise refusal(
            code="length_mismatch",
            message=f"There are {len(items)} values and {len(keys)} numbers to put them in order.",
            hint="Give one number for each value.",
            port="by",
        )
    places = sorted(range(len(items)), key=keys.__getitem__, reverse=descending)
    return [items[place] for place in places]


def _own_keys(items: list[Any], natural: bool) -> list[Any]:
    if all(isinstance(item, bool | int | float) for item in items):
        return list(items)
    if all(isinstance(item, str) for item in items):
        return [natural_key(item) for item in items] if natural else list(items)
    raise refusal(
        code="no_order",
        message="These values have no order of their own.",
        hint="Connect a number for each of them to `by`.",
        port="items",
    )


@node(version=1, tags=("reverse list", "flip", "backwards"))
def reverse(items: Annotated[list[T], "The list."]) -> list[T]:
    """A list from its end to its beginning."""
    return items[::-1]


@node(version=1, tags=("random order", "shuffle list", "permutation"))
def shuffle(
    items: Annotated[list[T], "The list."], *, seed: Annotated[int, Seed(), "Another seed, another order."] = 0
) -> list[T]:
    """A list in an order by chance. The same seed gives the same order."""
    from random import Random

    source = Random(seed)
    keys = [source.random() for _ in items]
    return [items[place] for place in sorted(range(len(items)), key=keys.__getitem__)]
