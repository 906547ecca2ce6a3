"""ComfyUI's way from a seed to a latent, written once more as plainly as it goes: what its images are compared with.

The formulas are those of k-diffusion (https://github.com/crowsonkb/k-diffusion, MIT) and of the papers that it names;
what ComfyUI does with them (tables of sigmas, counting of steps, noise) are facts about it. Nothing of Safelight is
used. Compared by hand with the package k-diffusion 0.1.1, along karras with 6 steps and a toy denoiser: 3e-6 apart at
most, but for what ComfyUI does otherwise: lms ends at the finished latent, and dpmpp_sde asks its Brownian path at
sigma, where k-diffusion asks at exp(log(sigma)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import torch
import torchsde
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""The finished latent that a model sees in samples at a sigma."""


class Trained:
    """Stable Diffusion: 1,000 sigmas, of betas that are linear in their square roots; a model is told the closest."""

    flow = False

    def __init__(self) -> None:
        kept = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2).cumprod(0)
        exact = ((1 - kept) / kept).sqrt()
        self.sigmas, self.logs = exact.float(), exact.log().float()

    def time(self, sigma: Tensor) -> Tensor:
        return (sigma.log() - self.logs).abs().argmin().float()

    def sigma(self, time: Tensor) -> Tensor:
        low = time.floor()
        part = time - low
        return ((1 - part) * self.logs[low.long()] + part * self.logs[time.ceil().long()]).exp()


class Flow:
    """A model of flows: times of 0 to 1 moved by a shift, or by size; it is told the sigma, in thousandths."""

    flow = True

    def __init__(self, shift: float, count: int) -> None:
        self.shift, self.by_size = shift, count == 10_000
        times = torch.arange(1, count + 1) / count
        self.sigmas = self.sigma(times * 1000) if not self.by_size else self._moved(times)

    def time(self, sigma: Tensor) -> Tensor:
        return sigma * 1000

    def sigma(self, time: Tensor) -> Tensor:
        return self._moved(time / 1000)

    def _moved(self, time: Tensor) -> Tensor:
        if self.by_size:
            return self.shift / (self.shift + (1 / time - 1))
        return self.shift * time / (1 + (self.shift - 1) * time)


Table = Trained | Flow


