"""StyleGAN2, configuration F, as its published weights are.

T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020: a mapping network makes a style of
random numbers, styles scale the weights of each convolution, which demodulation brings back to one length, noise is
added, and the image is the sum of what each level gives. What doubles a side is filtered by (1, 3, 3, 1). Two layouts
are read: the names of `stylegan2-ada-pytorch` (`synthesis.b8.conv0.weight`), and those of the widely used
`stylegan2-pytorch` (`convs.0.conv.weight`), whose weights are the same ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .mapping import Mapping, affine, rectified
from .tensors import Tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_SMALL = 1e-8


class Names(NamedTuple):
    """How a styled layer's tensors are called, `{conv}` before those of its convolution."""

    weight: str
    affine: str
    bias: str
    strength: str
    filter: str


NVIDIA = Names("weight", "affine", "bias", "noise_strength", "resample_filter")
ROSINALITY = Names("conv.weight", "conv.modulation", "activate.bias", "noise.weight", "conv.blur.kernel")


class StyleGAN2(nn.Module):
    """Images (B, 3, side, side) in -1..1 of styles (B, count, width), which `styles` makes of random numbers."""

    def __init__(self, given: Tensors) -> None:
        """Raises ValueError where tensors are missing or do not fit each other."""
        super().__init__()
        layout = _nvidia if "synthesis.b4.const" in given else _rosinality
        self.mapping, self.start, levels = layout(given)
        self.levels = nn.ModuleList(levels)
        self.side = 4 << (len(levels) - 1)
        self.latent, self.classes = self.mapping.latent, self.mapping.classes
        self.count = 2 * len(levels)
        """Styles that an image has: one for each convolution, and one for the last colours."""

    def styles(self, z: Tensor, labels: Tensor | None, truncation: float) -> Tensor:
        """(B, count, width); below a truncation of 1 they are drawn towards the mean style."""
        return self.mapping.truncated(z, labels, truncation)[:, None].expand(-1, self.count, -1)

    def painted(self, styles: Tensor, source: Any = None) -> Tensor:
        """Images of styles. Without a source the noise is the one that the file has."""
        x = self.start.expand(len(styles), -1, -1, -1)
        image = None
        for number, level in enumerate(self.levels):
            x, image = level(x, image, styles[:, max(0, 2 * number - 1) :], source)
        assert image is not None
        return image

    def forward(self, z: Tensor, labels: Tensor | None = None, source: Any = None) -> Tensor:
        return self.painted(self.styles(z, labels, 1.0), source)


class Level(nn.Module):
    """Twice the side (but the first): one or two styled convolutions, and the colours that they give."""

    def __init__(self, parts: list[Styled], colours: Colours, filter: Tensor | None) -> None:
        super().__init__()
        self.parts, self.colours = nn.ModuleList(parts), colours
        self.filter = None if filter is None else nn.Parameter(filter, requires_grad=False)

    def forward(self, x: Tensor, image: Tensor | None, styles: Tensor, source: Any) -> tuple[Tensor, Tensor]:
        for place, part in enumerate(self.parts):
            x = part(x, styles[:, place], source)
        colours = self.colours(x, styles[:, len(self.parts)])
        if image is not None and self.filter is not None:
            colours = colours + doubled(image, self.filter)
        return x, colours


class Styled(nn.Module):
    """A modulated convolution, noise, bias and a rectifier. With a filter (4, 4), it doubles the side."""

    noise: Tensor

    def __init__(self, given: Tensors, names: Names, weight: Tensor, noise: Tensor, filter: Tensor | None) -> None:
        super().__init__()
        after, before = weight.shape[:2]
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.affine, self.shift = affine(given.below(names.affine), before)
        self.bias, self.strength = given.take(names.bias, after), given.read(names.strength, *_scalar(given, names))
        self.strength = nn.Parameter(self.strength.reshape(()), requires_grad=False)
        self.register_buffer("noise", noise)
        self.filter = None if filter is None else nn.Parameter(filter, requires_grad=False)

    def forward(self, x: Tensor, w: Tensor, source: Any) -> Tensor:
        x = modulated(x, self.weight, functional.linear(w, self.affine, self.shift), self.filter)
        noise = self.noise
        if source is not None:
            noise = torch.randn((len(x), 1, *x.shape[2:]), generator=source).to(x)
        return rectified(x + self.strength * noise + self.bias[:, None, None])


class Colours(nn.Module):
    """Three colours of each place: a modulated convolution of one pixel, without demodulation."""

    def __init__(self, weight: Tensor, given: Tensors, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight / math.sqrt(weight.shape[1]), requires_grad=False)
        self.affine, self.shift = affine(given, weight.shape[1])
        self.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scales = functional.linear(w, self.affine, self.shift)
        return functional.conv2d(x * scales[:, :, None, None], self.weight, self.bias)


