"""The networks, as spandrel has them, so that every program that reads upscalers reads what is learned.

`compact`: convolutions at the small size, the last of which gives all pixels of the large one (X. Wang et al.,
"Real-ESRGAN", 2021, https://arxiv.org/abs/2107.10833, their SRVGGNetCompact). `rrdb`: residual blocks of dense ones
(X. Wang et al., "ESRGAN", 2018, https://arxiv.org/abs/1809.00219); better for its number of weights, and many times
slower. Both take and give images (B, 3, H, W) in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

KIND = "upscaler"
Network = Literal["compact", "rrdb"]


@dataclass(frozen=True)
class Shape:
    """`width` are the channels of a layer; `blocks` convolutions (compact) or blocks of fifteen (rrdb)."""

    network: Network
    scale: int
    width: int
    blocks: int


def fresh(shape: Shape, seed: int) -> Any:
    """A new network that makes images `shape.scale` times larger, a power of two."""
    import torch
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if shape.network == "compact":
            made: Any = Compact(num_feat=shape.width, num_conv=shape.blocks, upscale=shape.scale)
            _start_as_bicubic(made.body, shape)
            return made
        made = ESRGAN(num_filters=shape.width, num_blocks=shape.blocks, scale=shape.scale)
        # A smaller initialization, a tenth, lets deep residual networks learn (section 3.1).
        for block in made.model[1].sub[:-1]:
            for module in block.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.kaiming_normal_(module.weight)
                    module.weight.data *= 0.1
                    torch.nn.init.zeros_(module.bias)
        return made


def _start_as_bicubic(body: Any, shape: Shape) -> None:
    """Lets a new compact network scale as bicubic interpolation does, all but its borders, if it is wide enough.

    It has no shortcuts, and adds to repeated pixels. Flat images have nothing to add almost everywhere, which plain
    differences reward: from a random start, hundreds of updates learned to add nothing. So 27 channels carry the pixels
    around each through all layers, which leave what is positive as it is, and the last weighs them. The other channels
    begin at random.
    """
    import torch

    convolutions = [module for module in body if isinstance(module, torch.nn.Conv2d)]
    for module in convolutions:
        torch.nn.init.kaiming_normal_(module.weight, a=0.25)
        torch.nn.init.zeros_(module.bias)
    first, *inner, last = convolutions
    last.weight.data *= 0.1
    if shape.width < 27:
        return
    places = [(down, across) for down in range(3) for across in range(3)]
    with torch.no_grad():
        first.weight[:27] = 0
        for number, (down, across) in enumerate(places):
            for colour in range(3):
                first.weight[3 * number + colour, colour, down, across] = 1
        for module in inner:
            module.weight[:27] = 0
            torch.nn.init.dirac_(module.weight[:27])
        last.weight[:, :27] = 0
        full = _bicubic_weights(shape.scale)
        # Five pixels in a row are reached from three neighbours by a kernel of three.
        reached = ((0, 0), (0, 1), (1, 1), (2, 1), (2, 2))
        for y, (from_y, by_y) in enumerate(reached):
            for x, (from_x, by_x) in enumerate(reached):
                weights = full[:, y, None] * full[None, :, x] - float(y == x == 2)
                for colour in range(3):
                    channel = 3 * places.index((from_y, from_x)) + colour
                    area = shape.scale**2
                    last.weight[colour * area : (colour + 1) * area, channel, by_y, by_x] += weights.flatten()


def _bicubic_weights(scale: int) -> Tensor:
    """(scale, 5): what the pixels from two before to two after each give to each of those that are made of it."""
    import torch

    from .degradation import enlarged

    # Half of white, so that nothing is cut off where the weights are negative.
    line = torch.full((1, 1, 1, 11), 0.5)
    grey = enlarged(line, scale)
    line[..., 5] = 0.75
    answer = (enlarged(line, scale) - grey)[0, 0, 0] * 4
    # The pixel at 5 is `away` before those that are made of the pixel 5 + away.
    return torch.stack([answer[(5 - away) * scale : (6 - away) * scale] for away in range(-2, 3)], 1)


def discriminator(width: int, seed: int) -> Any:
    """Tells original images (B, 3, H, W) in 0..1 from enlarged ones, patch by patch: (B, 1, H / 8, W / 8) logits.

    The layers are those of P. Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017,
    each held by spectral normalisation, as in Real-ESRGAN.
    """
    import torch
    from torch.nn import Conv2d, LeakyReLU, Sequential
    from torch.nn.utils.parametrizations import spectral_norm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[Any] = []
        before = 3
        for level in range(3):
            layers += [spectral_norm(Conv2d(before, width << level, 4, 2, 1)), LeakyReLU(0.2)]
            before = width << level
        layers += [spectral_norm(Conv2d(before, before, 3, 1, 1)), LeakyReLU(0.2), Conv2d(before, 1, 3, 1, 1)]
        return Sequential(*layers)


def of_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """The relativistic average loss of ESRGAN, equation 1: how surely originals look more real than what was made."""
    from torch.nn.functional import softplus

    return softplus(-(real - fake.mean())).mean() + softplus(fake - real.mean()).mean()


def of_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Its counterpart, equation 2."""
    return of_discriminator(fake, real)
