"""What distillations share: what a prediction means, and one module that is teacher, and with its LoRA student."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .computing import half_precision
from .loop import torch_generator

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Meaning:
    """How a denoiser's output is read: `prediction` is what it predicts, as schedulers of diffusers name it."""

    prediction: str

    def clean(self, noisy: Tensor, predicted: Tensor, power: Tensor) -> Tensor:
        """The clean latent that a prediction means; `power` (B, 1, 1, 1)."""
        signal, sigma = power.sqrt(), (1 - power).sqrt()
        if self.prediction == "v_prediction":
            return signal * noisy - sigma * predicted
        if self.prediction == "sample":
            return predicted
        return (noisy - sigma * predicted) / signal

    @staticmethod
    def noised(clean: Tensor, noise: Tensor, power: Tensor) -> Tensor:
        """A clean latent with noise, of which signal power `power` is left."""
        return power.sqrt() * clean + (1 - power).sqrt() * noise

    @staticmethod
    def moved(noisy: Tensor, clean: Tensor, power: Tensor, after: Tensor) -> Tensor:
        """One deterministic (DDIM) step from signal power `power` to `after`."""
        noise = (noisy - power.sqrt() * clean) / (1 - power).sqrt()
        return after.sqrt() * clean + (1 - after).sqrt() * noise


class Pair:
    """A UNet with a LoRA beside its weights: with it the student, without it the teacher. All answers are float32."""

    def __init__(self, unet: Any, device: Any, dtype: Any) -> None:
        self.unet, self.device, self._dtype = unet, device, dtype

    def __call__(self, noisy: Tensor, times: Tensor, text: Tensor) -> Tensor:
        """What is predicted of latents (B, C, h, w) at timesteps, () or (B,), told texts (B, tokens, channels)."""
        given = self.laid_out(noisy)
        with self.precision(given):
            return self.unet(given, times, text.to(self._dtype), return_dict=False)[0].float()

    def laid_out(self, noisy: Tensor) -> Tensor:
        """Latents as the UNet computes with them fastest."""
        import torch

        return noisy.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def precision(self, latents: Tensor) -> Any:
        return half_precision(self.device, self._dtype, latents)

    @contextmanager
    def teaching(self) -> Iterator[None]:
        """The UNet is the teacher inside the block."""
        self.unet.disable_adapters()
        try:
            yield
        finally:
            self.unet.enable_adapters()

    def guided(self, noisy: Tensor, times: Tensor, text: Tensor, empty: Tensor, guidance: Tensor | float) -> Tensor:
        """What the teacher predicts, without gradients; `guidance` of one number or of one an image, (B, 1, 1, 1).
        `empty` (1, tokens, channels) is what its unguided half is told."""
        import torch

        with torch.no_grad(), self.teaching():
            if isinstance(guidance, float) and guidance <= 1:
                return self(noisy, times, text)
            both = torch.cat([empty.expand_as(text), text])
            twice = times if times.ndim == 0 else torch.cat([times, times])
            plain, told = self(torch.cat([noisy, noisy]), twice, both).chunk(2)
            return plain + guidance * (told - plain)


class Unlearning(Pair):
    """A UNet that stays as it is, while what it is told learns: always the teacher."""

    @contextmanager
    def teaching(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class Ends(Meaning):
    """Consistency functions: what a student says the end of the way is, from any place of it.

    `f(z, t) = c_skip(t) z + c_out(t) clean(z, t)`, with the factors of diffusers' LCMScheduler, which samples it:
    `c_skip = 0.25 / ((10 t)^2 + 0.25)`, `c_out = 10 t / sqrt((10 t)^2 + 0.25)`. So f(z, 0) = z. `lcm` is that
    scheduler, `alphas` (T,) the signal power by timestep.
    """

    lcm: Any
    alphas: Tensor

    @classmethod
    def of(cls, scheduler: Mapping[str, Any]) -> Ends:
        from diffusers.schedulers.scheduling_lcm import LCMScheduler

        made: Any = LCMScheduler.from_config({**scheduler, "clip_sample": False})
        return cls(made.config["prediction_type"], made, made.alphas_cumprod.float())

    def times(self, steps: int, grid: int | None = None) -> Tensor:
        """The timesteps (steps,) at which so many steps are made, the noisiest first, out of the `grid` ones that the
        way is divided into."""
        self.lcm.set_timesteps(steps, original_inference_steps=grid)
        return self.lcm.timesteps.long()

    def power(self, times: Tensor) -> Tensor:
        """Signal power (B, 1, 1, 1) at timesteps (B,)."""
        return self.alphas.to(times.device)[times][:, None, None, None]

    def __call__(self, pair: Pair, noisy: Tensor, times: Tensor, text: Tensor) -> Tensor:
        """The end (B, C, h, w), from latents at timesteps (B,)."""
        skip, out = self.lcm.get_scalings_for_boundary_condition_discrete(times[:, None, None, None])
        return skip * noisy + out * self.clean(noisy, pair(noisy, times, text), self.power(times))

    def sample(self, pair: Pair, text: Tensor, shape: Sequence[int], steps: int, seed: int) -> Tensor:
        """The student's latents (B, C, h, w) for texts, as the sampler `lcm` makes them, on the CPU."""
        import torch

        generator = torch_generator(seed, 0)
        state = end = torch.randn((len(text), *shape), generator=generator)
        with torch.no_grad():
            for time in self.times(steps):
                said = pair(state.to(pair.device), time.to(pair.device), text).cpu()
                state, end = self.lcm.step(said, time, state, generator, return_dict=False)
        return end
