"""Which steps a run takes, by the schedulers of k-diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion.samplers import SamplerKind
from safelight.diffusion.schedule import Schedule

from .levels import Levels, levels_of
from .methods import METHODS
from .process import Process
from .schedules import sigmas_of

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest

NAME = "k-diffusion"
_KIND = SamplerKind(NAME, exploding=True)


@dataclass
class ProcessSchedule(Schedule):
    """A schedule whose scheduler is a `Process`."""

    def window(self, call: int) -> tuple[float, float]:
        """Evenly over the times of the training, as ranges of prompts and ControlNets are meant with these formulas.
        A call at the least level of all is before the end, too."""
        process: Process = self.scheduler
        sigmas = [float(sigma) for _, sigma in process.calls[call : call + 2]] + [float(process.along[-1])]
        first, last = (round(process.levels.part(sigma), 6) for sigma in sigmas[:2])
        return min(first, 1 - 1e-6), last

    def finished(self, call: int) -> int | None:
        calls = self.scheduler.calls
        done = calls[call][0] + 1
        return None if call + 1 < len(calls) and calls[call + 1][0] < done else done

    def clean(self, samples: Tensor, predicted: Tensor, call: int) -> Tensor:
        del call
        return self.scheduler.denoised(samples, predicted)


def plan(settings: Mapping[str, Any], request: SampleRequest) -> ProcessSchedule:
    """The schedule of a request, whose sampler and scheduler are names of k-diffusion."""
    process = Process()
    process.prepare(*prepared(settings, request))
    return ProcessSchedule(
        scheduler=process,
        kind=_KIND,
        timesteps=process.told,
        calls=len(process.calls),
        steps=process.steps,
        levels=process.range.tolist(),
        first=request.first,
    )


def prepared(settings: Mapping[str, Any], request: SampleRequest) -> tuple[Levels, str, Tensor]:
    """What a `Process` is prepared with: the levels of the model, the method, and the sigmas of the run."""
    import torch

    levels = levels_of(settings, request.shift, request.flow_levels)
    if request.sigmas:
        return levels, request.sampler, torch.tensor(request.sigmas, dtype=torch.float32)
    return levels, request.sampler, _cut(sampler_sigmas(levels, request), request)


def sampler_sigmas(levels: Levels, request: SampleRequest) -> Tensor:
    """The sigmas of a sampler by name: some leave out the level before 0, and make as many steps."""
    if not METHODS[request.sampler].skips_last:
        return sigmas_of(levels, request.scheduler, request.steps)
    sigmas = sigmas_of(levels, request.scheduler, request.steps + 1)
    return sigmas[[*range(len(sigmas) - 2), -1]]


def _cut(sigmas: Tensor, request: SampleRequest) -> Tensor:
    """The part of a schedule that is made. Schedulers may give a step more or less than they were asked for: what is
    left of an image counts from the end, and parts count from the beginning."""
    if not request.part:
        return sigmas[-(request.steps - request.first + 1) :] if request.first else sigmas
    if request.end is not None and request.end < len(sigmas) - 1:
        sigmas = sigmas[: request.end + 1].clone()
        if not request.leave_noise:
            sigmas[-1] = 0
    return sigmas[request.first :]
