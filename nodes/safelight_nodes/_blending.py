"""Blend modes and compositing operators. Source: W3C Compositing and Blending Level 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color_dodge",
    "color_burn",
    "hard_light",
    "soft_light",
    "difference",
    "exclusion",
    "hue",
    "saturation",
    "color",
    "luminosity",
    "add",
    "subtract",
    "divide",
]
"""The sixteen of the W3C, and three of image editors."""

Operator = Literal[
    "over",
    "atop",
    "in",
    "out",
    "xor",
    "lighter",
    "copy",
    "clear",
    "destination",
    "destination_over",
    "destination_atop",
    "destination_in",
    "destination_out",
]
"""Porter and Duff's. Those without `destination` are of the upper image."""


def blend_colours(below: Tensor, above: Tensor, mode: Mode) -> Tensor:
    """B(Cb, Cs), section 10, of colours (..., 3) in 0..1."""
    import torch

    match mode:
        case "normal":
            return above
        case "multiply":
            return below * above
        case "screen":
            return _screen(below, above)
        case "overlay":
            return _hard_light(above, below)
        case "darken":
            return torch.minimum(below, above)
        case "lighten":
            return torch.maximum(below, above)
        case "color_dodge":
            room = 1 - above
            found = torch.where(room > 0, (below / room.where(room > 0, 1.0)).clamp(max=1), 1.0)
            return found.where(below > 0, 0.0)
        case "color_burn":
            found = torch.where(above > 0, 1 - ((1 - below) / above.where(above > 0, 1.0)).clamp(max=1), 0.0)
            return found.where(below < 1, 1.0)
        case "hard_light":
            return _hard_light(below, above)
        case "soft_light":
            curve = torch.where(below <= 0.25, ((16 * below - 12) * below + 4) * below, below.clamp(min=0).sqrt())
            dark = below - (1 - 2 * above) * below * (1 - below)
            return torch.where(above <= 0.5, dark, below + (2 * above - 1) * (curve - below))
        case "difference":
            return (below - above).abs()
        case "exclusion":
            return below + above - 2 * below * above
        case "hue":
            return _set_lum(_set_sat(above, _sat(below)), _lum(below))
        case "saturation":
            return _set_lum(_set_sat(below, _sat(above)), _lum(below))
        case "color":
            return _set_lum(above, _lum(below))
        case "luminosity":
            return _set_lum(below, _lum(above))
        case "add":
            return (below + above).clamp(max=1)
        case "subtract":
            return (below - above).clamp(min=0)
        case "divide":
            return torch.where(above > 0, (below / above.where(above > 0, 1.0)).clamp(max=1), 1.0)


def composited(below: Tensor, above: Tensor, share: Tensor, mode: Mode, operator: Operator = "over") -> Tensor:
    """Images (B, H, W, 4) of straight alpha, the upper one blended and laid over the lower one.

    `share` (B, H, W, 1) is how much of the upper one there is. Where that is nothing and the operator lets the lower
    one be, its pixels stay bit for bit.
    """
    import torch

    alpha_below, alpha_above = below[..., 3:], above[..., 3:] * share
    colours = (1 - alpha_below) * above[..., :3] + alpha_below * blend_colours(below[..., :3], above[..., :3], mode)
    part_above, part_below = _parts(operator, alpha_above, alpha_below)
    alpha = (alpha_above * part_above + alpha_below * part_below).clamp(0, 1)
    whole = alpha_above * part_above * colours + alpha_below * part_below * below[..., :3]
    made = torch.cat([(whole / alpha.where(alpha > 0, 1.0)).where(alpha > 0, below[..., :3]), alpha], dim=-1)
    kept = (alpha_above == 0) & (part_below == 1)
    return below.where(kept, made.clamp(0, 1))


def _parts(operator: Operator, above: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
    """Fa and Fb of section 9."""
    import torch

    one, none = torch.ones_like(above), torch.zeros_like(above)
    return {
        "over": lambda: (one, 1 - above),
        "atop": lambda: (below, 1 - above),
        "in": lambda: (below, none),
        "out": lambda: (1 - below, none),
        "xor": lambda: (1 - below, 1 - above),
        "lighter": lambda: (one, one),
        "copy": lambda: (one, none),
        "clear": lambda: (none, none),
        "destination": lambda: (none, one),
        "destination_over": lambda: (1 - below, one),
        "destination_atop": lambda: (1 - below, above),
        "destination_in": lambda: (none, above),
        "destination_out": lambda: (none, 1 - above),
    }[operator]()


def _screen(below: Tensor, above: Tensor) -> Tensor:
    return below + above - below * above


def _hard_light(below: Tensor, above: Tensor) -> Tensor:
    import torch

    return torch.where(above <= 0.5, below * (2 * above), _screen(below, 2 * above - 1))


def _lum(colours: Tensor) -> Tensor:
    return (colours @ colours.new_tensor([0.3, 0.59, 0.11]))[..., None]


def _sat(colours: Tensor) -> Tensor:
    return colours.amax(-1, keepdim=True) - colours.amin(-1, keepdim=True)


def _set_lum(colours: Tensor, lum: Tensor) -> Tensor:
    import torch

    moved = colours + (lum - _lum(colours))
    light, low, high = _lum(moved), moved.amin(-1, keepdim=True), moved.amax(-1, keepdim=True)
    down, up = light - low, high - light
    moved = torch.where(low < 0, light + (moved - light) * light / down.where(down > 0, 1.0), moved)
    return torch.where(high > 1, light + (moved - light) * (1 - light) / up.where(up > 0, 1.0), moved).clamp(0, 1)


def _set_sat(colours: Tensor, sat: Tensor) -> Tensor:
    low, spread = colours.amin(-1, keepdim=True), _sat(colours)
    return ((colours - low) / spread.where(spread > 0, 1.0) * sat).where(spread > 0, 0.0)
