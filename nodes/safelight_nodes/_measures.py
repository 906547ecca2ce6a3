"""What images look like, in numbers and in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def measured(pixels: Tensor, by: str) -> Tensor:
    """(B) of images (B, H, W, C): `brightness`, `contrast`, `sharpness`, `saturation` or `hue` (in turns)."""
    import torch
    from torch.nn.functional import conv2d, pad

    from ._colours import to_hsl
    from ._pixels import brightness, flattened

    colours = flattened(pixels, 1.0)
    light = brightness(colours)
    if by == "brightness":
        return light.mean(dim=(1, 2))
    if by == "contrast":
        return light.std(dim=(1, 2), correction=0)
    if by == "sharpness":
        kernel = torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]])
        return conv2d(pad(light[:, None], (1, 1, 1, 1), mode="replicate"), kernel).flatten(1).var(dim=1, correction=0)
    hue, saturation, lightness = to_hsl(colours)
    if by == "saturation":
        return saturation.mean(dim=(1, 2))
    # A mean of angles; what is grey has none.
    weight = saturation * (1 - (2 * lightness - 1).abs())
    turn = hue * 2 * torch.pi
    return torch.atan2((turn.sin() * weight).sum(dim=(1, 2)), (turn.cos() * weight).sum(dim=(1, 2))) / 2 / torch.pi % 1


def noise_of(colours: Tensor) -> float:
    """Standard deviation of the noise in an image (H, W, 3), 0..1. Source: Immerkaer 1996."""
    import torch
    from torch.nn.functional import conv2d

    kernel = torch.tensor([[[[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]]])
    if min(colours.shape[:2]) < 3:
        return 0.0
    return float(conv2d(colours.movedim(-1, 0)[:, None], kernel).abs().mean()) * (torch.pi / 2) ** 0.5 / 6


def heat(share: Tensor) -> Tensor:
    """(..., 3) of (...) in 0..1: from dark blue by green and yellow to red."""
    import torch

    stops = torch.tensor([[0.05, 0.03, 0.3], [0.0, 0.45, 0.75], [0.2, 0.75, 0.35], [0.98, 0.85, 0.2], [0.85, 0.1, 0.1]])
    place = share.clamp(0, 1) * (len(stops) - 1)
    below = place.floor().long().clamp(max=len(stops) - 2)
    return torch.lerp(stops[below], stops[below + 1], (place - below)[..., None])
