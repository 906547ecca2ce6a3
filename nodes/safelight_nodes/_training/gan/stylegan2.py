"""A small StyleGAN2: a mapping network, weights that styles modulate, and a discriminator with residual blocks.

T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020: weights are scaled by the style and
brought back to one length (modulation, demodulation), noise is added at each convolution, the image is the sum of what
each level gives, and weights learn at one speed whatever their size (equalised learning rate). Left out are the
regularisation of path lengths and the filter (1, 3, 3, 1), whose place bilinear scaling takes.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from .shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

_MAPPING = 4
"""Layers of the mapping network. The paper has 8, for a million steps."""
_SLOW = 0.01
"""How fast the mapping network learns beside the rest."""
_GROUP = 4


class Linear(nn.Module):
    """With weights of a deviation of 1 that are scaled as they are used; `speed` scales how fast they learn."""

    def __init__(self, before: int, after: int, bias: float = 0.0, speed: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / speed)
        self.bias = nn.Parameter(torch.full((after,), bias / speed))
        self.scale, self.speed = speed / math.sqrt(before), speed

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.scale, self.bias * self.speed)


class Conv(nn.Module):
    """A convolution of the same kind, its side kept."""

    def __init__(self, before: int, after: int, side: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, side, side))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.scale, self.padding = 1 / math.sqrt(before * side * side), side // 2

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Modulated(nn.Module):
    """A convolution whose weights a style scales for each image, by channel; `demodulate` brings the weights of each
    output back to a length of 1."""

    def __init__(self, before: int, after: int, side: int, style: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, side, side))
        self.style = Linear(style, before, bias=1.0)
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(before * side * side), side // 2, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        # Scaling what comes in and what goes out is the same as scaling the weights, and keeps the batch together.
        scales = self.style(w)
        weight = self.weight * self.scale
        made = functional.conv2d(x * scales[:, :, None, None], weight, padding=self.padding)
        if self.demodulate:
            squares = torch.einsum("oikl,bi->bo", weight.square(), scales.square())
            made = made * (squares + 1e-8).rsqrt()[:, :, None, None]
        return made


class Styled(nn.Module):
    """A modulated convolution, noise, bias and a rectifier."""

    def __init__(self, before: int, after: int, side: int, style: int) -> None:
        super().__init__()
        self.conv = Modulated(before, after, 3, style)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, w: Tensor, source: Any) -> Tensor:
        x = self.conv(x, w)
        noise: Any = self.noise
        if source is not None:
            noise = torch.randn((len(x), 1, *x.shape[2:]), generator=source).to(x.device)
        return _rectified(x + self.strength * noise + self.bias[:, None, None])


class Level(nn.Module):
    """The image at twice the side: two styled convolutions (one at 4 pixels), and the colours that they give."""

    def __init__(self, before: int, after: int, side: int, style: int) -> None:
        super().__init__()
        self.grow = Styled(before, after, side, style) if side > 4 else None
        self.keep = Styled(after, after, side, style)
        self.colors = Modulated(after, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor, source: Any) -> tuple[Tensor, Tensor]:
        if self.grow is not None:
            x = self.grow(_twice(x), w, source)
        x = self.keep(x, w, source)
        colors = self.colors(x, w) + self.bias[:, None, None]
        return x, colors if image is None else _twice(image) + colors


class Generator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.latent
        self.named = nn.Embedding(len(shape.classes), width) if shape.classes else None
        first = width * (2 if shape.classes else 1)
        self.mapping = nn.ModuleList(
            Linear(first if number == 0 else width, width, speed=_SLOW) for number in range(_MAPPING)
        )
        sides = [4 << level for level in range(shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.start = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.levels = nn.ModuleList(
            Level(before, after, side, width)
            for before, after, side in zip([widths[0], *widths], widths, sides, strict=False)
        )
        self.register_buffer("mean", torch.zeros(width))

    def mapped(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Styles (B, latent) of random numbers, and of classes where there are any."""
        w = _unit(z)
        if self.named is not None and labels is not None:
            w = torch.cat([w, _unit(self.named(labels))], 1)
        for layer in self.mapping:
            w = _rectified(layer(w))
        return w

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        source: Any = None,
        mix: Tensor | None = None,
        mixing: float = 0.0,
    ) -> Tensor:
        """With `mix`, the part `mixing` of the images has the style of those random numbers from some level on."""
        w = self.mapped(z, labels)
        levels = len(self.levels)
        styles = w[:, None].expand(-1, levels, -1)
        if mix is not None and mixing:
            other = self.mapped(mix, labels)[:, None]
            cut = torch.randint(1, levels, (len(z), 1), generator=source)
            mixed = torch.rand((len(z), 1), generator=source) < mixing
            fine = (torch.arange(levels)[None] >= cut) & mixed
            styles = torch.where(fine[:, :, None].to(z.device), other, styles)
        return self.painted(styles, source)

    def styles(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """(B, levels, latent); below a truncation of 1 they are drawn towards the mean style."""
        w = self.mapped(z, labels)
        mean: Any = self.mean
        return mean.lerp(w, truncation)[:, None].expand(-1, len(self.levels), -1)

    def painted(self, styles: Tensor, source: Any = None) -> Tensor:
        """Images of styles (B, levels, latent). Without a source, the noise is the same each time."""
        x = self.start.expand(len(styles), -1, -1, -1)
        image = None
        for number, level in enumerate(self.levels):
            x, image = level(x, image, styles[:, number], source)
        assert image is not None
        return image

    def measure(self, z: Tensor, labels: Tensor | None) -> None:
        """Moves the mean style to what these random numbers give."""
        mean: Any = self.mean
        here = self.mapped(z, labels).mean(0)
        mean.copy_(here if not bool(mean.any()) else mean.lerp(here, 0.25))


class Down(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = Conv(before, before, 3), Conv(before, after, 3)
        self.beside = Conv(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = _rectified(self.second(_rectified(self.first(x))))
        return functional.avg_pool2d(inner + self.beside(x), 2) / math.sqrt(2)


class Discriminator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [shape.side >> level for level in range(shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.first = Conv(3, widths[0], 1)
        self.blocks = nn.ModuleList(Down(before, after) for before, after in itertools.pairwise(widths))
        self.last = Conv(widths[-1] + 1, widths[-1], 3)
        self.dense = Linear(widths[-1] * 16, widths[-1])
        self.score = Linear(widths[-1], 1)
        self.named = nn.Embedding(len(shape.classes), widths[-1]) if shape.classes else None

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = _rectified(self.first(images))
        for block in self.blocks:
            x = block(x)
        x = _rectified(self.last(torch.cat([x, _spread(x)], 1)))
        x = _rectified(self.dense(x.flatten(1)))
        found = self.score(x)[:, 0]
        if self.named is not None and labels is not None:
            found = found + (self.named(labels) * x).sum(1) / math.sqrt(x.shape[1])
        return found


def _spread(x: Tensor) -> Tensor:
    """(B, 1, H, W): how much the images of a group of four differ, which tells a generator that gives one image from a
    good one (T. Karras et al., "Progressive Growing of GANs", 2018)."""
    count = len(x)
    size = _GROUP if count % _GROUP == 0 else count
    groups = x.float().unflatten(0, (size, count // size))
    spread = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return spread.repeat(size)[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


def _rectified(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _unit(x: Tensor) -> Tensor:
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
