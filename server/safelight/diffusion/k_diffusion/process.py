"""The steps of a run, made call by call: what stands in the place of a scheduler of diffusers in our loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from safelight.diffusion.latents import painted_part
from safelight.diffusion.modular import Outside
from safelight.diffusion.noise import BrownianNoise, draw_whole, generator

from .methods import METHODS
from .step import Step

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .levels import Levels
    from .step import Asked, Kept


class Process:
    """Makes the steps of a method along sigmas, one call of the model after the other.

    `calls` are the step of each call and its sigma; `told` what the model is told of it. A step that asks the model
    twice is made again from its start with each answer: so all that there is to keep between two calls are tensors.
    """

    def prepare(self, levels: Levels, name: str, sigmas: Tensor) -> None:
        """`sigmas` are those before each step and after the last one. Beside a scheduler of diffusers, of which it
        takes the steps, this class has no constructor of its own."""
        self.levels, self.method = levels, METHODS[name]
        self.range = sigmas
        self.along = self._without_start(sigmas)
        self.index = 0
        self.call = 0
        self.x: Tensor | None = None
        self.start: Tensor | None = None
        self.answers: list[Tensor] = []
        self.drawn: list[Tensor] = []
        self.kept: Kept = {}
        self.generator: torch.Generator | None = None
        self.noise_sampler: Callable[[Tensor, Tensor], Tensor] | None = None
        self.outside: Outside | None = None
        self.calls = self._planned()
        self.told = [levels.timestep(sigma) for _, sigma in self.calls]

    @property
    def steps(self) -> int:
        return len(self.along) - 1

    def _without_start(self, sigmas: Tensor) -> Tensor:
        """Where a flow begins there is no signal: methods that count its share begin a ten-thousandth later."""
        if not (self.levels.flow and self.method.by_snr and len(sigmas) > 1 and sigmas[0] >= 1):
            return sigmas
        found = sigmas.clone()
        found[0] = self.levels.at(1e-4)
        return found

    def _planned(self) -> list[tuple[int, Tensor]]:
        """The calls that there will be, found by making all steps with a sample of one number."""
        import torch

        found: list[tuple[int, Tensor]] = []
        zero, kept = torch.zeros(1), {}
        for index in range(self.steps):
            step = Step(zero, zero, self.along, index, self.levels.flow, lambda *_: zero, kept)
            made = self.method.make(step)
            found.append((index, step.sigma))
            if not isinstance(made, torch.Tensor):
                found += [(index, sigma) for sigma in _places(made, zero)]
            kept = step.kept
        return found

    def begin(
        self,
        original: Tensor,
        noise: Tensor,
        seed: int,
        mask: Tensor | None = None,
        greys: str = "mix",
        *,
        ready: bool = False,
        placed: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> Tensor:
        """The samples of the first call: a latent (B, C, ...) with the noise of the first level, or as it is when it is
        `ready`. Noise of steps is drawn from `seed`. Outside of a mask (1 is painted) the latent stays. `placed` brings
        latents to the form that later samples have."""
        self._source(original.shape, seed, original.device, placed)
        # Of pure noise there is as much as the model saw in training, whose latents have a variance of one, too.
        pure = self.levels.is_greatest(float(self.range[0]))
        x = original.clone() if ready else self.noisy(original, noise, self.range[0], pure=pure)
        if mask is None:
            return x
        around = draw_whole(seed + 1, noise.shape).to(noise) if self.method.masked == "other" else noise
        self.outside = Outside(placed(original), placed(around), placed(mask.expand_as(noise)), greys)
        self.x = placed(x)
        part = self._painted(mask, greys)
        return x * part + self.noisy(original, around, self.range[0]) * (1 - part)

    def _source(
        self, shape: Sequence[int], seed: int, device: torch.device, placed: Callable[[Tensor], Tensor]
    ) -> None:
        import torch

        if self.method.noise == "fresh":
            # On the CPU the seed itself has drawn the noise of the start.
            source = self.generator = generator(seed + (device.type == "cpu"), device)
            self.noise_sampler = lambda *_: placed(torch.randn(tuple(shape), generator=source, device=device))
        if self.method.noise == "brownian":
            path = BrownianNoise(shape, self.range, seed, device, whole=True)
            self.noise_sampler = lambda sigma, after: placed(path(sigma, after))

    def noisy(self, latent: Tensor, noise: Tensor, sigma: Tensor, *, pure: bool = False) -> Tensor:
        if self.levels.flow:
            return sigma * noise + (1 - sigma) * latent
        return latent + noise * ((1 + sigma**2).sqrt() if pure else sigma)

    def scale_model_input(self, samples: Tensor, timestep: Any) -> Tensor:
        """The samples as the model takes them."""
        del timestep
        sigma = self.calls[self.call][1]
        return samples if self.levels.flow else samples / (sigma**2 + 1) ** 0.5

    def denoised(self, samples: Tensor, predicted: Tensor) -> Tensor:
        """What the model takes for the finished latent, by its prediction at the samples of this call."""
        sigma, kind = self.calls[self.call][1], self.levels.prediction
        if kind in ("epsilon", "flow_prediction"):
            return samples - predicted * sigma
        if kind == "v_prediction":
            return samples / (sigma**2 + 1) - predicted * sigma / (sigma**2 + 1) ** 0.5
        return predicted

    def step(self, predicted: Tensor, timestep: Any, samples: Tensor, *, return_dict: bool = False) -> tuple[Tensor]:
        """The samples of the next call, or the last ones, from those of this call and the prediction there."""
        del timestep, return_dict
        denoised = self.denoised(samples, predicted)
        # Inside, samples go on without what is put outside of the mask for the model.
        x = samples if self.x is None else self.x
        if self.outside is not None:
            mask = self._painted(self.outside.mask, self.outside.greys)
            denoised = denoised * mask + self.outside.original * (1 - mask)
        if not self.answers:
            self.start = x
        self.answers = [*self.answers, denoised]
        self.x = self._next()
        self.call += 1
        if self.outside is None or self.call >= len(self.calls):
            return (self.x,)
        mask, sigma = self._painted(self.outside.mask, self.outside.greys), self.calls[self.call][1]
        return (self.x * mask + self.noisy(self.outside.original, self.outside.noise, sigma) * (1 - mask),)

    def _next(self) -> Tensor:
        import torch

        assert self.start is not None
        taken = iter(self.drawn)
        step = Step(
            self.start, self.answers[0], self.along, self.index, self.levels.flow, self._noise(taken), self.kept
        )
        made = self.method.make(step)
        if not isinstance(made, torch.Tensor):
            try:
                x, _ = next(made)
                for answer in self.answers[1:]:
                    x, _ = made.send(answer)
                return x
            except StopIteration as done:
                made = done.value
        self.index, self.answers, self.drawn, self.kept = self.index + 1, [], [], step.kept
        return made

    def _noise(self, taken: Any) -> Callable[[Tensor, Tensor], Tensor]:
        """Noise for a step that may be made again: what it has drawn before comes again."""

        def draw(sigma: Tensor, after: Tensor) -> Tensor:
            found = next(taken, None)
            if found is None:
                assert self.noise_sampler is not None
                found = self.noise_sampler(sigma, after)
                self.drawn = [*self.drawn, found]
            return found

        return draw

    def _painted(self, mask: Tensor, greys: str) -> Tensor:
        """Where is painted in this call. Greys of the differential kind are counted down evenly over the times of the
        training, from the first sigma to the last."""
        if greys == "mix":
            return mask
        sigma = self.calls[min(self.call, len(self.calls) - 1)][1]
        least = max(float(self.levels.least), float(self.range[-1]))
        first, last, here = (self.levels.part(float(level)) for level in (self.range[0], least, sigma))
        return painted_part(mask, greys, (here - first) / (last - first) if last > first else 1.0)


def _places(made: Asked, zero: Tensor) -> list[Tensor]:
    """The sigmas at which a step asks the model once more."""
    found: list[Tensor] = []
    try:
        found.append(next(made)[1])
        while True:
            found.append(made.send(zero)[1])
    except StopIteration:
        return found
