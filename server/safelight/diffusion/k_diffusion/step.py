"""What a method sees of the step that it is to make, and the measures of noise that methods count in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Kept = dict[str, "list[Tensor]"]


@dataclass
class Step:
    """The step from `sigma` to `after`, the `index`th along `sigmas`.

    `x` are the samples where it begins, `denoised` is what the model takes for the finished latent there. `kept` is
    what a method left in the step before, and what it leaves for the next one in its place. `noise` draws between two
    sigmas. `flow` says that x is (1 - sigma) * latent + sigma * noise; else it is latent + sigma * noise.
    """

    x: Tensor
    denoised: Tensor
    sigmas: Tensor
    index: int
    flow: bool
    noise: Callable[[Tensor, Tensor], Tensor]
    kept: Kept = field(default_factory=dict)

    @property
    def sigma(self) -> Tensor:
        return self.sigmas[self.index]

    @property
    def after(self) -> Tensor:
        return self.sigmas[self.index + 1]

    @property
    def slope(self) -> Tensor:
        """The derivative of x by sigma, Karras et al. 2022, equation 3; for a flow it is the same quotient."""
        return (self.x - self.denoised) / self.sigma

    def snr(self, sigma: Tensor) -> Tensor:
        """Half the logarithm of the ratio of signal to noise: lambda of DPM-Solver."""
        return -sigma.logit() if self.flow else -sigma.log()

    def level(self, snr: Tensor) -> Tensor:
        """The sigma of a half-logarithm of the ratio of signal to noise."""
        return (-snr).sigmoid() if self.flow else (-snr).exp()

    def scale(self, sigma: Tensor) -> Tensor:
        """What the latent is multiplied by at a sigma: alpha."""
        return 1 - sigma if self.flow else sigma.new_ones(())

    def earlier(self, name: str) -> list[Tensor]:
        """What was kept under a name, the latest first."""
        return self.kept.get(name, [])

    def remember(self, name: str, value: Tensor, most: int) -> None:
        """Keeps a value for the next steps, at most so many of a name."""
        self.kept = {**self.kept, name: [value, *self.earlier(name)][:most]}


Asked = Generator["tuple[Tensor, Tensor]", "Tensor", "Tensor"]
"""A step that needs the model at further places: it yields samples and their sigma, gets what the model takes for the
finished latent there, and returns the samples after the step."""


@dataclass(frozen=True)
class Method:
    """A sampler. `make` gives the samples after a step, at once or as `Asked`.

    `noise` says what it draws: normal noise a step (`fresh`), or along a Brownian path over the sigmas. `by_snr` says
    that it counts in logarithms of the ratio of signal to noise, which a flow does not have at the very start.
    `skips_last` leaves out the level before 0 of the schedules that it is used with, and makes as many steps. `masked`
    is the noise that stands outside of a mask: that of the start, or `other`.
    """

    make: Callable[[Step], Tensor | Asked]
    noise: Literal["none", "fresh", "brownian"] = "none"
    by_snr: bool = False
    skips_last: bool = False
    masked: Literal["same", "other"] = "same"


def ancestral(sigma: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """The sigma to step down to, and the deviation of the noise to add, so that `after` is reached."""
    up = (after**2 * (sigma**2 - after**2) / sigma**2).sqrt().minimum(after)
    return (after**2 - up**2).sqrt(), up


def flow_ancestral(sigma: Tensor, after: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for a flow: the sigma to step down to, what the samples are then multiplied by, and the noise to add."""
    down = after * after / sigma
    kept = (1 - after) / (1 - down)
    return down, kept, (after**2 - down**2 * kept**2).sqrt()
