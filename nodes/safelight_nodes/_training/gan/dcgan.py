"""DCGAN: transposed convolutions with batch normalisation from 4 pixels up, and the same way back down.

A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep Convolutional GANs", 2015. Names and
order of the tensors are those of the implementation that most published weights come from, `main.N.weight`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from torch import nn

from .shapes import Norm, Shape

if TYPE_CHECKING:
    from torch import Tensor


def _started(module: Any) -> None:
    """Weights as the paper draws them: of a deviation of 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sides = [4 << level for level in range(shape.levels)]
        # The last level of the paper has no block of its own: the image comes right out of the transposed convolution.
        widths = [min(shape.widest, shape.width * (shape.side // 2 // side)) for side in sides]
        parts: list[nn.Module] = [nn.ConvTranspose2d(shape.latent, widths[0], 4, 1, 0, bias=False)]
        for before, after in zip(widths, [*widths[1:], 3], strict=True):
            parts += [nn.BatchNorm2d(before), nn.ReLU(True), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        self.main = nn.Sequential(*parts, nn.Tanh())
        self.apply(_started)

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        del labels, source
        return self.main(z[:, :, None, None])


class Discriminator(nn.Module):
    def __init__(self, shape: Shape, norm: Norm) -> None:
        super().__init__()
        widths = [min(shape.widest, shape.width << level) for level in range(shape.levels)]
        parts: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
        for before, after in itertools.pairwise(widths):
            # A normalisation by itself shifts; without one the convolution must.
            parts.append(nn.Conv2d(before, after, 4, 2, 1, bias=norm == "none"))
            if norm == "batch":
                parts.append(nn.BatchNorm2d(after))
            elif norm == "group":
                # Over a whole image, as a gradient penalty needs it: in a batch, images would hang on one another.
                parts.append(nn.GroupNorm(1, after))
            parts.append(nn.LeakyReLU(0.2, True))
        self.main = nn.Sequential(*parts, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))
        self.apply(_started)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        del labels
        return self.main(images).flatten()
