"""Numbers by chance: the same seed, the same number."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Number, Seed, node

from .._refusal import require_number, require_order

_Seed = Annotated[int, Seed(), "Another seed, another number. A list of seeds gives a list of numbers."]


@node(version=1, tags=("Random Number", "RandomFloat", "random float", "dice"))
def random_number(
    *,
    seed: _Seed = 0,
    low: Annotated[float, Number(), "The least that may come."] = 0.0,
    high: Annotated[float, Number(), "What comes is below this."] = 1.0,
) -> float:
    """A number by chance, every one between two bounds as likely as another."""
    from random import Random

    require_order(low, high, "low")
    return require_number(float(low + (high - low) * Random(seed).random()), "high", high)


@node(version=1, tags=("Random Number", "RandomInt", "random int", "dice"))
def random_integer(
    *,
    seed: _Seed = 0,
    low: Annotated[int, Number(-(2**52), 2**52), "The least that may come."] = 1,
    high: Annotated[int, Number(-(2**52), 2**52), "The greatest that may come."] = 6,
) -> int:
    """A whole number by chance, both bounds among those that may come."""
    from random import Random

    require_order(low, high, "low")
    return low + int(Random(seed).random() * (high - low + 1))
