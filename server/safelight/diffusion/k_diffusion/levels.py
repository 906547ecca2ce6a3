"""The noise levels that a model was trained with, and the way between a sigma and what the model is told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion.samplers import predicts

if TYPE_CHECKING:
    from torch import Tensor

SHORT, LONG = 1000, 10_000
"""Levels of a flow: as many as Stable Diffusion 3 has timesteps, and the finer table that goes with a shift by size."""
_LAST = 4.8973451890853435e-08
"""What is left of the image at the last timestep of a model of zero SNR, where the square root of alpha would be 0."""


@dataclass(frozen=True)
class Levels:
    """`sigmas` (N,) float32, rising, and their `logs`. `prediction` is what the model gives: `epsilon`, `v_prediction`,
    `sample`, or `flow_prediction`, for which `shift` is how much of the way lies at much noise.

    All is computed in float32 and in the order in which ComfyUI computes it: between two timesteps the last bit decides
    which one a model is told, and a Brownian path is another one a bit further on.
    """

    sigmas: Tensor
    logs: Tensor
    prediction: str
    shift: float = 1.0

    @property
    def flow(self) -> bool:
        return self.prediction == "flow_prediction"

    @property
    def least(self) -> Tensor:
        return self.sigmas[0]

    @property
    def greatest(self) -> Tensor:
        return self.sigmas[-1]

    def sigma(self, timestep: Tensor) -> Tensor:
        """The sigma at a place of the table, 0 to N - 1, between two levels by their logarithms; for flows at a time of
        0 to 1000, shifted."""
        if self.flow:
            return shifted(self.shift, timestep / SHORT, by_size=len(self.sigmas) == LONG)
        place = timestep.clamp(0, len(self.sigmas) - 1)
        low, part = place.floor().long(), place.frac()
        return ((1 - part) * self.logs[low] + part * self.logs[place.ceil().long()]).exp()

    def timestep(self, sigma: Tensor) -> Tensor:
        """What the model is told: the closest timestep that it was trained with; a flow, 1000 times the sigma."""
        if self.flow:
            return sigma * SHORT
        return (sigma.log() - self.logs).abs().argmin()

    def at(self, part: float) -> float:
        """The sigma at a part (0..1) of the whole schedule, evenly over the times of the training."""
        import torch

        return float(self.sigma(torch.tensor((1 - part) * (SHORT if self.flow else len(self.sigmas) - 1))))

    def part(self, sigma: float) -> float:
        """The part (0..1) of the schedule at which a sigma lies: the other way of `at`."""
        if sigma <= 0:
            return 1.0
        if self.flow:
            return 1 - sigma / (self.shift - (self.shift - 1) * sigma)
        import numpy

        count = len(self.sigmas)
        return float(1 - numpy.interp(math.log(sigma), self.logs.numpy(), numpy.arange(count)) / (count - 1))

    def is_greatest(self, sigma: float) -> bool:
        """Whether a sigma is that of pure noise, to five digits."""
        most = float(self.greatest)
        return sigma > most or math.isclose(sigma, most, rel_tol=1e-5)


def shifted(shift: float, time: Tensor, *, by_size: bool = False) -> Tensor:
    """Times of 0..1 with more of the way at much noise: https://arxiv.org/abs/2403.03206, equation 23.

    The shift by size of Flux.1 is the same with exp(mu), written in another way.
    """
    if by_size:
        return shift / (shift + (1 / time - 1))
    return shift * time / (1 + (shift - 1) * time)


def levels_of(settings: Mapping[str, Any], shift: float = 0.0, count: int = 0) -> Levels:
    """The levels of a model by the settings of its schedule, as its `scheduler_config.json` has them.

    `shift` and `count` are those of a flow; 0 means what goes with the model: its own shift, or, where that depends on
    the size, exp of its greatest mu and the finer table.
    """
    import torch

    prediction = predicts(settings)
    if prediction != "flow_prediction":
        sigmas = _trained(settings)
        return Levels(sigmas.float(), sigmas.log().float(), prediction)
    by_size = bool(settings.get("use_dynamic_shifting"))
    if not shift:
        own = settings.get("flow_shift", settings.get("shift"))
        shift = math.exp(settings.get("max_shift") or 1.15) if by_size else float(own or 1.0)
    count = count or (LONG if by_size else SHORT)
    times = torch.arange(1, count + 1) / count
    times = times if count == LONG else times * SHORT / SHORT
    sigmas = shifted(shift, times, by_size=count == LONG)
    return Levels(sigmas, sigmas.log(), prediction, shift)


def _trained(settings: Mapping[str, Any]) -> Tensor:
    """The sigmas of a model that was trained on noise of one variance, in float64."""
    import torch

    count = int(settings.get("num_train_timesteps", 1000))
    first, last = float(settings.get("beta_start", 0.0001)), float(settings.get("beta_end", 0.02))
    kind, given = settings.get("beta_schedule", "linear"), settings.get("trained_betas")
    if given is not None:
        betas = torch.tensor(given, dtype=torch.float64)
    elif kind == "scaled_linear":
        betas = torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64) ** 2
    elif kind == "squaredcos_cap_v2":
        places = torch.linspace(0, 1, count + 1, dtype=torch.float64)
        kept = ((places + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        betas = (1 - kept[1:] / kept[:-1]).clamp(max=0.999)
    else:
        betas = torch.linspace(first, last, count, dtype=torch.float64)
    alphas = (1 - betas).cumprod(0)
    if settings.get("rescale_betas_zero_snr"):
        # https://arxiv.org/abs/2305.08891, algorithm 1; the last level is kept finite.
        roots = alphas.sqrt()
        alphas = ((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2
        alphas[-1] = _LAST
    return ((1 - alphas) / alphas).sqrt()
