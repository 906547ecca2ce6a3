"""Numbers as texts, and texts as numbers."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Slider, node

from .._refusal import refusal
from .templates import written


@node(version=1, title="Number as text", tags=("Number to Text", "IntToString", "FloatToString", "convert"))
def from_number(
    value: Annotated[float, "The number."],
    *,
    decimals: Annotated[int, Slider(-1, 15), "Digits after the point. -1: as many as it has."] = -1,
    width: Annotated[int, Slider(0, 30), "Zeros are put before it up to so many characters, for names of files."] = 0,
) -> str:
    """A number written out."""
    text = written(value) if decimals < 0 else f"{value:.{decimals}f}"
    return text.zfill(width)


class Parsed(NamedTuple):
    number: float
    integer: Annotated[int, "The nearest whole number."]


@node(version=1, title="Text as number", tags=("Text to Number", "StringToInt", "StringToFloat", "parse", "convert"))
def to_number(text: Annotated[str, "The text."]) -> Parsed:
    """The number that a text is, such as 12, -0.5 or 1e-4. Numbers inside a text: `strings.match`."""
    import re

    stripped = text.strip()
    form = r"[+-]?(\d{1,400}\.?\d{0,400}|\.\d{1,400})(e[+-]?\d{1,4})?"
    found = float(stripped) if re.fullmatch(form, stripped, re.IGNORECASE) else None
    if found is None or abs(found) >= 2**63:
        shown = stripped if len(stripped) < 60 else stripped[:57] + "..."
        raise refusal(
            code="bad_value",
            message=f"{shown!r} is no number." if found is None else f"{shown} is too large.",
            hint="Write it with digits and a point, such as 12 or 0.5.",
            port="text",
            value=text[:1000],
        )
    return Parsed(found, round(found))
