"""Changed copies of images."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from safelight.sdk import Context
from safelight_nodes.training_values import ImageSet

from .images import weighed
from .loop import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor


def augmented(
    images: ImageSet, copies: int, flip: float, shift: float, scale: float, turn: float, seed: int, ctx: Context
) -> ImageSet:
    """The images, then their first copies, then their second ones, ... Each copy is drawn by its own number."""
    import torch

    count = len(images.entries)
    made = [images.pixels]
    total = copies * count
    for start in range(0, total, 256):
        ctx.check_cancelled()
        numbers = range(start, min(start + 256, total))
        ways: list[Tensor] = []
        for number in numbers:
            rng = numpy_generator(seed, number)
            subject = images.subjects[images.entries[number % count]["subject"]]
            mirrored = bool(subject.get("mirror")) and rng.random() < flip
            angle = math.radians(turn) * rng.uniform(-1, 1)
            size = 1 / (1 + scale * rng.uniform(-1, 1))
            moved = (2 * shift * rng.uniform(-1, 1), 2 * shift * rng.uniform(-1, 1))
            ways.append(way(angle, size, moved, mirrored))
        if images.sizes:
            made += [_alone(images, number % count, way) for number, way in zip(numbers, ways, strict=True)]
        else:
            made.append(warped(images.pixels[[number % count for number in numbers]], torch.stack(ways)))
        ctx.progress(start + len(numbers), total)
    weights = images.weights.repeat(copies + 1) / (copies + 1)
    return replace(
        images,
        pixels=torch.cat(made),
        entries=images.entries * (copies + 1),
        weights=weights,
        sizes=images.sizes * (copies + 1),
    )


def _alone(images: ImageSet, number: int, way: Tensor) -> Tensor:
    """(1, H, W, 4): a copy that stays within the size of its image."""
    import torch

    copy = warped(images.alone(number)[None], way[None])
    made = torch.zeros_like(images.pixels[:1])
    made[:, : copy.shape[1], : copy.shape[2]] = copy
    return made


def way(angle: float, size: float, moved: tuple[float, float], mirrored: bool) -> Tensor:
    """Where each point of the copy is taken from: a 2 x 3 matrix on coordinates in -1..1."""
    import torch

    cos, sin = size * math.cos(angle), size * math.sin(angle)
    side = -1.0 if mirrored else 1.0
    return torch.tensor([[side * cos, -sin, moved[0]], [side * sin, cos, moved[1]]], dtype=torch.float32)


def warped(pixels: Tensor, ways: Tensor) -> Tensor:
    """With colours weighed by alpha, so that hidden ones do not bleed into the rim."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    given = weighed(pixels)
    grid = affine_grid(ways, list(given.shape), align_corners=False)
    # Opaque images are mirrored at their rim; clear ones have nothing there.
    opaque = (pixels[..., 3] == 255).all()
    found = grid_sample(given, grid, "bicubic", "reflection" if opaque else "zeros", align_corners=False).clamp(0, 1)
    alpha = found[:, 3:]
    colour = torch.where(alpha > 1e-4, found[:, :3] / alpha.clamp(min=1e-4), 1.0).clamp(0, 1)
    return (torch.cat([colour, alpha], 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
