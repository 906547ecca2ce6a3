"""Numbers as an image."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Color, Image, Number, Text, node

from .._refusal import refusal

_ROW, _GAP, _EDGE, _INK = 22, 10, 16, "#3c4048"


@node(version=1, tags=("bar chart", "plot", "chart", "diagram", "compare scores"))
def bars(
    values: Annotated[list[float], "A bar for each."],
    names: Annotated[list[str] | None, "What stands before each."] = None,
    *,
    title: Annotated[str, Text(), "What stands above."] = "",
    width: Annotated[int, Number(240, 4096), "In pixels."] = 640,
    color: Annotated[str, Color(), "Of the bars."] = "#d65c26",
) -> Image:
    """Draw numbers as bars, one below the other, each with its name and value. Negative ones go to the left."""
    import numpy
    import torch
    from PIL import Image as Images
    from PIL import ImageDraw

    from .._fonts import built_in
    from .._sheets import shortened

    if not values:
        raise refusal(code="list_empty", message="There is no number.", hint="Connect some.", port="values")
    said = list(names) if names else [str(number + 1) for number in range(len(values))]
    if len(said) != len(values):
        message = f"There are {len(values)} numbers and {len(said)} names."
        raise refusal(code="length_mismatch", message=message, hint="Give one for each.", port="names")
    font = built_in(13, "".join(said))
    head = _EDGE + (_ROW if title else 0)
    drawn = Images.new("RGB", (width, head + len(values) * (_ROW + _GAP) + _EDGE - _GAP), "white")
    pen = ImageDraw.Draw(drawn)
    if title:
        pen.text((_EDGE, _EDGE - 6), title, _INK, built_in(15, title))
    left = _EDGE + min(width // 3, max(int(pen.textlength(name, font)) for name in said)) + _GAP
    room = max(int(pen.textlength(f"{value:.4g}", font)) for value in values) + _GAP
    low, high = min(0.0, *values), max(0.0, *values)
    scale = (width - left - room - _EDGE) / ((high - low) or 1.0)
    zero = left - low * scale
    for number, (name, value) in enumerate(zip(said, values, strict=True)):
        top = head + number * (_ROW + _GAP)
        pen.text((_EDGE, top + 3), shortened(name, font, left - _EDGE - _GAP), _INK, font)
        ends = sorted((zero, zero + value * scale))
        pen.rectangle((ends[0], top, max(ends[1], ends[0] + 1), top + _ROW), color)
        pen.text((max(ends[1], zero) + 6, top + 3), f"{value:.4g}", _INK, font)
    pen.line((zero, head - 4, zero, drawn.height - _EDGE + 4), "#9aa0a8")
    return Image(torch.tensor(numpy.asarray(drawn, dtype=numpy.float32) / 255)[None])
