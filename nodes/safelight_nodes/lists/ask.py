"""What a list holds."""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

from safelight.sdk import node

from .._refusal import refusal
from .._sameness import print_of

T = TypeVar("T")


@node(version=1, tags=("count list", "size of list", "len", "batch size"))
def length(items: Annotated[list[T], "The list."]) -> int:
    """How many values a list holds."""
    return len(items)


class Found(NamedTuple):
    found: Annotated[bool, "Whether it is there."]
    place: Annotated[int, "Its first place, counted from 0; -1 when it is not there."]


@node(version=1, title="Find in list", tags=("contains", "index of", "in list", "search list"))
def find(items: Annotated[list[T], "The list."], item: Annotated[T, "What is looked for."]) -> Found:
    """Whether a value is in a list, and where."""
    wanted = print_of(item)
    place = next((place for place, other in enumerate(items) if print_of(other) == wanted), -1)
    return Found(place >= 0, place)


class Summary(NamedTuple):
    sum: float
    mean: float
    median: float
    least: float
    greatest: float
    deviation: Annotated[float, "Standard deviation of these numbers."]
    index_of_least: Annotated[int, "Place of the first of the least, counted from 0."]
    index_of_greatest: Annotated[int, "Place of the first of the greatest, counted from 0."]


@node(version=1, tags=("sum", "average", "mean", "min", "max", "argmax", "best of", "statistics"))
def summarize(numbers: Annotated[list[float], "The numbers."]) -> Summary:
    """Sum, mean, least and greatest of numbers. `values.pick` by `index_of_greatest` gives the best of something."""
    import statistics
    from math import fsum, isfinite

    if not numbers:
        raise refusal(code="list_empty", message="The list is empty.", hint="Put a number in it.", port="numbers")
    least, greatest = min(numbers), max(numbers)
    try:
        total = fsum(numbers)
        found = (total, total / len(numbers), statistics.median(numbers), statistics.pstdev(numbers))
    except OverflowError:
        found = (float("inf"),)
    if not all(isfinite(number) for number in found):
        message = "The sum of these numbers is too large."
        raise refusal(code="no_result", message=message, hint="Divide them by something.", port="numbers")
    sum_, mean, median, deviation = map(float, found)
    places = numbers.index(least), numbers.index(greatest)
    return Summary(sum_, mean, median, float(least), float(greatest), deviation, *places)
