"""A loss curve as an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WIDTH, HEIGHT, EDGE = 640, 360, 56
_INK, _GRID = (60, 64, 72), (228, 230, 234)
_LINES = ((214, 92, 38), (40, 104, 176), (56, 140, 84), (130, 84, 168))
Points = Sequence[tuple[int, float]]


def curve(points: Points, logarithmic: bool) -> Tensor:
    """(1, 360, 640, 3) in 0..1: axes with round numbers, and the line."""
    return curves((("", points),), logarithmic)


def curves(named: Sequence[tuple[str, Points]], logarithmic: bool) -> Tensor:
    """As `curve`, with a line each of several, and their names above. Equal distances are equal differences as soon as
    a value is not positive."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    points = [point for _, line in named for point in line]
    logarithmic = logarithmic and all(value > 0 for _, value in points)

    def height(value: float) -> float:
        return math.log10(value) if logarithmic else value

    if points:
        last = max(step for step, _ in points)
        low, high = min(height(v) for _, v in points), max(height(v) for _, v in points)
        room = (high - low) * 0.06 or 0.5
        low, high = low - room, high + room

        def place(step: float, value: float) -> tuple[float, float]:
            across = EDGE + (WIDTH - EDGE - 16) * step / last
            return across, HEIGHT - 36 - (HEIGHT - 56) * (value - low) / (high - low)

        for at in range(5):
            level = low + (high - low) * at / 4
            pen.line([place(0, level), place(last, level)], _GRID)
            said = 10**level if logarithmic else level
            pen.text((6, place(0, level)[1] - 6), f"{said:.3g}", _INK)
            step = last * at / 4
            pen.line([place(step, low), place(step, high)], _GRID)
            pen.text((place(step, low)[0] - 10, HEIGHT - 28), f"{step:.0f}", _INK)
        across = EDGE
        for number, (name, line) in enumerate(named):
            color = _LINES[number % len(_LINES)]
            pen.line([place(step, height(value)) for step, value in line], color, 2, "curve")
            pen.text((across, 6), name, color)
            across += int(pen.textlength(name)) + 16
    pen.text((WIDTH - 96, 6), "loss by step", _INK)
    return torch.from_numpy(np.asarray(image, np.float32) / 255)[None]
