"""The denoising loop: one for all families and samplers, so every step can be shown, stopped, kept and gone on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from safelight.sdk import Context, Latent

from .finite import Watch
from .k_diffusion.process import Process
from .latents import painted_part
from .noise import BrownianNoise, draw, draw_whole, generators
from .preview import Previewer
from .state import carried, marks, put_back

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .guidance import Guide
    from .schedule import Schedule

REBUILT = ("noise_sampler",)
"""What a scheduler has that is made again from the seed instead of being kept."""


@dataclass
class Run:
    """One call of a sampler.

    `fresh` is True when the run starts from pure noise and the latent only gives the size. `blend` puts the original
    back outside the latent's mask after each step. `leave_noise` keeps the noise of a schedule that stops early.
    """

    schedule: Schedule
    guide: Guide
    latent: Latent
    seed: int
    fresh: bool
    blend: bool
    leave_noise: bool
    previewer: Previewer
    ctx: Context
    noise: Tensor | None = None
    """In the place of what is drawn from the seed, with which later draws go on as ever."""

    def __call__(self) -> Latent:
        import torch

        # Not inference_mode: its tensors track no versions, so nobody could check that later nodes leave them alone.
        with torch.no_grad():
            samples = self._denoise().to("cpu", torch.float32)
        level = self.schedule.levels[-1] if self.leave_noise else 0.0
        return replace(self.latent, samples=samples, noise=level, family=self.latent.family or self.guide.family)

    def _denoise(self) -> Tensor:
        schedule, ctx, device = self.schedule, self.ctx, self.guide.device
        scheduler, kind = schedule.scheduler, schedule.kind
        original = self.latent.samples.to(device)
        mask = self.latent.mask.to(device) if self.blend and self.latent.mask is not None else None
        whole = isinstance(scheduler, Process)
        sources = [] if whole else generators(self.seed, original.shape[0])
        drawn = draw_whole(self.seed, original.shape) if whole else draw(sources, original.shape[1:])
        noise = (drawn if self.noise is None else self.noise).to(device)
        if whole:
            # It looks after the mask by itself.
            ready = bool(self.latent.noise)
            samples = scheduler.begin(original, noise, self.seed, mask, self.latent.greys, ready=ready)
            mask = None
        else:
            samples = self._start(original, noise, sources)
        arguments: dict[str, Any] = dict(kind.arguments)
        if kind.noise == "generator":
            arguments["generator"] = sources
        if kind.noise == "brownian":
            scheduler.noise_sampler = BrownianNoise(original.shape, scheduler.sigmas, self.seed, device)
        before = marks(scheduler)
        first, samples = self._resumed(samples, sources)
        watch = Watch(schedule.steps)
        for call in range(first, schedule.calls):
            if call > first and ctx.checkpoint_due(call, schedule.calls):
                watch.settle()
                ctx.checkpoint(self._state(call, samples, sources, before))
            ctx.check_cancelled()
            timestep = schedule.timesteps[call]
            scaled = scheduler.scale_model_input(samples, timestep)
            # The call that takes nearly all of the memory, and changes nothing: it can be made again, to the same bits.
            predicted = ctx.models.retry(partial(self.guide.predict, scaled, timestep, schedule.window(call)), ctx.warn)
            done = schedule.finished(call)
            preview = None
            if done is not None and ctx.wants_preview():
                preview = self.previewer(schedule.clean(samples, predicted, call))
            samples = scheduler.step(predicted, timestep, samples, return_dict=False, **arguments)[0]
            if mask is not None and (done is not None or not kind.midpoint):
                outside = original
                if call + 1 < len(schedule.timesteps):
                    outside = scheduler.add_noise(original, noise, _batched(schedule.timesteps[call + 1]))
                kept = painted_part(mask, self.latent.greys, schedule.window(call)[1])
                samples = (1 - kept) * outside + kept * samples
            if done is not None:
                watch.see(min(done, schedule.steps), samples)
                ctx.progress(min(done, schedule.steps), schedule.steps, preview)
        watch.settle()
        return schedule.to_shared(samples, schedule.levels[-1]) if self.leave_noise else samples

    def _start(self, original: Tensor, noise: Tensor, sources: Sequence[torch.Generator]) -> Tensor:
        schedule = self.schedule
        if self.fresh:
            return noise * schedule.scheduler.init_noise_sigma
        if self.latent.noise:
            if schedule.kind.noise == "generator":
                # The steps before this part have used one draw each: going on behind them, a run made of several
                # parts has the same noise as one made at once.
                for _ in range(schedule.first):
                    draw(sources, original.shape[1:])
            return schedule.from_shared(original, schedule.levels[0])
        return schedule.scheduler.add_noise(original, noise, _batched(schedule.timesteps[0]))

    def _state(
        self, call: int, samples: Tensor, sources: Sequence[torch.Generator], before: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "call": call,
            "calls": self.schedule.calls,
            "samples": samples.clone(),
            "scheduler": carried(self.schedule.scheduler, before, without=REBUILT),
            "generators": [source.get_state() for source in sources],
        }

    def _resumed(self, samples: Tensor, sources: Sequence[torch.Generator]) -> tuple[int, Tensor]:
        """The first call to make and the samples before it, with everything put back that a stopped run left."""
        kept = self.ctx.restore()
        if kept is None or kept["calls"] != self.schedule.calls or kept["samples"].shape != samples.shape:
            return 0, samples
        put_back(self.schedule.scheduler, kept["scheduler"], samples.device)
        for source, value in zip(sources, kept["generators"], strict=True):
            source.set_state(value)
        return kept["call"], kept["samples"].to(samples.device).clone()


def _batched(timestep: Tensor) -> Tensor:
    return timestep.reshape(1)
