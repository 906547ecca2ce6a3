"""Shapes as coverage of pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

_FINE = 4
"""Each pixel is looked at this many times in each direction."""


class Shape(NamedTuple):
    """A shape around (x, y), `across` wide and `down` high before it is turned by `angle` degrees, in pixels.

    `rounding` is 0..1 of half the shorter side of a rectangle; `outline` the width of its line, 0 where it is filled.
    """

    kind: str
    x: float
    y: float
    across: float
    down: float
    corners: int = 5
    rounding: float = 0.0
    angle: float = 0.0
    outline: float = 0.0


def drawn_shape(what: Shape, height: int, width: int) -> Tensor:
    """(H, W) in 0..1: how much of each pixel a shape covers."""
    import numpy
    import torch
    from skimage.draw import polygon

    # A line lies within the shape, so that its size is that which was asked for.
    canvas = numpy.zeros((height * _FINE, width * _FINE), numpy.uint8)
    for inset, ink in ((0.0, 1), (what.outline, 0)) if what.outline else ((0.0, 1),):
        points = [_scaled(point, what) for point in _outline(what, inset)]
        if points:
            across, down = zip(*points, strict=True)
            canvas[polygon(down, across, canvas.shape)] = ink
    found = torch.from_numpy(canvas).float()
    return found.view(height, _FINE, width, _FINE).mean(dim=(1, 3))


def _scaled(point: tuple[float, float], what: Shape) -> tuple[float, float]:
    """A point around the origin, turned and moved to its place on the fine canvas."""
    turn = math.radians(what.angle)
    x = point[0] * math.cos(turn) + point[1] * math.sin(turn) + what.x
    y = -point[0] * math.sin(turn) + point[1] * math.cos(turn) + what.y
    # A pixel is inside where its middle is, and is counted from there.
    return x * _FINE - 0.5, y * _FINE - 0.5


def _outline(what: Shape, inset: float) -> list[tuple[float, float]]:
    """Points around the origin, `inset` pixels within; none where nothing is left."""
    half_x, half_y = what.across / 2 - inset, what.down / 2 - inset
    if what.kind == "line":
        thick = max(what.outline, 1.0) / 2
        return [] if inset else [(-what.across / 2, -thick), (half_x, -thick), (half_x, thick), (-half_x, thick)]
    if half_x <= 0 or half_y <= 0:
        return []
    if what.kind == "ellipse":
        return _arc(half_x, half_y, 0, math.tau, 256)
    if what.kind == "rectangle":
        radius = max(0.0, what.rounding * min(what.across, what.down) / 2 - inset)
        if not radius:
            return [(-half_x, -half_y), (half_x, -half_y), (half_x, half_y), (-half_x, half_y)]
        places = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
        return [
            (side_x * (half_x - radius) + x, side_y * (half_y - radius) + y)
            for number, (side_x, side_y) in enumerate(places)
            for x, y in _arc(radius, radius, number * math.tau / 4, (number + 1) * math.tau / 4, 24)
        ]
    corners = 3 if what.kind == "triangle" else what.corners
    count = corners * 2 if what.kind == "star" else corners
    # A star of five has the depth of the pentagram; others go in as deep.
    depth = [1.0, 0.381966] if what.kind == "star" else [1.0]
    points = [
        (depth[number % len(depth)] * math.sin(turn), -depth[number % len(depth)] * math.cos(turn))
        for number in range(count)
        for turn in [number * math.tau / count]
    ]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    # It fills the rectangle that was asked for.
    return [
        ((2 * (x - low_x) / (high_x - low_x) - 1) * half_x, (2 * (y - low_y) / (high_y - low_y) - 1) * half_y)
        for x, y in points
    ]


def _arc(half_x: float, half_y: float, start: float, end: float, steps: int) -> list[tuple[float, float]]:
    turns = [start + (end - start) * step / steps for step in range(steps + 1)]
    return [(half_x * math.cos(turn), half_y * math.sin(turn)) for turn in turns]
