"""The schedulers: from the levels of a model and a number of steps to the sigmas before each step and after the last.

Some of them make a step more or less than they were asked for, as they do where they come from: `ddim_uniform` walks
the table in whole strides, and `beta` takes no level twice.

Sources: `karras`, Karras et al. 2022, equation 5; `exponential`, k-diffusion; `beta`, https://arxiv.org/abs/2407.12173;
`kl_optimal`, https://arxiv.org/abs/2404.14507, appendix; `linear_quadratic`, the schedule of Mochi 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from .levels import Levels

KScheduler = Literal[
    "normal",
    "karras",
    "exponential",
    "sgm_uniform",
    "simple",
    "ddim_uniform",
    "beta",
    "linear_quadratic",
    "kl_optimal",
]


def sigmas_of(levels: Levels, scheduler: str, steps: int) -> Tensor:
    """Sigmas (about steps + 1,) float32, falling to the 0 at the end."""
    import torch

    return torch.cat([_SCHEDULES[scheduler](levels, steps).float(), torch.zeros(1)])


def _evenly(levels: Levels, steps: int, *, short: bool) -> Tensor:
    """Evenly over the timesteps; `short` stops one step before the least level.

    A flow's own shift is taken once more on the way back from a time to a sigma: so these names have it.
    """
    import torch

    first, last = levels.timestep(levels.greatest), levels.timestep(levels.least)
    if short:
        return levels.sigma(torch.linspace(float(first), float(last), steps + 1)[:-1])
    return levels.sigma(torch.linspace(float(first), float(last), steps))


def _normal(levels: Levels, steps: int) -> Tensor:
    return _evenly(levels, steps, short=False)


def _sgm_uniform(levels: Levels, steps: int) -> Tensor:
    return _evenly(levels, steps, short=True)


def _karras(levels: Levels, steps: int) -> Tensor:
    import torch

    low, high = float(levels.least) ** (1 / 7), float(levels.greatest) ** (1 / 7)
    return (high + torch.linspace(0, 1, steps) * (low - high)) ** 7


def _exponential(levels: Levels, steps: int) -> Tensor:
    import torch

    return torch.linspace(math.log(float(levels.greatest)), math.log(float(levels.least)), steps).exp()


def _simple(levels: Levels, steps: int) -> Tensor:
    stride = len(levels.sigmas) / steps
    return levels.sigmas[[-(1 + int(step * stride)) for step in range(steps)]]


def _ddim_uniform(levels: Levels, steps: int) -> Tensor:
    return levels.sigmas[1 :: max(1, len(levels.sigmas) // steps)].flip(0)


def _beta(levels: Levels, steps: int) -> Tensor:
    import numpy
    from scipy.stats import beta

    shares = 1 - numpy.linspace(0, 1, steps, endpoint=False)
    places = numpy.rint(beta.ppf(shares, 0.6, 0.6) * (len(levels.sigmas) - 1)).astype(int).tolist()
    return levels.sigmas[list(dict.fromkeys(places))]


def _linear_quadratic(levels: Levels, steps: int) -> Tensor:
    """The first half of the steps takes 2.5 hundredths of the noise, evenly; the second the rest, along a parabola that
    goes on from there with the same slope."""
    import torch

    if steps == 1:
        return levels.greatest[None]
    line, taken = steps // 2, 0.025
    rest = steps - line
    over = line - taken * steps
    curve = over / (line * rest**2)
    slope = taken / line - 2 * over / rest**2
    done = [place * taken / line for place in range(line)]
    done += [curve * place**2 + slope * place + curve * line**2 for place in range(line, steps)]
    return torch.tensor([1 - share for share in done]) * levels.greatest


def _kl_optimal(levels: Levels, steps: int) -> Tensor:
    import torch

    shares = torch.arange(steps) / max(1, steps - 1)
    return (shares * levels.least.atan() + (1 - shares) * levels.greatest.atan()).tan()


_SCHEDULES: dict[str, Callable[[Levels, int], Tensor]] = {
    "normal": _normal,
    "karras": _karras,
    "exponential": _exponential,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "ddim_uniform": _ddim_uniform,
    "beta": _beta,
    "linear_quadratic": _linear_quadratic,
    "kl_optimal": _kl_optimal,
}
