"""What a generator is, as its configuration says it."""

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
