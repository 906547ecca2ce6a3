"""The network of a published file, by what the file was recognised as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .tensors import Tensors

if TYPE_CHECKING:
    from torch import Tensor


def generator(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Any:
    """A module that knows its `side`, `latent` and number of `classes`; it shares the tensors.

    `config` says in `published` which it is, in `prefix` what stands before its names, and in `said` what lay beside.

    Raises:
        ValueError: tensors are missing, or do not fit each other.
    """
    prefix = str(config.get("prefix", ""))
    inner = {name.removeprefix(prefix): one for name, one in tensors.items()}
    given = Tensors(inner)
    if config["published"] == "biggan_deep":
        from .biggan import BigGAN

        return BigGAN(given, dict(config.get("said", {})))
    if config["published"] == "stylegan2":
        from .stylegan2 import StyleGAN2

        return StyleGAN2(given)
    if config["published"] == "stylegan3":
        from .stylegan3 import StyleGAN3

        return StyleGAN3(given)
    raise ValueError(f"nothing is known of {config['published']!r}")
