"""Colour spaces, and changes of colours that leave the opacity alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def recoloured(pixels: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Images (B, H, W, 3 or 4) with `change` done to their colours (B, H, W, 3), clipped to 0..1."""
    import torch

    colours = change(pixels[..., :3]).clamp(0, 1)
    return colours if pixels.shape[-1] == 3 else torch.cat([colours, pixels[..., 3:]], dim=-1)


def mixed(before: Tensor, after: Tensor, strength: float) -> Tensor:
    """Some of a change; both ends are exact."""
    return after if strength == 1 else before if strength == 0 else before + (after - before) * strength


def to_linear(colours: Tensor) -> Tensor:
    """sRGB in 0..1 as light, in 0..1. Source: IEC 61966-2-1."""
    return (colours / 12.92).where(colours <= 0.04045, ((colours.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """Light as sRGB, in 0..1: white and what is brighter is 1, exactly."""
    bright = 1.055 * light.clamp(min=0) ** (1 / 2.4) - 0.055
    return (light * 12.92).where(light <= 0.0031308, bright).where(light < 1, 1.0)


def to_hsl(colours: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns (0..1), saturation and lightness, each (..., ), of sRGB (..., 3) in 0..1."""
    import torch

    high, low = colours.amax(-1), colours.amin(-1)
    spread, lightness = high - low, (high + low) / 2
    safe = spread.where(spread > 0, 1.0)
    red, green, blue = colours.unbind(-1)
    hue = ((red - green) / safe + 4).where(high == blue, 0.0)
    hue = ((blue - red) / safe + 2).where(high == green, hue)
    hue = ((green - blue) / safe).where(high == red, hue)
    room = 1 - (2 * lightness - 1).abs()
    saturation = (spread / room.where(room > 0, 1.0)).where(room > 1e-6, torch.zeros_like(spread))
    return (hue / 6).where(spread > 0, 0.0) % 1, saturation.clamp(0, 1), lightness


def from_hsl(hue: Tensor, saturation: Tensor, lightness: Tensor) -> Tensor:
    """sRGB (..., 3) of hue in turns, saturation and lightness in 0..1. Source: CSS Color Module 4, section 7.1."""
    import torch

    reach = saturation * torch.minimum(lightness, 1 - lightness)
    shares: list[Tensor] = []
    for number in (0, 8, 4):
        place = (number + hue * 12) % 12
        shares.append(lightness - reach * torch.minimum(place - 3, 9 - place).clamp(-1, 1))
    return torch.stack(shares, dim=-1)


def each_recoloured(pixels: Tensor, change: Callable[[Any], Any]) -> Tensor:
    """Images with `change` done to the colours of each, a numpy array (H, W, 3) of float32."""
    import numpy
    import torch

    def changed(colours: Tensor) -> Tensor:
        made = [change(numpy.ascontiguousarray(one.numpy())) for one in colours]
        return torch.stack([torch.from_numpy(numpy.asarray(one, dtype=numpy.float32)) for one in made])

    return recoloured(pixels, changed)
