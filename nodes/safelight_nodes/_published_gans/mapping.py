"""The mapping network of StyleGAN2 and 3: random numbers, and a class where there are any, to a style.

T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020. Weights are kept larger than they are
used, so that they learn slowly (equalised learning rate).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from .tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor

_SLOW = 0.01
_COUNTED = 4096


class Mapping(nn.Module):
    """Styles (B, width) of random numbers (B, latent)."""

    mean: Tensor | None

    def __init__(self, layers: list[Tensors], named: Tensors | None, mean: Tensor | None) -> None:
        super().__init__()
        if not layers:
            raise ValueError("its mapping network has no layers")
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for part in layers:
            before = self.weights[-1].shape[0] if len(self.weights) else None
            weight = part.read("weight", None, before)
            self.weights.append(nn.Parameter(weight * (_SLOW / math.sqrt(weight.shape[1])), requires_grad=False))
            self.biases.append(nn.Parameter(part.read("bias", len(weight)) * _SLOW, requires_grad=False))
        self.named = self.named_bias = None
        self.latent, self.classes = self.weights[0].shape[1], 0
        if named is not None:
            weight = named.read("weight", None, None)
            self.named = nn.Parameter(weight / math.sqrt(weight.shape[1]), requires_grad=False)
            self.named_bias = named.take("bias", len(weight))
            self.latent, self.classes = self.latent - len(weight), weight.shape[1]
        if mean is not None and mean.shape != (self.weights[-1].shape[0],):
            raise ValueError(f"its mean style is {tuple(mean.shape)}")
        self.register_buffer("mean", mean)

    @classmethod
    def nvidia(cls, given: Tensors) -> Mapping:
        """Of the names `fc0.weight`, `embed.weight`, `w_avg`."""
        layers = [part for _, part in given.numbered("fc")]
        named = given.below("embed") if "embed.weight" in given else None
        return cls(layers, named, given.read("w_avg", None))

    @classmethod
    def rosinality(cls, given: Tensors) -> Mapping:
        """Of the names `style.1.weight`; `latent_avg` is there or not."""
        layers = [part for _, part in given.below("style").numbered()]
        return cls(layers, None, given.read("latent_avg", None) if "latent_avg" in given else None)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = unit(z.float()).to(self.weights[0].dtype)
        if self.named is not None and self.named_bias is not None:
            if labels is None:
                labels = torch.zeros(len(z), dtype=torch.long, device=z.device)
            x = torch.cat([x, unit((self.named.T[labels] + self.named_bias).float()).to(x.dtype)], 1)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            x = rectified(functional.linear(x, weight, bias))
        return x

    def truncated(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """Below 1, drawn towards the mean style, which is measured where the file has none."""
        w = self(z, labels)
        if truncation == 1:
            return w
        mean = self.mean
        if mean is None:
            source = torch.Generator().manual_seed(0)
            many = torch.randn((_COUNTED, self.latent), generator=source).to(z.device)
            with torch.no_grad():
                mean = self.mean = self(many).float().mean(0).to(w.dtype)
        return mean.lerp(w, truncation)


def affine(given: Tensors, after: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight and bias of what makes the scales of `after` channels of a style."""
    weight = given.read("weight", after, None)
    return nn.Parameter(weight / math.sqrt(weight.shape[1]), requires_grad=False), given.take("bias", after)


def rectified(x: Tensor) -> Tensor:
    """A leaky rectifier that keeps the size of what comes in."""
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


def unit(x: Tensor) -> Tensor:
    """Rows whose mean square is 1."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