def schedule(name: str, table: Table, steps: int) -> list[float]:
    """The sigmas before each step, and 0; in float32, as bits count for Brownian paths."""
    least, most = float(table.sigmas[0]), float(table.sigmas[-1])
    first, last = float(table.time(table.sigmas[-1])), float(table.time(table.sigmas[0]))
    count = len(table.sigmas)
    if name == "normal":
        found = table.sigma(torch.linspace(first, last, steps))
    elif name == "sgm_uniform":
        found = table.sigma(torch.linspace(first, last, steps + 1)[:-1])
    elif name == "karras":
        found = (most ** (1 / 7) + torch.linspace(0, 1, steps) * (least ** (1 / 7) - most ** (1 / 7))) ** 7
    elif name == "exponential":
        found = torch.linspace(math.log(most), math.log(least), steps).exp()
    elif name == "simple":
        found = table.sigmas[[count - 1 - int(step * (count / steps)) for step in range(steps)]]
    elif name == "ddim_uniform":
        found = table.sigmas[list(reversed(range(1, count, count // steps)))]
    elif name == "beta":
        shares = [float(beta_distribution.ppf(1 - step / steps, 0.6, 0.6)) for step in range(steps)]
        places = {round(share * (count - 1)) for share in shares}
        found = table.sigmas[sorted(places, reverse=True)]
    else:
        raise AssertionError(name)
    return [*found.tolist(), 0.0]


def ksampler_sigmas(sampler: str, scheduler: str, table: Table, steps: int, denoise: float = 1.0) -> list[float]:
    """Those of the node KSampler: some samplers leave out the last level but one, and less denoise is the end of a
    longer schedule."""
    total = steps if denoise >= 1 else int(steps / denoise)
    if sampler in ("dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"):
        found = schedule(scheduler, table, total + 1)
        del found[-2]
    else:
        found = schedule(scheduler, table, total)
    return found if denoise >= 1 else found[-(steps + 1) :]


def noise(seed: int, shape: Sequence[int]) -> Tensor:
    """One draw for the whole batch."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def noised(latent: Tensor, drawn: Tensor, sigma: float, table: Table) -> Tensor:
    """What a sampler begins with; a model that was trained up to there sees noise whose variance is one more."""
    if table.flow:
        return sigma * drawn + (1 - sigma) * latent
    most = float(table.sigmas[-1])
    pure = sigma > most or math.isclose(sigma, most, rel_tol=1e-5)
    return latent + drawn * (math.sqrt(1 + sigma**2) if pure else sigma)


def sample(name: str, model: Denoise, x: Tensor, sigmas: Sequence[float], seed: int, table: Table) -> Tensor:
    levels = torch.tensor(sigmas, dtype=torch.float32)
    drawn = torch.Generator().manual_seed(seed + 1)

    def fresh() -> Tensor:
        return torch.randn(x.shape, generator=drawn)

    if name.startswith("uni_pc"):
        return _unipc(model, x, [float(sigma) for sigma in levels], "bh2" if name.endswith("2") else "bh1")
    if "_sde" in name:
        return _sde(name, model, x, levels, seed, table)
    if name == "lms":
        return _lms(model, x, levels)
    old: Any = None
    for place in range(len(levels) - 1):
        here, there = levels[place], levels[place + 1]
        clean = model(x, here)
        slope = (x - clean) / here
        if there == 0:
            return clean
        if name in ("euler", "ddim"):
            x = x + slope * (there - here)
        elif name == "euler_ancestral" and table.flow:
            down = there * (1 + (there / here - 1))
            rise = (1 - there) / (1 - down)
            x = x + slope * (down - here)
            x = rise * x + (there**2 - (down * rise) ** 2).sqrt() * fresh()
        elif name == "euler_ancestral":
            down, up = _ancestral(here, there)
            x = x + slope * (down - here) + up * fresh()
        elif name == "lcm":
            x = there * fresh() + ((1 - there) * clean if table.flow else clean)
        elif name == "dpmpp_2m":
            new = clean
            if old is not None:
                ratio = (-here.log() + levels[place - 1].log()) / (-there.log() + here.log())
                new = clean + (clean - old) / (2 * ratio)
            x = there / here * x + (1 - there / here) * new
            old = clean
        else:
            x = _second(name, model, x, clean, here, there, fresh)
    return x


def _second(
    name: str, model: Denoise, x: Tensor, clean: Tensor, here: Tensor, there: Tensor, fresh: Callable[[], Tensor]
) -> Tensor:
    """A step of the samplers that are not in the grid of all schedulers."""
    slope = (x - clean) / here
    if name == "heun":
        guess = x + slope * (there - here)
        return x + (slope + (guess - model(guess, there)) / there) * (there - here) / 2
    if name in ("dpm_2", "dpm_2_ancestral"):
        down, up = _ancestral(here, there) if name.endswith("ancestral") else (there, torch.zeros(()))
        middle = (here.log() / 2 + down.log() / 2).exp()
        guess = x + slope * (middle - here)
        return x + (guess - model(guess, middle)) / middle * (down - here) + up * fresh()
    if name == "dpmpp_2s_ancestral":
        down, up = _ancestral(here, there)
        middle = (here * down).sqrt()
        guess = middle / here * x + (1 - middle / here) * clean
        return down / here * x + (1 - down / here) * model(guess, middle) + up * fresh()
    if name == "ddpm":
        kept, kept_there = 1 / (1 + here**2), 1 / (1 + there**2)
        alpha = kept / kept_there
        mean = (x * kept.sqrt() - (1 - alpha) / (1 - kept).sqrt() * slope) / alpha.sqrt()
        mean = mean + ((1 - alpha) * (1 - kept_there) / (1 - kept)).sqrt() * fresh()
        return mean / kept_there.sqrt()
    raise AssertionError(name)


def _ancestral(here: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """As k-diffusion writes it: where little of `here` is left, the last bits of these squares decide."""
    up = torch.minimum(there, (there**2 * (here**2 - there**2) / here**2).sqrt())
    return (there**2 - up**2).sqrt(), up


def _lms(model: Denoise, x: Tensor, levels: Tensor) -> Tensor:
    at = [float(level) for level in levels]
    slopes: list[Tensor] = []
    for place in range(len(at) - 1):
        clean = model(x, levels[place])
        if at[place + 1] == 0:
            return clean
        slopes = [(x - clean) / at[place], *slopes][:4]
        known = [at[place - back] for back in range(len(slopes))]
        for number, slope in enumerate(slopes):
            others = [level for level in known if level != known[number]]

            def lagrange(tau: float, own: float = known[number], others: list[float] = others) -> float:
                return math.prod((tau - other) / (own - other) for other in others)

            x = x + quad(lagrange, at[place], at[place + 1], epsrel=1e-4)[0] * slope
    return x


def _sde(name: str, model: Denoise, x: Tensor, levels: Tensor, seed: int, table: Table) -> Tensor:
    """DPM-Solver++ with noise of a Brownian path, in lambda = log(alpha / sigma)."""
    low, high = levels[levels > 0].min(), levels.max()
    path: Any = torchsde.BrownianTree(low, torch.zeros_like(x), high, entropy=seed)

    def between(one: Tensor, other: Tensor) -> Tensor:
        return path(min(one, other), max(one, other)) * (1 if one < other else -1) / (one - other).abs().sqrt()

    def lam(sigma: Tensor) -> Tensor:
        return -torch.logit(sigma) if table.flow else -sigma.log()

    def of(snr: Tensor) -> Tensor:
        return torch.sigmoid(-snr) if table.flow else torch.exp(-snr)

    def alpha(sigma: Tensor) -> Tensor:
        return 1 - sigma if table.flow else torch.ones(())

    if table.flow and levels[0] >= 1:
        levels = levels.clone()
        # Before any signal there is no ratio: a ten-thousandth later.
        levels[0] = table.sigma(torch.tensor((1 - 1e-4) * 1000))
    history: list[tuple[Tensor, Tensor]] = []
    for place in range(len(levels) - 1):
        here, there = levels[place], levels[place + 1]
        clean = model(x, here)
        if there == 0:
            return clean
        h = lam(there) - lam(here)
        if name == "dpmpp_sde":
            middle = of(lam(here) + h / 2)
            guess = _to(x, clean, here, middle, lam, alpha) + _up(here, middle, lam, alpha) * between(here, middle)
            found = model(guess, middle)
            x = _to(x, found, here, there, lam, alpha) + _up(here, there, lam, alpha) * between(here, there)
            continue
        x = there / here * torch.exp(-h) * x + alpha(there) * (1 - torch.exp(-2 * h)) * clean
        if name == "dpmpp_2m_sde" and history:
            before, last = history[0]
            x = x + alpha(there) * (1 - torch.exp(-2 * h)) / 2 * h / last * (clean - before)
        if name == "dpmpp_3m_sde" and history:
            first = (clean - history[0][0]) * h / history[0][1]
            phi_2 = torch.expm1(-2 * h) / (2 * h) + 1
            if len(history) > 1:
                near, far = history[0][1] / h, history[1][1] / h
                before = (history[0][0] - history[1][0]) / far
                second = (first - before) / (near + far)
                phi_3 = phi_2 / (2 * h) - 0.5
                x = x + alpha(there) * (phi_2 * (first + near * second) - phi_3 * second)
            else:
                x = x + alpha(there) * phi_2 * first
        x = x + there * (1 - torch.exp(-2 * h)).sqrt() * between(here, there)
        history = [(clean, h), *history][:2]
    return x


def _to(x: Tensor, clean: Tensor, here: Tensor, there: Tensor, lam: Any, alpha: Any) -> Tensor:
    """Without the noise: down to where an ancestral step in sigma / alpha leads."""
    down, _ = _ancestral(torch.exp(-lam(here)), torch.exp(-lam(there)))
    part = down / torch.exp(-lam(here))
    return alpha(there) / alpha(here) * part * x + alpha(there) * (1 - part) * clean


def _up(here: Tensor, there: Tensor, lam: Any, alpha: Any) -> Tensor:
    return alpha(there) * _ancestral(torch.exp(-lam(here)), torch.exp(-lam(there)))[1]


def _unipc(model: Denoise, x: Tensor, sigmas: list[float], variant: str) -> Tensor:
    """Zhao et al. 2023, algorithms 5 to 8, in the scale of constant variance and float64: predictor and corrector of
    order three, fewer at both ends; the last sigma is 0.001 in the place of 0, and there is no corrector."""
    sigmas = [*sigmas[:-1], sigmas[-1] or 0.001]
    alphas = [1 / math.sqrt(1 + sigma**2) for sigma in sigmas]
    deviations = [sigma * alpha for sigma, alpha in zip(sigmas, alphas, strict=True)]
    lams = [math.log(alpha / deviation) for alpha, deviation in zip(alphas, deviations, strict=True)]
    last = len(sigmas) - 1
    most = min(3, last - 1)
    z = x.double() * alphas[0]

    def data(at: Tensor, place: int) -> Tensor:
        return model((at / alphas[place]).float(), torch.tensor(sigmas[place])).double()

    known = {0: data(z, 0)}
    for place in range(1, last + 1):
        order = min(place, most, last + 1 - place)
        h = lams[place] - lams[place - 1]
        weight = -h if variant == "bh1" else math.expm1(-h)
        base = deviations[place] / deviations[place - 1] * z - alphas[place] * math.expm1(-h) * known[place - 1]
        ratios = [(lams[place - 1 - back] - lams[place - 1]) / h for back in range(1, order)]
        turns = [(known[place - 1 - back] - known[place - 1]) / ratios[back - 1] for back in range(1, order)]

        def added(ratios: list[float], turns: list[Tensor], h: float = h, weight: float = weight) -> Tensor | float:
            if not ratios:
                return 0.0
            phi, wanted = math.expm1(-h) / -h - 1, []
            for power in range(len(ratios)):
                wanted.append(math.factorial(power + 1) * phi / weight)
                phi = phi / -h - 1 / math.factorial(power + 2)
            rows = [[ratio**power for ratio in ratios] for power in range(len(ratios))]
            shares = [0.5] if len(ratios) == 1 else numpy.linalg.solve(rows, wanted).tolist()
            return sum((share * turn for share, turn in zip(shares, turns, strict=True)), torch.zeros(()))

        z = base - alphas[place] * weight * added(ratios, turns)
        if place < last:
            known[place] = data(z, place)
            z = base - alphas[place] * weight * added([*ratios, 1.0], [*turns, known[place] - known[place - 1]])
    return (z / alphas[-1]).float()
