"""Noise levels as an image."""

from __future__ import annotations

from typing import Annotated

from safelight.sdk import Image, Number, Sigmas, node

_COLORS = ("#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2")
_EDGE = 36


@node(version=1, title="Plot sigmas", tags=("Sigmas Preview", "graph sigmas", "plot schedule", "chart"))
def plot(
    sigmas: Annotated[list[Sigmas], "Each one a line of its own colour."],
    *,
    width: Annotated[int, Number(128, 4096), "In pixels."] = 640,
    height: Annotated[int, Number(128, 4096), "In pixels."] = 400,
    logarithmic: Annotated[bool, "Equal distances are equal ratios; 0 stands at the bottom."] = False,
) -> Image:
    """Draw noise levels over the steps."""
    import numpy
    import torch
    from PIL import Image as Images
    from PIL import ImageDraw

    from .._refusal import refusal

    if not sigmas:
        raise refusal(code="list_empty", message="There is nothing to draw.", hint="Connect sigmas.", port="sigmas")
    drawn = Images.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(drawn)
    most = max(max(one.levels) for one in sigmas) or 1.0
    positive = [level for one in sigmas for level in one.levels if level > 0] or [1.0]
    least, steps = min(positive), max(one.steps for one in sigmas)
    across, up = width - 2 * _EDGE, height - 2 * _EDGE

    def place(step: int, level: float) -> tuple[float, float]:
        share = level / most
        if logarithmic and most > least:
            share = 0.05 + 0.95 * float(numpy.log(level / least) / numpy.log(most / least)) if level > 0 else 0.0
        return _EDGE + across * step / steps, height - _EDGE - up * share

    pen.line([(_EDGE, _EDGE), (_EDGE, height - _EDGE), (width - _EDGE, height - _EDGE)], fill="#888888")
    pen.text((4, _EDGE - 14), f"{most:.4g}", fill="#444444")
    pen.text((width - _EDGE - 20, height - _EDGE + 8), f"{steps} steps", fill="#444444")
    for number, one in enumerate(sigmas):
        color = _COLORS[number % len(_COLORS)]
        points = [place(step, level) for step, level in enumerate(one.levels)]
        pen.line(points, fill=color, width=2)
        for x, y in points if one.steps <= 60 else ():
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
    return Image(torch.tensor(numpy.asarray(drawn, dtype=numpy.float32) / 255)[None])