def modulated(x: Tensor, weight: Tensor, scales: Tensor, filter: Tensor | None = None) -> Tensor:
    """A convolution (O, I, k, k) of x (B, I, H, W) whose weights `scales` (B, I) scale for each image, brought back to
    a length of 1 (equations 1 and 3). With a filter that sums to 4, it gives twice the side.

    Scaling what comes in and what goes out is the same as scaling weights, and keeps the batch together. Neither the
    size of the scales nor that of the weights counts, so both are kept small enough for half precision.
    """
    weight = weight / math.sqrt(weight[0].numel())
    scales = scales / (scales.abs().amax(1, keepdim=True) + _SMALL)
    x = x * scales[:, :, None, None]
    if filter is None:
        x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
    else:
        x = filtered(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), filter)
    squares = torch.einsum("oikl,bi->bo", weight.float().square(), scales.float().square())
    return x * (squares + _SMALL).rsqrt().to(x.dtype)[:, :, None, None]


def filtered(x: Tensor, filter: Tensor) -> Tensor:
    """(B, C, H - 1, W - 1): each channel filtered by (4, 4)."""
    kernel = filter.flip(0, 1).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return functional.conv2d(x, kernel, padding=1, groups=x.shape[1])


def doubled(x: Tensor, filter: Tensor) -> Tensor:
    """Twice the side: zeros between the pixels, filtered by (4, 4) that sum to 4."""
    kernel = filter.to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return functional.conv_transpose2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def _scalar(given: Tensors, names: Names) -> tuple[int, ...]:
    """A strength is kept as a number, or as a row of one."""
    return (1,) * min(1, len(given.shape(names.strength)))


def _nvidia(given: Tensors) -> tuple[Mapping, nn.Parameter, list[Level]]:
    mapping = Mapping.nvidia(given.below("mapping"))
    inner = given.below("synthesis")
    width = inner.shape("b4.const")[0]
    start = nn.Parameter(inner.read("b4.const", width, 4, 4)[None], requires_grad=False)
    levels: list[Level] = []
    for part, side in _levels(inner):
        parts: list[Styled] = []
        for name in ("conv0", "conv1") if side > 4 else ("conv1",):
            one = part.below(name)
            weight = one.read("weight", None, width, 3, 3)
            # The filter sums to 1, and a side that is doubled needs four times as much.
            filter = 4 * one.read(NVIDIA.filter, 4, 4) if name == "conv0" else None
            parts.append(Styled(one, NVIDIA, weight, one.read("noise_const", side, side), filter))
            width = len(weight)
        colours = part.below("torgb")
        made = Colours(colours.read("weight", 3, width, 1, 1), colours.below("affine"), colours.read("bias", 3))
        levels.append(Level(parts, made, 4 * part.read(NVIDIA.filter, 4, 4) if side > 4 else None))
    return mapping, start, levels


def _levels(given: Tensors) -> Iterator[tuple[Tensors, int]]:
    side = 4
    while f"b{side}.conv1.weight" in given:
        yield given.below(f"b{side}"), side
        side *= 2


def _rosinality(given: Tensors) -> tuple[Mapping, nn.Parameter, list[Level]]:
    mapping = Mapping.rosinality(given)
    width = given.shape("input.input")[1]
    start = given.take("input.input", 1, width, 4, 4)

    def styled(part: Tensors, number: int, side: int, twice: bool) -> Styled:
        weight = part.read(ROSINALITY.weight, 1, None, width, 3, 3)[0]
        filter = part.read(ROSINALITY.filter, 4, 4) if twice else None
        return Styled(part, ROSINALITY, weight, _noise(given, number, side, weight), filter)

    def colours(part: Tensors) -> Colours:
        weight = part.read("conv.weight", 1, 3, width, 1, 1)[0]
        return Colours(weight, part.below("conv.modulation"), part.read("bias", 1, 3, 1, 1).flatten())

    first = styled(given.below("conv1"), 0, 4, False)
    width = len(first.weight)
    levels = [Level([first], colours(given.below("to_rgb1")), None)]
    convs = [part for _, part in given.below("convs").numbered()]
    for number, part in given.below("to_rgbs").numbered():
        side = 8 << number
        if len(convs) < 2 * number + 2:
            raise ValueError(f"convs.{2 * number + 1} is missing")
        grow = styled(convs[2 * number], 2 * number + 1, side, True)
        width = len(grow.weight)
        keep = styled(convs[2 * number + 1], 2 * number + 2, side, False)
        width = len(keep.weight)
        levels.append(Level([grow, keep], colours(part), part.read("upsample.kernel", 4, 4)))
    return mapping, start, levels


def _noise(given: Tensors, number: int, side: int, like: Tensor) -> Tensor:
    """The noise of a layer. Early files have none, so theirs is drawn, the same each time."""
    name = f"noises.noise_{number}"
    if name in given:
        return given.read(name, 1, 1, side, side)[0, 0]
    return torch.randn((side, side), generator=torch.Generator().manual_seed(number)).to(like)
