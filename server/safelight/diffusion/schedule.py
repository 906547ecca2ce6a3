"""Which steps a run takes: the whole schedule, its end (an image to start from), or a part of it (chained samplers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError

from .samplers import SamplerKind, find_sampler, make_scheduler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Schedule:
    """A scheduler set to a number of steps, and the model calls to make with it.

    `timesteps` are those of all calls from the first step of this run to the end of the schedule, of which the first
    `calls` are made. `levels` holds sigma before each of the run's steps and after the last one. `first` is the step it
    begins with, `before` how many calls of the schedule lie before it and still count when fractions are meant.
    """

    scheduler: Any
    kind: SamplerKind
    timesteps: list[Tensor]
    calls: int
    steps: int
    levels: list[float]
    first: int = 0
    before: int = 0

    def window(self, call: int) -> tuple[float, float]:
        """Where in the schedule a call begins and ends, as fractions."""
        total = self.before + len(self.timesteps)
        return (self.before + call) / total, (self.before + call + 1) / total

    def finished(self, call: int) -> int | None:
        """How many of the run's steps are done after this call; None between two stages of one step."""
        last = call == len(self.timesteps) - 1
        if self.kind.stages == 2:
            return (call + 2) // 2 if last or call % 2 else None
        if self.kind.method == "PNDMScheduler":
            return call if call else (1 if last else None)
        return call + 1

    def clean(self, samples: Tensor, predicted: Tensor, call: int) -> Tensor:
        """What the denoiser takes for the finished latent, from the samples before a call and its prediction."""
        scheduler = self.scheduler
        prediction = scheduler.config.prediction_type
        if prediction in ("sample", "original_sample"):
            return predicted
        if hasattr(scheduler, "sigmas"):
            sigma = scheduler.sigmas[(scheduler.begin_index or 0) + call]
            alpha = 1 / (1 + sigma**2) ** 0.5
        else:
            alpha = scheduler.alphas_cumprod[self.timesteps[call]] ** 0.5
        beta = (1 - alpha**2) ** 0.5
        noisy = samples * alpha if self.kind.exploding else samples
        return alpha * noisy - beta * predicted if prediction == "v_prediction" else (noisy - beta * predicted) / alpha

    def to_shared(self, samples: Tensor, level: float) -> Tensor:
        """From the scheduler's own scale to `clean latent + sigma * noise`."""
        return samples if self.kind.exploding else samples * (1 + level**2) ** 0.5

    def from_shared(self, samples: Tensor, level: float) -> Tensor:
        return samples if self.kind.exploding else samples / (1 + level**2) ** 0.5


def plan_steps(
    settings: Mapping[str, Any],
    sampler: str,
    scheduler: str,
    steps: int,
    first: int = 0,
    end: int | None = None,
    count_before: bool = False,
    sigmas: Sequence[float] = (),
) -> Schedule:
    """The schedule of a run from step `first` up to step `end` of `steps`.

    With `sigmas` they are its noise levels, one more than there are steps. Where the last one is not 0, the schedule
    stops there.

    Two schedulers of diffusers treat a start in the middle as if the steps before had been made: LMS takes weights for
    a history that is not there, and PNDM skips a step of its warm-up, so noise stays in the image. Both get a
    schedule that begins with the first step of this run instead, which is what their papers describe.

    Raises:
        ProblemError: the sampler cannot be used so; every reason at once.
    """
    kind = find_sampler(sampler)
    if sigmas:
        found = list(sigmas) if sigmas[-1] > 0 else list(sigmas[:-1])
        end, steps = len(sigmas) - 1, len(found)
        made = make_scheduler(settings, sampler, scheduler, lambda *_: found)
    else:
        made = make_scheduler(settings, sampler, scheduler)
    most = getattr(made.config, "original_inference_steps", None)
    if most is not None and steps > most:
        raise ProblemError(
            Problem(
                code="too_many_steps",
                message=f"{sampler} was asked for {steps} steps; the model was distilled on a schedule of {most}.",
                hint="4 to 8 steps are usual for it.",
                port="steps",
                value=steps,
            )
        )
    end = steps if end is None else end
    made.set_timesteps(steps, device="cpu")
    if made.timesteps.is_floating_point():
        # Some schedulers count in float64, which not every device has. Denoisers read timesteps in float32 anyhow.
        made.timesteps = made.timesteps.float()
    levels = _levels(made, kind, steps)
    skipped = kind.stages * first
    if first and not kind.starts_anywhere:
        _begin_late(made, kind, first)
    elif hasattr(made, "set_begin_index"):
        made.set_begin_index(skipped)
    timesteps = made.timesteps if first and not kind.starts_anywhere else made.timesteps[skipped:]
    count = end - first
    extra = 1 if kind.method == "PNDMScheduler" else 0
    return Schedule(
        scheduler=made,
        kind=kind,
        timesteps=list(timesteps),
        calls=min(kind.stages * count + extra, len(timesteps)),
        steps=count,
        levels=levels[first : end + 1],
        first=first,
        before=skipped if count_before else 0,
    )


def _levels(scheduler: Any, kind: SamplerKind, steps: int) -> list[float]:
    if hasattr(scheduler, "sigmas"):
        return [float(scheduler.sigmas[kind.stages * step]) for step in range(steps)] + [0.0]
    starts = _plms_steps(scheduler) if kind.method == "PNDMScheduler" else [int(t) for t in scheduler.timesteps]
    kept = [float(scheduler.alphas_cumprod[timestep]) for timestep in starts]
    return [((1 - alpha) / alpha) ** 0.5 if alpha else float("inf") for alpha in kept] + [0.0]


def _plms_steps(scheduler: Any) -> list[int]:
    """PNDM's timesteps, one a step: its list names the second one twice, for the correction of the first step."""
    found = [int(timestep) for timestep in scheduler.timesteps]
    return found[:1] + found[2:] if len(found) > 1 else found


def _begin_late(scheduler: Any, kind: SamplerKind, first: int) -> None:
    import torch

    if kind.method == "PNDMScheduler":
        rest = _plms_steps(scheduler)[first:]
        scheduler.timesteps = torch.tensor(rest[:2] + rest[1:], dtype=torch.int64)
        return
    scheduler.sigmas = scheduler.sigmas[first:]
    scheduler.timesteps = scheduler.timesteps[first:]
    scheduler.set_begin_index(0)
