"""Factors for the blocks of a denoiser, as they are typed in."""

from __future__ import annotations

import re
from typing import Annotated

from safelight.sdk import Problem, ProblemError, Text

Blocks = Annotated[
    str,
    Text(advanced=True),
    "Factors of the weight for parts of the denoiser, such as: in 0.5, mid 1, out3 0. Stable Diffusion has in, mid and "
    "out, Flux block and single, others block; with a number it is one of them. base is what lies outside.",
]


def block_factors(text: str) -> tuple[tuple[str, float], ...]:
    """The factors that a text such as `in 0.5, mid 1, out3 0` gives to blocks, by their names."""
    found: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        told = re.fullmatch(r"([a-z]+\d*)\s*[ =:]\s*([+-]?\d{0,20}\.?\d{1,20})", entry.lower())
        if not told:
            message = f"{entry!r} is no block with its factor."
            hint = "Write names and factors, such as: in 0.5, mid 1, out3 0."
            raise ProblemError(Problem(code="bad_blocks", message=message, hint=hint, port="blocks", value=entry))
        word = told[1].rstrip("0123456789")
        number = told[1][len(word) :]
        found[word + (str(int(number)) if number else "")] = float(told[2])
    return tuple(sorted(found.items()))


def guided_blocks(text: str, port: str) -> tuple[str, ...]:
    """The blocks that a text such as `mid, in8` or `7, 8, 9` names; a number alone is a `block`."""
    found: list[str] = []
    for entry in filter(None, re.split(r"[,;\s]+", text.lower())):
        told = re.fullmatch(r"([a-z]*)(\d{0,9})", entry)
        if not told:
            message = f"{entry!r} is no block."
            hint = "Write names or numbers of blocks, such as: mid, in8 or: 7, 8, 9."
            raise ProblemError(Problem(code="bad_blocks", message=message, hint=hint, port=port, value=entry))
        found.append((told[1] or "block") + (str(int(told[2])) if told[2] else ""))
    return tuple(sorted(set(found)))
