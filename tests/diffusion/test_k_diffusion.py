"""Methods of k-diffusion on data whose best denoiser is known: a normal distribution in each number.

For data of mean 0 and deviation `D`, the finished latent that is to be expected at x = latent + sigma * noise is
x * D^2 / (D^2 + sigma^2), and Euler's equation leads from there to x(0) = x * D / sqrt(D^2 + sigma^2). For a flow the
same holds of x / (1 - sigma), at the ratio of noise to signal.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from safelight.diffusion.k_diffusion.levels import Levels, levels_of
from safelight.diffusion.k_diffusion.methods import METHODS
from safelight.diffusion.k_diffusion.process import Process
from safelight.diffusion.k_diffusion.schedules import sigmas_of
from safelight.diffusion.noise import draw_whole

D = 0.7
SHAPE = (4, 4, 32, 32)
LEVELS = {
    "trained": levels_of({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}),
    "flow": levels_of({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}),
}
ORDERS = {"euler": 1, "ddim": 1, "heun": 2, "dpm2": 2, "dpmpp_2m": 2, "lms": 2, "ipndm": 2, "res_multistep": 2}
NOISELESS = [name for name, method in METHODS.items() if method.noise == "none"]
NOISY = [name for name, method in METHODS.items() if method.noise != "none" and name != "lcm"]
FLAT = ("ddpm", "res_multistep_ancestral")
"""Made for data with noise on top alone, and taken as they are for flows."""


def expected(x: Tensor, sigma: Tensor, levels: Levels) -> Tensor:
    if not levels.flow:
        return x * D**2 / (D**2 + sigma**2)
    return x * D**2 * (1 - sigma) / (D**2 * (1 - sigma) ** 2 + sigma**2)


def run(name: str, levels: Levels, steps: int, scheduler: str = "karras") -> tuple[Tensor, Tensor]:
    """Samples after as many steps, and the noise that they began with."""
    process = Process()
    process.prepare(levels, name, sigmas_of(levels, scheduler, steps))
    noise = draw_whole(3, SHAPE)
    x = process.begin(torch.zeros(SHAPE), noise, 3)
    for _, sigma in process.calls:
        clean = expected(x, sigma, levels)
        predicted = (x - clean) / sigma  # of noise, or of the flow
        (x,) = process.step(predicted, None, x)
    return x, noise


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("name", NOISELESS)
def test_without_noise_it_comes_to_the_solution(name: str, kind: str) -> None:
    levels = LEVELS[kind]
    errors = []
    for steps in (20, 40):
        x, noise = run(name, levels, steps)
        wanted = noise * D
        if not levels.flow:
            most = float(levels.greatest)
            wanted = noise * (1 + most**2) ** 0.5 * D / (D**2 + most**2) ** 0.5
        errors.append(float((x - wanted).abs().mean() / wanted.abs().mean()))
    assert errors[1] < 0.08
    least = 2 ** ORDERS.get(name, 1)
    assert errors[0] / max(errors[1], 1e-4) > 0.6 * least or errors[1] < 2e-3, errors


@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("name", NOISY)
def test_with_noise_it_comes_to_the_distribution(name: str, kind: str) -> None:
    if kind == "flow" and name in FLAT:
        pytest.skip("not made for flows")
    x, _ = run(name, LEVELS[kind], 100)
    assert abs(float(x.std()) / D - 1) < 0.05
    assert abs(float(x.mean())) < 0.03


@pytest.mark.parametrize("kind", LEVELS)
def test_lcm_jumps_and_takes_new_noise(kind: str) -> None:
    """Each step ends at the expected latent, whose deviation follows from the one before."""
    levels = LEVELS[kind]
    sigmas = sigmas_of(levels, "simple", 4)
    x, _ = run("lcm", levels, 4, "simple")
    deviation = 1.0 if levels.flow else float((1 + sigmas[0] ** 2).sqrt())
    for here, there in pairwise(sigmas):
        deviation *= float(expected(torch.ones(()), here, levels))
        if there > 0:
            deviation = float(((1 - there * levels.flow) ** 2 * deviation**2 + there**2).sqrt())
    assert float(x.std()) == pytest.approx(deviation, rel=0.02)
