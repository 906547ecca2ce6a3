"""Methods that ask the model twice a step, but once in the step that leads to 0.

Sources: heun and dpm2, Karras et al. 2022, algorithm 2 without churn, and its variant in k-diffusion; dpm2_ancestral,
dpmpp_2s_ancestral and dpmpp_sde, k-diffusion (DPM-Solver++, Lu et al. 2022); seeds_2, Gonzalez et al. 2023
(https://arxiv.org/abs/2305.14267), the solver of two stages in the form that predicts data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .single import euler
from .step import ancestral, flow_ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from .step import Asked, Step


def heun(step: Step) -> Tensor | Asked:
    return euler(step) if step.after == 0 else _heun(step)


def _heun(step: Step) -> Asked:
    reached = euler(step)
    slope = (reached - (yield reached, step.after)) / step.after
    return step.x + (step.slope + slope) / 2 * (step.after - step.sigma)


def dpm2(step: Step) -> Tensor | Asked:
    return euler(step) if step.after == 0 else _midpoint(step, step.after)


def _midpoint(step: Step, down: Tensor) -> Asked:
    """To a sigma by the slope at the geometric mean of both."""
    middle = step.sigma.log().lerp(down.log(), 0.5).exp()
    x = step.x + step.slope * (middle - step.sigma)
    slope = (x - (yield x, middle)) / middle
    return step.x + slope * (down - step.sigma)


def dpm2_ancestral(step: Step) -> Tensor | Asked:
    return euler(step) if step.after == 0 else _dpm2_ancestral(step)


def _dpm2_ancestral(step: Step) -> Asked:
    down, kept, up = _split(step)
    x = yield from _midpoint(step, down)
    return kept * x + step.noise(step.sigma, step.after) * up


def dpmpp_2s_ancestral(step: Step) -> Tensor | Asked:
    return step.denoised if step.after == 0 else _dpmpp_2s_ancestral(step)


def _dpmpp_2s_ancestral(step: Step) -> Asked:
    down, kept, up = _split(step)
    middle = step.level((step.snr(step.sigma) + step.snr(down)) / 2)
    if step.flow and step.sigma == 1:
        middle = step.sigma.new_tensor(0.9999)
    part = middle / step.sigma
    x = part * step.x + (1 - part) * step.denoised
    found = yield x, middle
    part = down / step.sigma
    return kept * (part * step.x + (1 - part) * found) + step.noise(step.sigma, step.after) * up


def _split(step: Step) -> tuple[Tensor, Tensor, Tensor]:
    """The sigma to step down to, what the samples are then multiplied by, and the deviation of the noise to add."""
    if step.flow:
        return flow_ancestral(step.sigma, step.after)
    down, up = ancestral(step.sigma, step.after)
    return down, step.sigma.new_ones(()), up


def dpmpp_sde(step: Step) -> Tensor | Asked:
    return step.denoised if step.after == 0 else _dpmpp_sde(step)


def _dpmpp_sde(step: Step) -> Asked:
    here, there = step.snr(step.sigma), step.snr(step.after)
    middle = here + 0.5 * (there - here)
    level = step.level(middle)
    x = _noisy(step, middle, level, step.denoised)
    # The second stage counts alone: the weights of both are 0 and 1 at the middle.
    return _noisy(step, there, step.after, (yield x, level))


def _noisy(step: Step, snr: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
    """From the start of a step to a place in it, with the noise that belongs there: by sigma over alpha, in which an
    ancestral step of the exponential integrator is split."""
    here = step.snr(step.sigma)
    down, up = ancestral((-here).exp(), (-snr).exp())
    across = -down.log() - here
    alpha, before = sigma * snr.exp(), step.sigma * here.exp()
    x = alpha / before * (-across).exp() * step.x - alpha * (-across).expm1() * denoised
    return x + alpha * step.noise(step.sigma, sigma) * up


def seeds_2(step: Step) -> Tensor | Asked:
    return step.denoised if step.after == 0 else _seeds_2(step)


def _seeds_2(step: Step) -> Asked:
    here, there = step.snr(step.sigma), step.snr(step.after)
    across, middle = there - here, here.lerp(there, 0.5)
    level = step.level(middle)
    added = (-(-across).expm1()).sqrt() * step.noise(step.sigma, level)
    x = level / step.sigma * (-across / 2).exp() * step.x - step.scale(level) * (-across).expm1() * step.denoised
    found = yield x + added * level, level
    x = step.after / step.sigma * (-across).exp() * step.x - step.scale(step.after) * (-2 * across).expm1() * found
    # The noise of the first half goes on, and that of the second comes to it.
    added = added * (-across / 2).exp() + (-(-across).expm1()).sqrt() * step.noise(level, step.after)
    return x + added * step.after
