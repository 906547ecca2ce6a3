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
CARRIED = 27
"""Numbers of three by three pixels."""


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
            _start(made.body, shape)
            return made
        made = ESRGAN(num_filters=shape.width, num_blocks=shape.blocks, scale=shape.scale)
        # A smaller initialization, a tenth, lets deep residual networks learn (section 3.1).
        for block in made.model[1].sub[:-1]:
            convolutions: list[Any] = [module for module in block.modules() if isinstance(module, torch.nn.Conv2d)]
            for module in convolutions:
                torch.nn.init.kaiming_normal_(module.weight)
                module.weight.data *= 0.1
                torch.nn.init.zeros_(module.bias)
        return made


def shape_of(network: Any) -> Shape | None:
    """What a network of spandrel is, if it is one of those that are trained here."""
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import ESRGAN

    told = network.hyperparameters
    if isinstance(network, Compact) and (network.num_in_ch, network.num_out_ch) == (3, 3):
        return Shape("compact", network.upscale, network.num_feat, network.num_conv)
    if isinstance(network, ESRGAN) and told["in_nc"] == told["out_nc"] == 3 and not told["plus"]:
        return Shape("rrdb", told["scale"], told["num_filters"], told["num_blocks"])
    return None


def _start(body: Any, shape: Shape) -> None:
    """The start of a compact network: it repeats pixels, and its last layer sees what is around each.

    It has no shortcuts, and torch's own start makes the signal weaker with every layer, so that hardly anything of the
    image arrives at the last one. So 27 channels, if it is wide enough, carry the pixels around each through all
    layers, which leave what is positive as it is. The others begin at random, and the last layer adds nothing yet.
    """
    import torch

    layers: list[Any] = [module for module in body if isinstance(module, torch.nn.Conv2d)]
    first, *inner, last = layers
    for module in (first, *inner):
        torch.nn.init.kaiming_normal_(module.weight, a=0.25)
        torch.nn.init.zeros_(module.bias)
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    if shape.width < CARRIED:
        return
    with torch.no_grad():
        first.weight[:CARRIED] = torch.eye(CARRIED).view(CARRIED, 3, 3, 3)
        for module in inner:
            module.weight[:CARRIED] = 0
            torch.nn.init.dirac_(module.weight[:CARRIED])


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
