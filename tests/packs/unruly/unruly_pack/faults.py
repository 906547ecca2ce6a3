"""Nodes that fail, each in its own way. None of them ends the process."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Any, Literal, NamedTuple

from safelight.sdk import Cancelled, Image, Mask, node


class Two(NamedTuple):
    first: int
    second: int


class Shouted(str):
    __slots__ = ()


class Level(IntEnum):
    LOW = 1


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Wordless(Exception):
    def __str__(self) -> str:
        return 3  # type: ignore[return-value]  # noqa: PLE0307


class Outside(BaseException):
    """No Exception."""


@node()
def image() -> Image:
    """An image of one shade."""
    import torch

    return Image(torch.full((1, 2, 2, 3), 0.5))


# Exits and odd errors


@node()
def exits() -> int:
    """sys.exit."""
    sys.exit(3)


@node()
def exits_with_words() -> int:
    """sys.exit with a message."""
    sys.exit("good bye")


@node()
def exits_quietly() -> int:
    """SystemExit without a code."""
    raise SystemExit


@node()
def raises_cancelled() -> int:
    """As if it had been cancelled."""
    raise Cancelled


@node()
def raises_outside() -> int:
    """No Exception."""
    raise Outside("outside")


@node()
def raises_generator_exit() -> int:
    """Another that is no Exception."""
    raise GeneratorExit


@node()
def raises_interrupt() -> int:
    """As if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


@node()
def raises_silent() -> int:
    """Its words raise."""
    raise Silent


@node()
def raises_wordless() -> int:
    """Its words are no text."""
    raise Wordless


@node()
def raises_half_emoji() -> int:
    """Its words cannot be written."""
    raise ValueError("half \ud83d of one")


@node()
def raises_in_a_circle() -> int:
    """Its causes run in a circle."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    raise one


@node()
def raises_group() -> int:
    """Several at once."""
    raise ExceptionGroup("all", [ValueError("a"), TypeError("b")])


@node()
def raises_memory() -> int:
    """No memory."""
    raise MemoryError


@node()
def raises_class() -> int:
    """Raises no exception at all."""
    raise int  # type: ignore[misc]


@node()
def calls_itself() -> int:
    """Without end."""
    return calls_itself()


# What comes back


@node()
def returns_text() -> int:
    """Not a number."""
    return "3"  # type: ignore[return-value]


@node()
def returns_none() -> int:
    """Nothing."""
    return None  # type: ignore[return-value]


@node()
def returns_truth() -> int:
    """True is no number here."""
    return True


@node()
def returns_numpy_int() -> int:
    """A number of NumPy."""
    import numpy as np

    return np.int64(3)  # type: ignore[return-value]


@node()
def returns_numpy_float() -> float:
    """A float of NumPy, which says it is a float."""
    import numpy as np

    return np.float64(0.5)


@node()
def returns_enum() -> int:
    """Says it is an int."""
    return Level.LOW


@node()
def returns_shouted() -> str:
    """Says it is a str."""
    return Shouted("x")


@node()
def returns_half_emoji() -> str:
    """Text that cannot be written."""
    return "\ud83d"


@node()
def returns_bytes() -> str:
    """Not text."""
    return b"x"  # type: ignore[return-value]


@node()
def returns_nan() -> float:
    """Not a number."""
    return float("nan")


@node()
def returns_infinity() -> float:
    """Too much."""
    return float("inf")


@node()
def returns_huge_number() -> int:
    """More than any other program takes."""
    return 10**400


@node()
def returns_other_choice() -> Literal["a", "b"]:
    """Not one of its choices."""
    return "c"  # type: ignore[return-value]


@node()
def returns_too_few() -> Two:
    """One of two outputs."""
    return (1,)  # type: ignore[return-value]


@node()
def returns_generator() -> list[int]:
    """A list still to be made."""
    return (number for number in range(3))  # type: ignore[return-value]


@node()
def returns_tuple() -> list[int]:
    """A tuple."""
    return (1, 2)  # type: ignore[return-value]


@node()
def returns_mixed() -> list[int]:
    """One wrong element."""
    return [1, "2"]  # type: ignore[list-item]


@node()
def returns_itself() -> list[int]:
    """A list that holds itself."""
    made: list[Any] = []
    made.append(made)
    return made


@node()
def returns_coroutine() -> int:
    """Work that was never done."""

    async def later() -> int:
        return 1

    return later()  # type: ignore[return-value]


@node()
def returns_object() -> Any:
    """Something that cannot be kept."""
    return object()


@node()
def returns_array() -> Image:
    """An array for an image."""
    import numpy as np

    return np.zeros((1, 2, 2, 3))  # type: ignore[return-value]


@node()
def returns_flat_image() -> Image:
    """An image without a batch."""
    import torch

    return Image(torch.zeros(2, 2, 3))


@node()
def returns_byte_image() -> Image:
    """An image of bytes."""
    import torch

    return Image(torch.zeros(1, 2, 2, 3, dtype=torch.uint8))


@node()
def returns_nan_image() -> Image:
    """An image that is none."""
    import torch

    return Image(torch.full((1, 2, 2, 3), float("nan")))


@node()
def returns_mask() -> Image:
    """Another kind of value."""
    import torch

    return Mask(torch.zeros(1, 2, 2))  # type: ignore[return-value]


# What is done to what comes in


@node()
def paints_its_input(image: Image) -> Image:
    """In place, through torch."""
    image.pixels.mul_(0.5)
    return image


@node()
def paints_through_numpy(image: Image) -> float:
    """In place, where no counter of torch sees it."""
    image.pixels.numpy()[...] = 0.75
    return 1.0


@node()
def lengthens(numbers: list[int]) -> int:
    """Appends to a list that it was given."""
    numbers.append(1)
    return len(numbers)


@node()
def paints_and_fails(image: Image) -> float:
    """In place, and then it raises."""
    image.pixels.zero_()
    raise ValueError("after the deed")
