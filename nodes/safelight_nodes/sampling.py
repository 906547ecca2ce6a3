"""Denoising: from noise and conditioning to a latent."""

from __future__ import annotations

from typing import Annotated

from safelight.diffusion.samplers import Sampler, Spacing
from safelight.sdk import (
    Conditioning,
    Context,
    Denoiser,
    Latent,
    ModelRef,
    Problem,
    ProblemError,
    SampleRequest,
    Seed,
    Slider,
    Toggle,
    node,
)

_Steps = Annotated[int, Slider(1, 150), "Number of steps. More take longer and change less and less."]
_Guidance = Annotated[
    float,
    Slider(0, 30, step=0.1),
    "How strongly the positive prompt is preferred to the negative one. 1 or less turns guidance off: "
    "the negative prompt is not looked at and a step takes half the time.",
]
_Sampler = Annotated[Sampler, "The method that removes the noise."]
_Spacing = Annotated[
    Spacing,
    "How the steps are spread over the noise levels. model: as the model's own settings say. karras, exponential and "
    "beta choose the noise levels themselves; linspace, leading and trailing choose evenly spaced training steps; "
    "trailing is also known as simple.",
]
_Seed = Annotated[int, Seed(), "Where the random noise starts. Picture k of a batch uses seed + k."]
_Rescale = Annotated[
    float,
    Slider(0, 1, step=0.05, zero="off"),
    "Brings the contrast back to that of the unguided picture, against the overexposure of strong guidance. "
    "0 is off; about 0.7 suits models that predict velocity.",
]


@node(version=1)
def sample(
    model: ModelRef[Denoiser],
    positive: Annotated[Conditioning, "What the picture should show."],
    negative: Annotated[Conditioning | None, "What it should not show. Needed when guidance is above 1."],
    latent: Annotated[Latent, "An empty latent for a new picture, or an encoded one to start from."],
    *,
    steps: _Steps = 20,
    guidance: _Guidance = 7.0,
    sampler: _Sampler = "dpmpp_2m",
    spacing: _Spacing = "model",
    seed: _Seed = 0,
    denoise: Annotated[
        float,
        Slider(0, 1, step=0.01),
        "How much of the latent is replaced. 1 starts from pure noise; less keeps more of the picture that the latent "
        "holds, and makes only the last part of the steps.",
    ] = 1.0,
    guidance_rescale: _Rescale = 0.0,
    ctx: Context,
) -> Latent:
    """Turn noise into a picture's latent, step by step, guided by the conditioning.

    With denoise below 1 the picture in the latent is changed instead of made anew. Where the latent has a mask, only
    the masked part is painted. The same inputs and seed give the same latent.
    """
    count = steps if denoise >= 1 else max(1, int(steps * denoise)) if denoise > 0 else 0
    if not count:
        return latent
    if latent.noise:
        raise ProblemError(
            Problem(
                code="latent_is_noisy",
                message=f"This latent is not finished: noise of {latent.noise:.3g} is left in it.",
                hint="Go on with sampling.sample_part, or let the sampler before it finish.",
                port="latent",
            )
        )
    request = SampleRequest(
        positive=positive,
        negative=negative,
        latent=latent,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        scheduler=spacing,
        seed=seed,
        rescale=guidance_rescale,
        first=steps - count,
        fresh=denoise >= 1,
    )
    return _run(model, request, ctx)


@node(version=1)
def sample_part(
    model: ModelRef[Denoiser],
    positive: Annotated[Conditioning, "What the picture should show."],
    negative: Annotated[Conditioning | None, "What it should not show. Needed when guidance is above 1."],
    latent: Annotated[Latent, "An empty or encoded latent, or one that another part left noise in."],
    *,
    steps: Annotated[int, Slider(1, 150), "Number of steps of the whole schedule."] = 20,
    start_step: Annotated[int, Slider(0, 150), "Steps of the schedule to leave out at its beginning."] = 0,
    end_step: Annotated[int, Slider(1, 150), "The step to stop after; at or above `steps`: go to the end."] = 150,
    leave_noise: Annotated[
        bool, Toggle(), "When stopping early, hand on the noisy latent for another part. Off: hand on a clean one."
    ] = True,
    guidance: _Guidance = 7.0,
    sampler: _Sampler = "dpmpp_2m",
    spacing: _Spacing = "model",
    seed: _Seed = 0,
    guidance_rescale: _Rescale = 0.0,
    ctx: Context,
) -> Latent:
    """Make some of the steps of a schedule, so that several samplers, models or prompts can share one picture.

    A clean latent gets the noise of the first step (pure noise at step 0); one that another part left noise in is gone
    on with as it is, and has to come from the same place of the schedule. With the same settings and seed, parts put
    together make the picture that one run makes; samplers that remember earlier steps (dpmpp_2m, lms, ...) start their
    memory anew and differ slightly.
    """
    end = min(end_step, steps)
    if start_step >= end:
        raise ProblemError(
            Problem(
                code="no_steps_left",
                message=f"From step {start_step} to step {end} of {steps} there is nothing to do.",
                hint="Let start_step be below end_step and below steps.",
                port="start_step",
                value=start_step,
            )
        )
    request = SampleRequest(
        positive=positive,
        negative=negative,
        latent=latent,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        scheduler=spacing,
        seed=seed,
        rescale=guidance_rescale,
        first=start_step,
        end=end,
        fresh=start_step == 0 and not latent.noise,
        leave_noise=leave_noise and end < steps,
        part=True,
    )
    return _run(model, request, ctx)


def _run(model: ModelRef[Denoiser], request: SampleRequest, ctx: Context) -> Latent:
    latent = request.latent
    with ctx.models.lease(model) as lease:
        for problem in lease.settings.get("warnings", ()):
            ctx.warn(problem.at(port="model"))
        denoiser = lease.component
        family, other = denoiser.family, ctx.models.families.get(latent.family)
        if latent.family and (other is None or other.space != family.space):
            raise ProblemError(
                Problem(
                    code="wrong_latent",
                    message=f"The latent is one of {other.title if other else latent.family}, and the model works on "
                    f"those of {family.title}.",
                    hint="Make or encode the latent with the VAE that belongs to the model.",
                    port="latent",
                    value=latent.family,
                )
            )
        return denoiser.sample(request, ctx)
