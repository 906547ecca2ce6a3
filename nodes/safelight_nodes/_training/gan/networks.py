"""The networks of an architecture, made new."""

from __future__ import annotations

from typing import Any

from .shapes import Norm, Shape


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
