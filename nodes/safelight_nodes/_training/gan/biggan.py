"""A small network of classes after BigGAN: residual blocks that class and random numbers normalise, self-attention, and
a discriminator that projects onto the class.

A. Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018; T. Miyato and M. Koyama,
"cGANs with Projection Discriminator", 2018; H. Zhang et al., "Self-Attention Generative Adversarial Networks", 2018.
Without classes it is a network with attention whose random numbers reach every level. Left out are orthogonal
regularisation, and what makes BigGAN big.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from .resnet import Down, Up, started
from .shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

_EMBEDDED = 64
_ATTENDS_AT = 16
"""Pixels a side of the level that attends; 8 where images have 16 or fewer."""


class Conditional(nn.Module):
    """Batch normalisation whose gain and shift come from a vector (B, condition)."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain, self.shift = nn.Linear(condition, channels), nn.Linear(condition, channels)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        return self.norm(x) * (1 + self.gain(given))[:, :, None, None] + self.shift(given)[:, :, None, None]


class Attention(nn.Module):
    """Each place looks at all, a quarter of them as keys; it begins as nothing (`strength`)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key = nn.Conv2d(channels, narrow, 1), nn.Conv2d(channels, narrow, 1)
        self.value, self.out = nn.Conv2d(channels, half, 1), nn.Conv2d(half, channels, 1)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)
        key = functional.max_pool2d(self.key(x), 2).flatten(2)
        value = functional.max_pool2d(self.value(x), 2).flatten(2)
        # No scaling by the width, as in the paper.
        looked = torch.softmax(query @ key, -1) @ value.transpose(1, 2)
        return x + self.strength * self.out(looked.transpose(1, 2).unflatten(2, x.shape[2:]))


class Generator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [4 << level for level in range(shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.named = nn.Embedding(len(shape.classes), _EMBEDDED) if shape.classes else None
        condition = shape.latent + (_EMBEDDED if shape.classes else 0)
        self.first = nn.Linear(condition, widths[0] * 16)
        self.blocks = nn.ModuleList(
            Up(before, after, lambda channels: Conditional(channels, condition))
            for before, after in itertools.pairwise(widths)
        )
        at = _attends_at(shape.side)
        self.place = sides.index(at) - 1
        self.attention = Attention(shape.channels(at))
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.ReLU(True), nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh()
        )
        self.apply(started)

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        del source
        given = z if self.named is None or labels is None else torch.cat([z, self.named(labels)], 1)
        x = self.first(given).unflatten(1, (-1, 4, 4))
        for number, block in enumerate(self.blocks):
            x = block(x, given)
            if number == self.place:
                x = self.attention(x)
        return self.last(x)


class Discriminator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [shape.side >> level for level in range(1, shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.blocks = nn.ModuleList(
            [
                Down(3, widths[0], first=True),
                *(Down(before, after) for before, after in itertools.pairwise(widths)),
                Down(widths[-1], widths[-1], halves=False),
            ]
        )
        at = _attends_at(shape.side)
        self.place = sides.index(at)
        self.attention = Attention(shape.channels(at))
        self.score = nn.Linear(widths[-1], 1)
        self.named = nn.Embedding(len(shape.classes), widths[-1]) if shape.classes else None
        self.apply(started)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = images
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number == self.place:
                x = self.attention(x)
        x = functional.relu(x).sum((2, 3))
        found = self.score(x)[:, 0]
        if self.named is not None and labels is not None:
            found = found + (self.named(labels) * x).sum(1)
        return found


def _attends_at(side: int) -> int:
    return min(_ATTENDS_AT, side // 2)
