"""From a finished latent back to the noise it would be made of: the way of Euler's method (DDIM), gone backwards.

DDIM inversion, Song et al. 2020 (https://arxiv.org/abs/2010.02502), takes the slope where a step begins; a step down
takes it where the step up ends. Made over with the slope at what it led to, a step comes to the point from which the
step down leads back (fixed points as in Pan et al. 2023, https://arxiv.org/abs/2309.04907).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from safelight.sdk import Context, Latent

from .finite import Watch

if TYPE_CHECKING:
    from .guidance import Guide
    from .preview import Previewer
    from .schedule import Schedule


def invert(schedule: Schedule, guide: Guide, latent: Latent, passes: int, previewer: Previewer, ctx: Context) -> Latent:
    """The noise of a latent, in the samples of a latent like it, of a deviation near 1 as samplers begin with it.

    Args:
        schedule: the whole schedule of `euler`, as for sampling.
        guide: predicts, with the guidance that sampling will have.
        latent: a finished one.
        passes: how often each step is made; 1 is DDIM inversion.
        previewer: shows what the model sees.
        ctx: is told of each step, and keeps the state.
    """
    scheduler, steps = schedule.scheduler, schedule.steps
    samples, first = latent.samples.to(guide.device), 0
    kept = ctx.restore()
    if kept is not None and kept["steps"] == steps and kept["samples"].shape == samples.shape:
        samples, first = kept["samples"].to(guide.device), kept["done"]
    watch = Watch(steps)
    for done in range(first, steps):
        if done > first and ctx.checkpoint_due(done, steps):
            ctx.checkpoint({"done": done, "steps": steps, "samples": samples.clone()})
        call = steps - 1 - done
        low, high = float(scheduler.sigmas[call + 1]), float(scheduler.sigmas[call])
        timestep, reached, clean = schedule.timesteps[call], samples, samples
        for _ in range(passes):
            ctx.check_cancelled()
            scaled = reached / (high**2 + 1) ** 0.5
            predicted = ctx.models.retry(partial(guide.predict, scaled, timestep, schedule.window(call)), ctx.warn)
            clean = schedule.clean(reached, predicted, call)
            reached = samples + (high - low) / high * (reached - clean)
        samples = reached
        watch.see(done + 1, samples)
        ctx.progress(done + 1, steps, previewer(clean) if ctx.wants_preview() else None)
    watch.settle()
    noise = samples / float(scheduler.init_noise_sigma)
    return replace(latent, samples=noise.to("cpu"), family=latent.family or guide.family)
