"""StyleGAN3, configurations T and R, as its published weights are.

T. Karras et al., "Alias-Free Generative Adversarial Networks", 2021: the input is a map of waves (Fourier features)
that the style moves and turns, and every nonlinearity works on a map that is filtered to more pixels before it and
filtered back after it, so that nothing in the image is tied to the pixels. Names are those of `stylegan3`
(`synthesis.L0_36_512.weight`); the filters are kept in the file, and sizes are told by the names of the layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .mapping import Mapping, affine
from .tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor

_MARGIN = 10
"""Pixels around the image in all layers but the last two."""
_CUTOFF = 2.0
"""The highest frequency of the waves, in their number over the image."""
_FINER = 2
"""How many times more pixels a nonlinearity works on than the finer of its two sides."""
_SCALE = 0.25
"""The image is that much of what the last layer gives."""
_CLAMP = 256.0
_GAIN = math.sqrt(2)
"""What a rectifier is scaled by, so that the size of what comes in is kept."""
_SMALL = 1e-8
_NAME = re.compile(r"synthesis\.(L(\d+)_(\d+)_(\d+))\.weight")


class Place(NamedTuple):
    """A layer: its name, and the side and channels of what it gives."""

    name: str
    side: int
    channels: int


class StyleGAN3(nn.Module):
    """Images (B, 3, side, side) in -1..1 of styles (B, count, width), which `styles` makes of random numbers."""

    def __init__(self, given: Tensors) -> None:
        """Raises ValueError where tensors are missing or do not fit each other."""
        super().__init__()
        self.mapping = Mapping.nvidia(given.below("mapping"))
        places = list(_places(given))
        if len(places) < 3:
            raise ValueError("its layers are missing, or not counted without a gap")
        self.side = places[-1].side
        self.latent, self.classes = self.mapping.latent, self.mapping.classes
        self.count = len(places) + 1
        inner = given.below("synthesis")
        # The first layer keeps the side and the rate of the waves.
        rates = [_rate(place.side) for place in places[:-2]] + [self.side, self.side]
        self.input = Waves(inner.below("input"), places[0].side, rates[0])
        channels, side, rate = self.input.channels, places[0].side, rates[0]
        layers: list[Layer] = []
        for place, after in zip(places, rates, strict=True):
            part = inner.below(place.name)
            layers.append(Layer(part, channels, place, (side, rate), after, place is places[-1]))
            channels, side, rate = place.channels, place.side, after
        self.layers = nn.ModuleList(layers)

    def styles(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """(B, count, width); below a truncation of 1 they are drawn towards the mean style."""
        return self.mapping.truncated(z, labels, truncation)[:, None].expand(-1, self.count, -1)

    def painted(self, styles: Tensor, source: Any = None) -> Tensor:
        """Images of styles. There is no noise in them."""
        del source
        x = self.input(styles[:, 0])
        for number, layer in enumerate(self.layers):
            x = layer(x, styles[:, number + 1])
        return x * _SCALE

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        return self.painted(self.styles(z, labels, 1.0), source)


class Waves(nn.Module):
    """The input: a map (B, C, side, side) of C waves, which the style turns and moves as a whole."""

    transform: Tensor
    frequencies: Tensor
    phases: Tensor

    def __init__(self, given: Tensors, side: int, rate: int) -> None:
        super().__init__()
        self.side, self.rate = side, rate
        self.channels = given.shape("freqs")[0]
        self.weight = given.take("weight", self.channels, self.channels)
        self.affine, self.shift = affine(given.below("affine"), 4)
        self.register_buffer("transform", given.read("transform", 3, 3).float())
        self.register_buffer("frequencies", given.read("freqs", self.channels, 2).float())
        self.register_buffer("phases", given.read("phases", self.channels).float())

    def forward(self, w: Tensor) -> Tensor:
        # Angles are computed in single precision: half would leave little of them.
        turn = functional.linear(w, self.affine, self.shift).float()
        turn = turn / turn[:, :2].norm(dim=1, keepdim=True)
        cosine, sine, right, down = turn.unbind(1)
        none, one = torch.zeros_like(cosine), torch.ones_like(cosine)
        turned = torch.stack([cosine, -sine, none, sine, cosine, none, none, none, one], 1).unflatten(1, (3, 3))
        moved = torch.stack([one, none, -right, none, one, -down, none, none, one], 1).unflatten(1, (3, 3))
        matrix = turned @ moved @ self.transform
        phases = self.phases + (self.frequencies @ matrix[:, :2, 2:]).squeeze(2)
        frequencies = self.frequencies @ matrix[:, :2, :2]
        # Waves that turning and scaling make too fine for the map fade out.
        faded = (frequencies.norm(dim=2) - _CUTOFF) / (self.rate / 2 - _CUTOFF)
        places = (torch.arange(self.side, device=w.device) + 0.5 - self.side / 2) / self.rate
        angles = (
            frequencies[:, None, None, :, 0] * places[None, None, :, None]
            + frequencies[:, None, None, :, 1] * places[None, :, None, None]
            + phases[:, None, None]
        )
        waves = (2 * math.pi * angles).sin() * (1 - faded).clamp(0, 1)[:, None, None]
        return functional.linear(waves.to(w.dtype), self.weight / math.sqrt(self.channels)).movedim(-1, 1)


class Layer(nn.Module):
    """A modulated convolution and a filtered nonlinearity, from a map of one side and rate to another one."""

    def __init__(
        self, given: Tensors, before: int, place: Place, given_at: tuple[int, int], rate: int, last: bool
    ) -> None:
        super().__init__()
        self.weight = given.take("weight", place.channels, before, None, None)
        self.bias = given.take("bias", place.channels)
        self.affine, self.shift = affine(given.below("affine"), before)
        self.size = given.take("magnitude_ema")
        side, rate_before = given_at
        self.last, self.kernel = last, self.weight.shape[-1]
        finest = max(rate_before, rate) * (1 if last else _FINER)
        self.up, self.down = finest // rate_before, finest // rate
        self.finer = _filter(given, "up_filter", self.up)
        self.coarser = _filter(given, "down_filter", self.down)
        taps = sum(1 if filter is None else filter.shape[-1] for filter in (self.finer, self.coarser))
        # The map is wider than what it has to give: both ends lose the same, half a pixel aside.
        wide = (side + self.kernel - 1) * self.up
        pad = (place.side - 1) * self.down + 1 - wide + taps - 2
        self.before = (pad + self.up) // 2
        self.after = pad - self.before

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scales = functional.linear(w, self.affine, self.shift)
        weight = self.weight / math.sqrt(self.weight[0].numel())
        if not self.last:
            # Of no account, as each output is brought back to one length; half precision needs it.
            scales = scales / (scales.abs().amax(1, keepdim=True) + _SMALL)
        made = functional.conv2d(x * scales[:, :, None, None], weight, padding=self.kernel - 1)
        gain = self.size.float().rsqrt()
        if not self.last:
            squares = torch.einsum("oikl,bi->bo", weight.float().square(), scales.float().square())
            gain = gain * (squares + _SMALL).rsqrt()[:, :, None, None]
        x = made * gain.to(made.dtype) + self.bias[:, None, None]
        x = upsampled(x, self.finer, self.up, self.before, self.after)
        if self.last:
            return x.clamp(-_CLAMP, _CLAMP)
        # A map of many pixels: what the rectifier is scaled by is in the filter behind it.
        x = functional.leaky_relu(x, 0.2, inplace=True).clamp(-_CLAMP / _GAIN, _CLAMP / _GAIN)
        return downsampled(x, self.coarser, self.down, _GAIN)


def upsampled(x: Tensor, filter: Tensor | None, up: int, before: int, after: int) -> Tensor:
    """`up` times the side, zeros between the pixels, `before` and `after` more of them around (fewer where they are
    below 0), filtered along both axes by a filter (taps)."""
    if filter is None:
        return functional.pad(x, (before, after, before, after))
    taps, channels = len(filter), x.shape[1]
    kernel = (filter * up).to(x.dtype).expand(channels, 1, 1, -1)
    for axis, turn in ((3, kernel), (2, kernel.transpose(2, 3))):
        side = x.shape[axis]
        stride = (1, up) if axis == 3 else (up, 1)
        x = functional.conv_transpose2d(x, turn, stride=stride, groups=channels)
        # The whole of it begins `taps - 1` zeros before the first pixel.
        first = taps - 1 - before
        last = first + side * up + before + after - taps + 1
        edges = [0, 0, 0, 0]
        edges[0 if axis == 3 else 2], edges[1 if axis == 3 else 3] = -first, last - x.shape[axis]
        x = functional.pad(x, edges)
    return x


def downsampled(x: Tensor, filter: Tensor | None, down: int, gain: float) -> Tensor:
    """Each `down`-th pixel of x, filtered by (taps) along both axes or by (taps, taps), times `gain`."""
    if filter is None:
        return x[:, :, ::down, ::down] * gain
    channels = x.shape[1]
    filter = filter * (gain if filter.dim() == 2 else math.sqrt(gain))
    if filter.dim() == 2:
        return functional.conv2d(
            x, filter.flip(0, 1).to(x.dtype).expand(channels, 1, -1, -1), None, down, 0, 1, channels
        )
    kernel = filter.flip(0).to(x.dtype).expand(channels, 1, 1, -1)
    x = functional.conv2d(x, kernel, None, (1, down), 0, 1, channels)
    return functional.conv2d(x, kernel.transpose(2, 3), None, (down, 1), 0, 1, channels)


def _filter(given: Tensors, name: str, times: int) -> nn.Parameter | None:
    """None where the number of pixels stays. Raises ValueError where it does not and there is no filter for it."""
    if times == 1 and name not in given:
        return None
    return given.take(name, *([None] * len(given.shape(name))))


def _places(given: Tensors) -> Iterator[Place]:
    """The layers in their order, as far as they are counted."""
    found = {int(match[2]): Place(match[1], int(match[3]), int(match[4])) for match in given.matching(_NAME)}
    for number in range(len(found)):
        if number in found:
            yield found[number]


def _rate(side: int) -> int:
    """Pixels over the image of a map with a margin.

    Raises:
        ValueError: it is no power of two.
    """
    rate = side - 2 * _MARGIN
    if rate < 4 or rate & (rate - 1):
        raise ValueError(f"a layer gives {side} pixels, which is no power of two with a margin of {_MARGIN}")
    return rate
