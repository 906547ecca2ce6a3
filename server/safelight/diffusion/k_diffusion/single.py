"""Methods without noise that ask the model once a step.

Sources: euler, Karras et al. 2022, algorithm 2 without churn; lms, k-diffusion; dpmpp_2m, Lu et al. 2022
(https://arxiv.org/abs/2211.01095), algorithm 2; ipndm, Zhang and Chen 2022 (https://arxiv.org/abs/2204.13902),
equation 18; res_multistep, Zhang et al. 2023 (https://arxiv.org/abs/2308.02157); gradient_estimation, Permenter and
Yuan 2023 (https://arxiv.org/abs/2306.04848), algorithm 2 with gamma of 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .step import ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from .step import Step


def euler(step: Step) -> Tensor:
    return step.x + step.slope * (step.after - step.sigma)


def lms(step: Step) -> Tensor:
    """A linear multistep method: the polynomial through the last four slopes, integrated over sigma."""
    slopes = [step.slope, *step.earlier("slopes")]
    step.remember("slopes", slopes[0], 3)
    if step.after == 0:
        return step.denoised
    levels = step.sigmas.double().tolist()
    x = step.x
    for place, slope in enumerate(slopes):
        x = x + _integral(levels, step.index, len(slopes), place) * slope
    return x


def _integral(levels: list[float], index: int, order: int, place: int) -> float:
    from scipy.integrate import quad

    def share(at: float) -> float:
        found = 1.0
        for other in range(order):
            if other != place:
                found *= (at - levels[index - other]) / (levels[index - place] - levels[index - other])
        return found

    return float(quad(share, levels[index], levels[index + 1], epsrel=1e-4)[0])


def dpmpp_2m(step: Step) -> Tensor:
    earlier, denoised = step.earlier("denoised"), step.denoised
    step.remember("denoised", denoised, 1)
    if step.after == 0:
        return denoised
    across = step.sigma.log() - step.after.log()
    if earlier:
        half = across / (step.sigmas[step.index - 1].log() - step.sigma.log()) / 2
        denoised = (1 + half) * denoised - half * earlier[0]
    return step.after / step.sigma * step.x - (-across).expm1() * denoised


_ADAMS = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
"""The weights of Adams and Bashforth, of the slopes from the latest on."""


def ipndm(step: Step) -> Tensor:
    slopes = [step.slope, *step.earlier("slopes")]
    step.remember("slopes", slopes[0], 3)
    if step.after == 0:
        return step.denoised
    weighed: Any = sum(weight * slope for weight, slope in zip(_ADAMS[len(slopes) - 1], slopes, strict=True))
    return step.x + (step.after - step.sigma) * weighed


def gradient_estimation(step: Step) -> Tensor:
    earlier, slope = step.earlier("slopes"), step.slope
    step.remember("slopes", slope, 1)
    if step.after == 0:
        return step.denoised
    return step.x + (2 * slope - earlier[0] if earlier else slope) * (step.after - step.sigma)


def res_multistep(step: Step) -> Tensor:
    return _res(step, step.after, step.sigma)


def res_multistep_ancestral(step: Step) -> Tensor:
    down, up = ancestral(step.sigma, step.after)
    x = _res(step, down, ancestral(step.sigmas[step.index - 1], step.sigma)[0])
    return x + step.noise(step.sigma, step.after) * up if step.after > 0 else x


def _res(step: Step, down: Tensor, reached: Tensor) -> Tensor:
    """The exponential integrator of second order with the latent of the step before in the place of a second stage.
    It steps down to `down`, as the step before did to `reached`."""
    earlier = step.earlier("denoised")
    step.remember("denoised", step.denoised, 1)
    if down == 0 or not earlier:
        return step.x + step.slope * (down - step.sigma)
    across = step.sigma.log() - down.log()
    place = (reached.log() - step.sigmas[step.index - 1].log()) / across
    first = (-across).expm1() / -across
    share = (first - 1) / -across / place
    return (-across).exp() * step.x + across * ((first - share) * step.denoised + share * earlier[0])
