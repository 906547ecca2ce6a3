"""Frames of videos in as few bytes as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def as_frames(pixels: Tensor, *, exact: bool = True) -> Tensor:
    """(N, H, W, C) float32 in 0..1 as uint8. Where that is not `exact` for every frame, and shall be, as they are."""
    import torch

    narrow = torch.empty(pixels.shape, dtype=torch.uint8)
    for number, frame in enumerate(pixels):
        narrow[number] = (frame.clamp(0, 1) * 255).round()
        if exact and not torch.equal(narrow[number] / 255, frame):
            return pixels
    return narrow
