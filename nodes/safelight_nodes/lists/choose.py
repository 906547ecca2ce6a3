"""Some values out of a list. One by its place: `values.pick`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Generic, NamedTuple, TypeVar

from safelight.sdk import Items, Number, Seed, node

from .._refusal import refusal
from .._sameness import print_of

T = TypeVar("T")


@node(version=1, title="Slice", tags=("sublist", "range from list", "first", "last", "every nth", "ImageFromBatch"))
def slice(
    items: Annotated[list[T], "The list."],
    *,
    start: Annotated[int, Number(), "The first place to take, counted from 0; -1 is the last one."] = 0,
    count: Annotated[int, Number(0, zero="all"), "How many to take at most. 0: all that there are."] = 0,
    step: Annotated[int, Number(1), "Take every so many-th."] = 1,
) -> list[T]:
    """A part of a list. What lies beyond its end is not there, so that the part may be shorter or empty."""
    found = items[max(0, len(items) + start) if start < 0 else start :: step]
    return found[:count] if count else found


@node(version=1, tags=("pick many", "indexes", "reorder", "gather"))
def take(
    items: Annotated[list[T], "The list."],
    *,
    places: Annotated[list[int], Items(), "The places, counted from 0; -1 is the last one."] = [0],  # noqa: B006 - a node never changes its inputs
) -> list[T]:
    """The values at several places, in that order."""
    for place in places:
        if not -len(items) <= place < len(items):
            raise refusal(
                code="no_such_element",
                message=f"The list holds {len(items)} values, so there is none with index {place}.",
                hint=f"Choose 0 to {len(items) - 1}." if items else "Put something in the list.",
                port="places",
                value=place,
            )
    return [items[place] for place in places]


class Filtered(NamedTuple, Generic[T]):
    kept: list[T]
    dropped: list[T]


@node(version=1, tags=("filter list", "where", "select by condition", "remove from list"))
def filter(
    items: Annotated[list[T], "The list."],
    keep: Annotated[list[bool], "Yes or no for each value: a comparison, or `yes` of an expression, over the list."],
) -> Filtered[T]:
    """Part a list by a condition for each of its values."""
    if len(items) != len(keep):
        raise refusal(
            code="length_mismatch",
            message=f"There are {len(items)} values and {len(keep)} conditions.",
            hint="Give one condition for each value.",
            port="keep",
        )
    pairs = list(zip(items, keep, strict=True))
    return Filtered([item for item, kept in pairs if kept], [item for item, kept in pairs if not kept])


@node(version=1, tags=("deduplicate", "remove duplicates", "distinct", "set"))
def unique(items: Annotated[list[T], "The list."]) -> list[T]:
    """A list without what came before in it. Images and other values are the same when all of their bits are."""
    found: dict[Hashable, T] = {}
    for item in items:
        found.setdefault(print_of(item), item)
    return list(found.values())


class Chosen(NamedTuple, Generic[T]):
    value: T
    place: Annotated[int, "Its place in the list, counted from 0."]


@node(version=1, title="Choose by chance", tags=("random choice", "random line", "pick random", "RandomPrompt"))
def choose(
    items: Annotated[list[T], "The list."],
    weights: Annotated[list[float] | None, "How likely each value is, against the others. Alike without."] = None,
    *,
    seed: Annotated[int, Seed(), "Another seed, another choice. A list of seeds gives a list of choices."] = 0,
) -> Chosen[T]:
    """One value of a list by chance. The same seed gives the same choice."""
    from itertools import accumulate
    from random import Random

    chances = [1.0] * len(items) if weights is None else weights
    if len(chances) != len(items):
        raise refusal(
            code="length_mismatch",
            message=f"There are {len(items)} values and {len(chances)} weights.",
            hint="Give one weight for each value.",
            port="weights",
        )
    if not items:
        raise refusal(code="list_empty", message="The list is empty.", hint="Put something in it.", port="items")
    worst = min(chances)
    if worst < 0 or not sum(chances) > 0 or sum(chances) == float("inf"):
        raise refusal(
            code="bad_value",
            message=f"The weights are below 0, or all of them are 0: {worst:g} is the least.",
            hint="Let them be 0 or more, and one above 0.",
            port="weights",
            value=worst,
        )
    sums = list(accumulate(chances))
    mark = Random(seed).random() * sums[-1]
    place = next(place for place, reached in enumerate(sums) if mark < reached)
    return Chosen(items[place], place)
