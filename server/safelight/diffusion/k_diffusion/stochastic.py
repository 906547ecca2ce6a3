"""Methods with noise that ask the model once a step.

Sources: euler_ancestral, k-diffusion, and for flows the same split of a step; lcm, Luo et al. 2023
(https://arxiv.org/abs/2310.04378), algorithm 3; ddpm, Ho et al. 2020 (https://arxiv.org/abs/2006.11239), equation 7;
dpmpp_2m_sde and dpmpp_3m_sde, k-diffusion; er_sde, Cui et al. 2023 (https://arxiv.org/abs/2309.06169), algorithm 3.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .step import ancestral, flow_ancestral

if TYPE_CHECKING:
    from torch import Tensor

    from .step import Step

_POINTS = 200
"""Points at which er_sde adds up its integrals."""


def euler_ancestral(step: Step) -> Tensor:
    if step.after == 0:
        return step.denoised
    if not step.flow:
        down, up = ancestral(step.sigma, step.after)
        return step.x + step.slope * (down - step.sigma) + step.noise(step.sigma, step.after) * up
    down, kept, up = flow_ancestral(step.sigma, step.after)
    part = down / step.sigma
    return kept * (part * step.x + (1 - part) * step.denoised) + step.noise(step.sigma, step.after) * up


def lcm(step: Step) -> Tensor:
    """The finished latent, with new noise up to the next level."""
    if step.after == 0:
        return step.denoised
    return step.scale(step.after) * step.denoised + step.after * step.noise(step.sigma, step.after)


def ddpm(step: Step) -> Tensor:
    """A step of the chain that keeps the variance at one, in its own scale and back."""
    kept, kept_after = 1 / (step.sigma**2 + 1), 1 / (step.after**2 + 1)
    alpha = kept / kept_after
    x = (step.x * kept.sqrt() - (1 - alpha) * step.slope / (1 - kept).sqrt()) / alpha.sqrt()
    if step.after > 0:
        deviation = ((1 - alpha) * (1 - kept_after) / (1 - kept)).sqrt()
        x = x + deviation * step.noise(step.sigma, step.after)
    return x / kept_after.sqrt()


def dpmpp_2m_sde(step: Step) -> Tensor:
    return _sde(step, 2, heun=False)


def dpmpp_2m_sde_heun(step: Step) -> Tensor:
    return _sde(step, 2, heun=True)


def dpmpp_3m_sde(step: Step) -> Tensor:
    return _sde(step, 3, heun=True)


def _sde(step: Step, order: int, *, heun: bool) -> Tensor:
    """DPM-Solver++ of the equation with noise (eta 1), up to an order; the second is Heun's or that of the midpoint."""
    denoised, earlier = step.denoised, step.earlier("denoised")
    step.remember("denoised", denoised, order - 1)
    if step.after == 0:
        return denoised
    snrs = [step.snr(step.sigmas[step.index + 1 - back]) for back in range(len(earlier) + 2)]
    stride, *strides = (after - before for after, before in pairwise(snrs))
    alpha, gone = step.scale(step.after), -(-2 * stride).expm1()
    x = step.after / step.sigma * (-stride).exp() * step.x + alpha * gone * denoised
    second = 1 - gone / (2 * stride)
    if len(strides) > 1:
        near, far = strides[0] / stride, strides[1] / stride
        first, before = (denoised - earlier[0]) / near, (earlier[0] - earlier[1]) / far
        bend = (first - before) / (near + far)
        x = x + alpha * second * (first + bend * near) - alpha * (second / (2 * stride) - 0.5) * bend
    elif strides:
        x = x + alpha * (second if heun else gone / 2) * (denoised - earlier[0]) * stride / strides[0]
    return x + step.noise(step.sigma, step.after) * step.after * gone.sqrt()


def er_sde(step: Step) -> Tensor:
    """The extended reverse-time equation, third order, in the ratio of noise to signal."""
    import torch

    denoised, earlier, bends = step.denoised, step.earlier("denoised"), step.earlier("bends")
    step.remember("denoised", denoised, 1)
    if step.after == 0:
        return denoised

    def ratio(index: int) -> Tensor:
        return (-step.snr(step.sigmas[index])).exp()

    here, there = ratio(step.index), ratio(step.index + 1)
    alpha = step.after / there
    kept = _added(there) / _added(here)
    x = alpha / (step.sigma / here) * kept * step.x + alpha * (1 - kept) * denoised
    if earlier:
        across = there - here
        places = there + torch.arange(_POINTS) * (-across / _POINTS)
        width, weights = -across / _POINTS, 1 / _added(places)
        bend = (denoised - earlier[0]) / (here - ratio(step.index - 1))
        x = x + alpha * (across + weights.sum() * width * _added(there)) * bend
        if bends:
            further = (bend - bends[0]) / ((here - ratio(step.index - 2)) / 2)
            moment = ((places - here) * weights).sum() * width
            x = x + alpha * (across**2 / 2 + moment * _added(there)) * further
        step.remember("bends", bend, 1)
    spread = (there**2 - here**2 * kept**2).clamp(min=0).sqrt()
    return x + alpha * step.noise(step.sigma, step.after) * spread


def _added(ratio: Tensor) -> Tensor:
    """How much noise er_sde has on its way at a ratio of noise to signal."""
    return ratio * ((ratio**0.3).exp() + 10)
