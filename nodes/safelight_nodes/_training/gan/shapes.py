"""What a generator is: its configuration, and the module that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from safelight.sdk import Problem, ProblemError

Architecture = Literal["dcgan", "resnet", "stylegan2", "biggan"]
Norm = Literal["batch", "group", "none"]
KIND = "SafelightGAN"
"""The class that `config.json` names."""


@dataclass(frozen=True)
class Shape:
    """A generator: images of `side` pixels from `latent` random numbers. `width` are the channels at the full side;
    each level below doubles them, up to `widest`. `classes` are the names of what it tells apart; empty: nothing."""

    architecture: Architecture
    side: int
    latent: int
    width: int
    widest: int = 512
    classes: tuple[str, ...] = ()

    def config(self) -> dict[str, Any]:
        return {"_class_name": KIND, **asdict(self), "classes": list(self.classes)}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape:
        """Raises ValueError, KeyError or TypeError for what is no configuration of a generator."""
        known = {name: config[name] for name in ("side", "latent", "width", "widest")}
        if config["architecture"] not in get_args(Architecture) or not all(type(one) is int for one in known.values()):
            raise ValueError("the architecture is not one that is known, or a size is no whole number")
        return cls(config["architecture"], **known, classes=tuple(str(one) for one in config["classes"]))

    @property
    def levels(self) -> int:
        """How often 4 pixels are doubled."""
        return (self.side // 4).bit_length() - 1

    def channels(self, side: int) -> int:
        """Of the maps of so many pixels a side."""
        return min(self.widest, self.width * (self.side // side))


def require_side(side: int) -> None:
    """Raises ProblemError `size_not_a_multiple` for a side that is not 4 doubled some times, 8 to 256."""
    if side < 8 or side > 256 or side & (side - 1):
        raise ProblemError(
            Problem(
                code="size_not_a_multiple",
                message=f"A generator doubles 4 pixels until the image is done, and never comes to {side}.",
                hint="Set the side to 16, 32 or 64.",
                port="side",
                value=side,
            )
        )


def generator(shape: Shape) -> Any:
    """A new module: `(z, labels, source)` to images (B, 3, side, side) in -1..1.

    z is (B, latent), of a mean of 0 and a deviation of 1; labels (B) of classes, None where there are none; `source`,
    where given, is what random noise inside of the network is drawn from.
    """
    if shape.architecture == "dcgan":
        from .dcgan import Generator
    elif shape.architecture == "resnet":
        from .resnet import Generator
    elif shape.architecture == "stylegan2":
        from .stylegan2 import Generator
    else:
        from .biggan import Generator
    return Generator(shape)


def discriminator(shape: Shape, norm: Norm, spectral: bool) -> Any:
    """A new module: `(images, labels)` to a score (B), higher for what seems real. Spectral normalisation keeps each
    layer's largest singular value at 1 (T. Miyato et al. 2018)."""
    if shape.architecture == "dcgan":
        from .dcgan import Discriminator

        made = Discriminator(shape, norm)
    elif shape.architecture == "resnet":
        from .resnet import Discriminator

        made = Discriminator(shape)
    elif shape.architecture == "stylegan2":
        from .stylegan2 import Discriminator

        made = Discriminator(shape)
    else:
        from .biggan import Discriminator

        made = Discriminator(shape)
    if spectral:
        _normalised(made)
    return made


def _normalised(made: Any) -> None:
    from torch import nn
    from torch.nn.utils.parametrizations import spectral_norm

    for module in list(made.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            spectral_norm(module)
