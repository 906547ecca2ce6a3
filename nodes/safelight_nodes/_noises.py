"""Kinds of noise: fields of random numbers, each of a mean of 0 and a deviation of 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def gaussian(shape: Sequence[int], source: torch.Generator) -> Tensor:
    import torch

    return torch.randn(tuple(shape), generator=source)


def uniform(shape: Sequence[int], source: torch.Generator) -> Tensor:
    """Every number between two bounds as likely as another; they lie at the root of 3, for a deviation of 1."""
    import torch

    return (torch.rand(tuple(shape), generator=source) * 2 - 1) * 3**0.5


def colored(power: float, shape: Sequence[int], source: torch.Generator) -> Tensor:
    """Noise whose strength goes with the frequency f as f ** power: white 0, pink -1, brownian -2, blue 1.

    Over the last two dimensions; each plane is of a mean of 0 and a deviation of 1.
    """
    import torch

    height, width = shape[-2:]
    waves = torch.fft.rfft2(torch.randn(tuple(shape), generator=source))
    across, down = torch.fft.rfftfreq(width), torch.fft.fftfreq(height)
    distance = (down[:, None] ** 2 + across[None] ** 2).sqrt()
    distance[0, 0] = 1.0
    waves = waves * distance ** (power / 2)
    waves[..., 0, 0] = 0
    return _even(torch.fft.irfft2(waves, s=(height, width)))


def perlin(shape: Sequence[int], source: torch.Generator, octaves: int = 4) -> Tensor:
    """Gradient noise (Perlin 1985, with the fade of 2002) in octaves, each of half the size and half the strength."""
    import torch

    *planes, height, width = shape
    found = torch.zeros(*planes, height, width)
    cells = 2
    for octave in range(octaves):
        angles = torch.rand(*planes, cells + 1, cells + 1, generator=source) * 2 * torch.pi
        found = found + _gradients(angles.cos(), angles.sin(), height, width) * 0.5**octave
        cells *= 2
    return _even(found)


def _gradients(east: Tensor, south: Tensor, height: int, width: int) -> Tensor:
    import torch

    cells = east.shape[-1] - 1
    y = (torch.arange(height) + 0.5) / height * cells
    x = (torch.arange(width) + 0.5) / width * cells
    row, column = y.long().clamp(max=cells - 1), x.long().clamp(max=cells - 1)
    dy, dx = (y - row)[:, None], (x - column)[None]

    def corner(down: int, right: int) -> Tensor:
        at = (..., (row + down)[:, None], (column + right)[None])
        return east[at] * (dx - right) + south[at] * (dy - down)

    def fade(place: Tensor) -> Tensor:
        return place**3 * (place * (place * 6 - 15) + 10)

    across, down = fade(dx), fade(dy)
    top = torch.lerp(corner(0, 0), corner(0, 1), across.expand(height, width))
    bottom = torch.lerp(corner(1, 0), corner(1, 1), across.expand(height, width))
    return torch.lerp(top, bottom, down.expand(height, width))


def _even(field: Tensor) -> Tensor:
    centred = field - field.mean(dim=(-2, -1), keepdim=True)
    return centred / centred.std(dim=(-2, -1), keepdim=True, correction=0).clamp_min(1e-6)


KINDS: Mapping[str, Callable[[Sequence[int], torch.Generator], Tensor]] = {
    "gaussian": gaussian,
    "uniform": uniform,
    "perlin": perlin,
    "pink": partial(colored, -1.0),
    "brownian": partial(colored, -2.0),
    "blue": partial(colored, 1.0),
}


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """From one to the other along a sphere, for each image (the first dimension) as one vector: noise stays as strong.

    Shoemake 1985. Where both point the same way, or away from each other, a straight line.
    """
    import torch

    flat = [tensor.flatten(1).double() for tensor in (first, second)]
    lengths = [tensor.norm(dim=1, keepdim=True).clamp_min(1e-12) for tensor in flat]
    cosine = (flat[0] * flat[1]).sum(dim=1, keepdim=True) / (lengths[0] * lengths[1])
    angle = cosine.clamp(-1, 1).acos()
    straight = angle.sin() < 1e-3
    sine = torch.where(straight, torch.ones_like(angle), angle.sin())
    weights = [((1 - share) * angle).sin() / sine, (share * angle).sin() / sine]
    lines = [torch.full_like(angle, 1 - share), torch.full_like(angle, share)]
    parts = [torch.where(straight, line, weight) for line, weight in zip(lines, weights, strict=True)]
    return (flat[0] * parts[0] + flat[1] * parts[1]).float().reshape(first.shape)
