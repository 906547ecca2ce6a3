"""The residual networks of I. Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, as T. Miyato et al.,
"Spectral Normalization for Generative Adversarial Networks", 2018, have them: a block a level."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn import functional

from .shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

Normal = Callable[[int], nn.Module]


class Up(nn.Module):
    """Twice as large: two convolutions beside a plain one. `norm` makes a normalisation of so many channels, which is
    called with the image and whatever else the block is."""

    def __init__(self, before: int, after: int, norm: Normal) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.beside = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, *given: Any) -> Tensor:
        # Convolving before the side is doubled gives the same, for a quarter of the work.
        beside = functional.interpolate(self.beside(x), scale_factor=2.0)
        x = functional.interpolate(functional.relu(self.norm1(x, *given)), scale_factor=2.0)
        return self.conv2(functional.relu(self.norm2(self.conv1(x), *given))) + beside


class Down(nn.Module):
    """Half as large where `halves`. The `first` block sees the image itself, which is not to be cut off below 0."""

    def __init__(self, before: int, after: int, halves: bool = True, first: bool = False) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.beside = nn.Conv2d(before, after, 1) if halves or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(x if self.first else functional.relu(x))
        inner = self.conv2(functional.relu(inner))
        if not self.halves:
            return inner + self.beside(x)
        return functional.avg_pool2d(inner, 2) + self.beside(functional.avg_pool2d(x, 2))


def started(module: Any) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Generator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [4 << level for level in range(shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.first = nn.Linear(shape.latent, widths[0] * 16)
        self.blocks = nn.ModuleList(Up(before, after, nn.BatchNorm2d) for before, after in itertools.pairwise(widths))
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[-1]), nn.ReLU(True), nn.Conv2d(widths[-1], 3, 3, padding=1), nn.Tanh()
        )
        self.apply(started)

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        del labels, source
        x = self.first(z).unflatten(1, (-1, 4, 4))
        for block in self.blocks:
            x = block(x)
        return self.last(x)


class Discriminator(nn.Module):
    """Without normalisation over a batch, so that a gradient penalty is one of each image."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [shape.side >> level for level in range(1, shape.levels + 1)]
        widths = [shape.channels(side) for side in sides]
        self.blocks = nn.Sequential(
            Down(3, widths[0], first=True),
            *(Down(before, after) for before, after in itertools.pairwise(widths)),
            Down(widths[-1], widths[-1], halves=False),
        )
        self.last = nn.Linear(widths[-1], 1)
        self.apply(started)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        del labels
        return self.last(functional.relu(self.blocks(images)).sum((2, 3)))[:, 0]
