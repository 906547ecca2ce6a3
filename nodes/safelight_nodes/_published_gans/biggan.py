"""BigGAN-deep as its published weights are: residual blocks with bottlenecks, one of two doubling the side.

A. Brock, J. Donahue, K. Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018, appendix
B. Names are those of the package `pytorch-pretrained-biggan`, which holds DeepMind's weights for 128, 256 and 512
pixels. Spectral normalisation is folded into the weights as they are read, and the statistics of batch normalisation
are those of the truncation that is asked for, of which the file has many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from .tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor

_EPSILON = 1e-4
_NARROWER = 4
"""How much narrower a block is inside."""


class BigGAN(nn.Module):
    """Images (B, 3, side, side) in -1..1 of random numbers (B, latent) and classes (B).

    Its random numbers are drawn from a normal distribution that is cut at 2, and scaled by the truncation, which
    `truncate` is told before.
    """

    scaled = True

    def __init__(self, given: Tensors, config: Mapping[str, Any]) -> None:
        """`config` is the `config.json` of the package, or nothing: then every second block doubles the side, as in
        the three that are published.

        Raises:
            ValueError: tensors are missing or do not fit each other, or the configuration.
        """
        super().__init__()
        epsilon = float(config.get("eps", _EPSILON))
        self.embedded = given.take("embeddings.weight", None, None)
        self.latent, self.classes = self.embedded.shape
        if config.get("z_dim", self.latent) != self.latent:
            raise ValueError(f"its random numbers are {self.latent}, and {config['z_dim']} by its configuration")
        inner = given.below("generator")
        condition = 2 * self.latent
        self.first, self.first_bias = folded(inner.below("gen_z"), None, condition), inner.take("gen_z.bias", None)
        width = len(self.first_bias) // 16
        if width * 16 != len(self.first_bias):
            raise ValueError("its first layer makes no maps of 4 x 4")
        doubles = _doubles(config)
        parts: list[nn.Module] = []
        blocks = 0
        for _, part in inner.below("layers").numbered():
            if "snconv1x1_theta.weight_orig" in part or "snconv1x1_theta.weight" in part:
                parts.append(Attention(part, width))
                continue
            twice = blocks % 2 == 1 if doubles is None else blocks < len(doubles) and doubles[blocks]
            made = Block(part, width, condition, twice, epsilon)
            parts.append(made)
            width, blocks = made.after, blocks + 1
        if doubles is not None and blocks != len(doubles):
            raise ValueError(f"it has {blocks} blocks, and {len(doubles)} by its configuration")
        self.layers = nn.ModuleList(parts)
        self.norm = Normal(inner.below("bn"), width, 0, epsilon)
        # Of as many channels as its last layer has, three are colours.
        self.colours = nn.Parameter(folded(inner.below("conv_to_rgb"), None, width, 3, 3)[:3], requires_grad=False)
        self.shift = nn.Parameter(inner.read("conv_to_rgb.bias", None)[:3], requires_grad=False)
        self.side = 4 << sum(isinstance(part, Block) and part.twice for part in parts)
        self.truncate(1.0)

    def truncate(self, truncation: float) -> None:
        """Chooses the statistics that were measured for a truncation, between two of them where it lies there."""
        for module in self.modules():
            if isinstance(module, Normal):
                module.truncate(truncation)

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        del source
        if labels is None:
            labels = torch.zeros(len(z), dtype=torch.long, device=z.device)
        given = torch.cat([z.to(self.embedded.dtype), self.embedded.T[labels]], 1)
        # The channels come last where the first layer is spread over the map, as TensorFlow has them.
        x = functional.linear(given, self.first, self.first_bias).unflatten(1, (4, 4, -1)).movedim(-1, 1).contiguous()
        for layer in self.layers:
            x = layer(x, given)
        x = functional.relu(self.norm(x, given))
        return torch.tanh(functional.conv2d(x, self.colours, self.shift, padding=1))


class Normal(nn.Module):
    """Batch normalisation by measured statistics; gain and shift come from the condition, or, where that is of length
    0, are fixed."""

    mean: Tensor
    scale: Tensor

    def __init__(self, given: Tensors, channels: int, condition: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.means = given.take("running_means", None, channels)
        self.variances = given.take("running_vars", len(self.means), channels)
        if not bool(self.variances.isfinite().all()):
            raise ValueError("its statistics leave the range of this precision; choose float32 or bfloat16")
        self.gain = self.shift = self.weight = self.bias = None
        if condition:
            self.gain = folded(given.below("scale"), channels, condition)
            self.shift = folded(given.below("offset"), channels, condition)
        else:
            self.weight, self.bias = given.take("weight", channels), given.take("bias", channels)
        self.register_buffer("mean", self.means[-1].detach().clone(), persistent=False)
        self.register_buffer("scale", torch.ones_like(self.mean), persistent=False)

    def truncate(self, truncation: float) -> None:
        last = len(self.means) - 1
        place = round(min(max(truncation, 0.0), 1.0) * last, 6)
        low = int(place)
        high = min(low + 1, last)
        self.mean = self.means[low].float().lerp(self.means[high].float(), place - low)
        variance = self.variances[low].float().lerp(self.variances[high].float(), place - low)
        self.scale = (variance + self.epsilon).rsqrt()

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        if self.gain is not None and self.shift is not None:
            gain, shift = 1 + functional.linear(given, self.gain), functional.linear(given, self.shift)
        else:
            assert self.weight is not None
            assert self.bias is not None
            gain, shift = self.weight[None], self.bias[None]
        # In single precision: a mean may be far larger than what is left of it.
        scale = self.scale * gain.float()
        shift = shift.float() - self.mean * scale
        return (x.float() * scale[:, :, None, None] + shift[:, :, None, None]).to(x.dtype)


class Block(nn.Module):
    """Four convolutions, the inner ones a quarter as wide. Where a block is to be narrower than what comes in, the way
    around it leaves the last channels out."""

    def __init__(self, given: Tensors, before: int, condition: int, twice: bool, epsilon: float) -> None:
        super().__init__()
        self.twice = twice
        inner = before // _NARROWER
        self.after = given.shape("conv_3.bias")[0]
        if self.after > before:
            raise ValueError("a block is wider than what comes in")
        widths = [(before, inner, 1), (inner, inner, 3), (inner, inner, 3), (inner, self.after, 1)]
        self.norms = nn.ModuleList(
            Normal(given.below(f"bn_{place}"), width, condition, epsilon) for place, (width, _, _) in enumerate(widths)
        )
        self.weights = nn.ParameterList(
            folded(given.below(f"conv_{place}"), after, width, side, side)
            for place, (width, after, side) in enumerate(widths)
        )
        self.biases = nn.ParameterList(
            given.take(f"conv_{place}.bias", after) for place, (_, after, _) in enumerate(widths)
        )

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        around = x[:, : self.after]
        for place, (norm, weight, bias) in enumerate(zip(self.norms, self.weights, self.biases, strict=True)):
            x = functional.relu(norm(x, given))
            if place == 1 and self.twice:
                x = _doubled(x)
            x = functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        return x + (_doubled(around) if self.twice else around)


class Attention(nn.Module):
    """Each place looks at all, a quarter of them as keys (H. Zhang et al., "Self-Attention Generative Adversarial
    Networks", 2018), without scaling by the width."""

    def __init__(self, given: Tensors, channels: int) -> None:
        super().__init__()
        narrow, half = channels // 8, channels // 2
        self.query = folded(given.below("snconv1x1_theta"), narrow, channels, 1, 1)
        self.key = folded(given.below("snconv1x1_phi"), narrow, channels, 1, 1)
        self.value = folded(given.below("snconv1x1_g"), half, channels, 1, 1)
        self.out = folded(given.below("snconv1x1_o_conv"), channels, half, 1, 1)
        self.strength = given.take("gamma", 1)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        del given
        query = functional.conv2d(x, self.query).flatten(2).transpose(1, 2)
        key = functional.max_pool2d(functional.conv2d(x, self.key), 2).flatten(2).transpose(1, 2)
        value = functional.max_pool2d(functional.conv2d(x, self.value), 2).flatten(2).transpose(1, 2)
        looked = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.strength * functional.conv2d(looked.transpose(1, 2).unflatten(2, x.shape[2:]), self.out)


def folded(given: Tensors, *shape: int | None) -> nn.Parameter:
    """The weight of a layer, divided by its largest singular value where it is kept with the vectors that tell it
    (T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018).

    Raises:
        ValueError: as `Tensors.take`.
    """
    if "weight_orig" not in given:
        return given.take("weight", *shape)
    weight = given.read("weight_orig", *shape)
    rows = weight.float().flatten(1)
    left = given.read("weight_u", len(rows)).float()
    # Files of early versions of torch have one of the two vectors; the other follows from it.
    if "weight_v" in given:
        right = given.read("weight_v", rows.shape[1]).float()
    else:
        right = functional.normalize(rows.T @ left, dim=0, eps=1e-12)
    return nn.Parameter((weight.float() / (left @ rows @ right)).to(weight.dtype), requires_grad=False)


def _doubles(config: Mapping[str, Any]) -> list[bool] | None:
    """Which blocks double the side, as a configuration says it; None where it does not."""
    layers = config.get("layers")
    if layers is None:
        return None
    if not isinstance(layers, list) or not all(isinstance(one, list) and len(one) == 3 for one in layers):
        raise ValueError("its configuration does not list its layers as [doubles, before, after]")
    return [bool(one[0]) for one in layers]


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
