"""Several conditions to one. A comparison gives a condition; `choice.switch` acts on it."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import node


@node(version=1, tags=("Logic Boolean", "and", "or", "xor", "nor", "nand", "boolean"))
def combine(
    conditions: Annotated[list[bool], "The conditions, over one or more links."],
    *,
    rule: Annotated[
        Literal["all", "any", "none", "not_all", "odd", "exactly_one"],
        "all: and. any: or. none: nor. not_all: nand. odd: xor of any number. exactly_one: one and no more.",
    ] = "all",
) -> bool:
    """Whether several conditions hold together. Of none at all, all hold and any does not."""
    count = sum(conditions)
    return {
        "all": count == len(conditions),
        "any": count > 0,
        "none": count == 0,
        "not_all": count < len(conditions),
        "odd": count % 2 == 1,
        "exactly_one": count == 1,
    }[rule]


@node(version=1, title="Not", tags=("Logic NOT", "not", "negate", "Boolean To Text"))
def invert(condition: Annotated[bool, "Yes or no."]) -> bool:
    """Yes for no, and no for yes."""
    return not condition


@node(version=1, title="Yes or no as a number", tags=("bool to int", "BooleanToInt", "convert"))
def to_integer(condition: Annotated[bool, "Yes or no."]) -> int:
    """1 for yes, 0 for no."""
    return int(condition)
