"""UniPC, Zhao et al. 2023 (https://arxiv.org/abs/2302.04867), as a multistep method of order three on data predictions.

Written over sigma: with x divided by alpha its equations need the ratio of sigma to alpha alone, which is the sigma of
the samples. A step corrects where the step before led to, by what the model says there, and predicts the next place.
"""

from __future__ import annotations

from functools import partial
from math import factorial
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from .step import Step

_LEAST = 0.001
"""In the place of a last sigma of 0, which has no logarithm."""


def _unipc(step: Step, variant: Literal["bh1", "bh2"]) -> Tensor:
    import torch

    levels = [max(_LEAST, sigma) for sigma in step.sigmas.double().tolist()]
    snrs = (-torch.tensor(levels, dtype=torch.float64).log()).tolist()
    last, index = len(levels) - 1, step.index
    most = max(1, min(3, last - 1))
    found = [step.denoised, *step.earlier("denoised")]
    x = step.x
    if index:
        order = min(index, most, last + 1 - index)
        x = _moved(step.earlier("corrected")[0], found[1:], snrs, index, order, variant, found[0])
    step.remember("denoised", step.denoised, most)
    step.remember("corrected", x, 1)
    order = min(index + 1, most, last - index)
    return _moved(x, found, snrs, index + 1, order, variant)


def _moved(
    x: Tensor,
    found: list[Tensor],
    snrs: list[float],
    to: int,
    order: int,
    variant: str,
    reached: Tensor | None = None,
) -> Tensor:
    """Samples brought from level `to` - 1 to level `to`. `found` are the predictions from there back; with `reached`,
    the prediction at the place that the predictor led to, they are corrected."""
    import torch

    start, across = snrs[to - 1], snrs[to] - snrs[to - 1]
    ratios = [(snrs[to - 1 - back] - start) / across for back in range(1, order)]
    turns = [(found[back] - found[0]) / ratio for back, ratio in zip(range(1, order), ratios, strict=True)]
    if reached is not None:
        ratios, turns = [*ratios, 1.0], [*turns, reached - found[0]]
    rate = torch.tensor(-across, dtype=torch.float64)
    step = rate.expm1()
    weight = rate if variant == "bh1" else step
    if len(ratios) == 1:
        shares = [0.5]  # the first order alone has a closed form, which all implementations take
    elif ratios:
        phi, wanted = step / rate - 1, []
        for power in range(1, len(ratios) + 1):
            wanted.append(phi * factorial(power) / weight)
            phi = phi / rate - 1 / factorial(power + 1)
        powers = torch.tensor([[ratio**power for ratio in ratios] for power in range(len(ratios))], dtype=torch.float64)
        shares = torch.linalg.solve(powers, torch.stack(wanted)).tolist()
    else:
        shares = []
    x = float(rate.exp()) * x - float(step) * found[0]
    for share, turn in zip(shares, turns, strict=True):
        x = x - float(weight) * share * turn
    return x


bh1, bh2 = partial(_unipc, variant="bh1"), partial(_unipc, variant="bh2")
