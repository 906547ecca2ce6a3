"""Gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ramp(height: int, width: int, kind: str, angle: float = 0.0) -> Tensor:
    """(H, W) from 0 to 1: `linear` through the middle so that the farthest corners are the ends, `radial` from the
    middle to the corners of the inscribed ellipse, `conic` around the middle from `angle` on.

    Angles are in degrees, counter-clockwise from the right.
    """
    import math

    import torch

    down = (torch.arange(height) + 0.5 - height / 2)[:, None]
    across = (torch.arange(width) + 0.5 - width / 2)[None]
    turn = math.radians(angle)
    if kind == "radial":
        return ((down / (height / 2)).square() + (across / (width / 2)).square()).sqrt().clamp(max=1)
    if kind == "conic":
        return (torch.atan2(-down.expand(height, width), across.expand(height, width)) - turn) / math.tau % 1
    along = across * math.cos(turn) - down * math.sin(turn)
    # From the middle of the first pixel to that of the last: both ends are the very colours.
    reach = (width - 1) / 2 * abs(math.cos(turn)) + (height - 1) / 2 * abs(math.sin(turn))
    return (along / (2 * max(reach, 1e-6)) + 0.5).clamp(0, 1)
