"""Sampling put together from its pieces, and the way back from an image to its noise."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from safelight.sdk import (
    Conditioning,
    Context,
    Denoiser,
    Guider,
    Latent,
    ModelRef,
    Noise,
    Problem,
    ProblemError,
    SampleRequest,
    Seed,
    Sigmas,
    Slider,
    node,
)

from .sampling import (
    Formulas,
    SamplerName,
    SchedulerName,
    chosen_settings,
    leased_denoiser,
    noise_for,
    require_guider,
)

_Guidance = Annotated[
    float,
    Slider(0, 30, step=0.1, zero="auto"),
    "How strongly the positive prompt is preferred to the negative one. 1 turns guidance off. 0, auto: what suits the "
    "model.",
]


@node(
    version=1,
    category="sampling",
    title="Sample with sigmas",
    tags=("SamplerCustom", "SamplerCustomAdvanced", "custom sampler", "sigmas", "BasicScheduler", "KSamplerSelect"),
)
def custom(
    model: Annotated[ModelRef[Denoiser], "The denoiser."],
    positive: Annotated[Conditioning, "What the image should show."],
    negative: Annotated[Conditioning | None, "What it should not show. Needed when guidance is above 1."],
    latent: Annotated[Latent, "An empty or encoded latent, or one that was left noisy at the first of the sigmas."],
    sigmas: Annotated[Sigmas, "The noise levels before each step and after the last one."],
    noise: Annotated[Noise | None, "In the place of the noise that the seed gives."] = None,
    guider: Annotated[Guider | None, "Another way of guidance, for families that can."] = None,
    *,
    guidance: _Guidance = 0.0,
    sampler: Annotated[SamplerName, "The method that removes the noise. auto: what suits the model."] = "auto",
    seed: Annotated[int, Seed(), "Where the random noise starts. Image k of a batch uses seed + k."] = 0,
    guidance_rescale: Annotated[
        float, Slider(0, 1, step=0.05, zero="off"), "Brings the contrast back to that of the unguided image. 0 is off."
    ] = 0.0,
    formulas: Formulas = "diffusers",
    ctx: Context,
) -> Latent:
    """Remove noise along the levels that are given, with each piece of a sampler of its own.

    A clean latent gets the noise of the first level, an empty one is made of nothing else. Where the last level is not
    0, its noise stays in, for another sampler to go on from.
    """
    levels = sigmas.levels
    if any(after >= before for before, after in pairwise(levels)):
        raise _wrong_sigmas("The sigmas do not fall from step to step.", "Put them in order, or take out equal ones.")
    if latent.noise and abs(latent.noise - levels[0]) > 0.02 * levels[0]:
        message = f"The latent holds noise of {latent.noise:.3g}, and the sigmas begin at {levels[0]:.3g}."
        raise _wrong_sigmas(message, "Split one row of sigmas, and give both parts.")
    with leased_denoiser(ctx, model, latent) as denoiser:
        require_guider(denoiser, guider)
        chosen = chosen_settings(ctx, denoiser, sigmas.steps, guidance, sampler, "auto", formulas)
        request = SampleRequest(
            positive=positive,
            negative=negative,
            latent=latent,
            steps=sigmas.steps,
            guidance=chosen.guidance,
            sampler=chosen.sampler,
            scheduler=chosen.scheduler,
            seed=seed,
            rescale=guidance_rescale,
            fresh=not latent.noise and not latent.samples.any(),
            leave_noise=levels[-1] > 0,
            guider=guider,
            noise=noise_for(latent, noise),
            sigmas=levels,
            formulas=formulas,
        )
        return denoiser.sample(request, ctx)


@node(
    version=1,
    category="sampling",
    title="Invert to noise",
    tags=("unsampler", "Unsampling", "DDIM inversion", "flow inversion", "RF inversion", "FlipSigmas", "noise image"),
)
def invert(
    model: Annotated[ModelRef[Denoiser], "The denoiser."],
    positive: Annotated[Conditioning, "What the image shows."],
    negative: Annotated[Conditioning | None, "Needed when guidance is above 1."],
    latent: Annotated[Latent, "The encoded image."],
    sigmas: Annotated[Sigmas | None, "The noise levels, as the sampler will have them. Without: by steps."] = None,
    *,
    steps: Annotated[int, Slider(0, 150, zero="auto"), "Number of steps. More follow the way more closely."] = 0,
    scheduler: Annotated[SchedulerName, "As the sampler will have it. auto: what suits the model."] = "auto",
    guidance: Annotated[
        float, Slider(1, 30, step=0.1), "As the sampler will have it; 1, none, leads back most exactly."
    ] = 1.0,
    passes: Annotated[
        int,
        Slider(1, 10),
        "How often each step is made, to meet the step down again. 1 is plain DDIM inversion, more come closer.",
    ] = 3,
    ctx: Context,
) -> Noise:
    """Find the noise that an image would be made of, to make the image again, or another one like it.

    Sample from this noise with the sampler euler, the same steps, scheduler and guidance, and another prompt: what the
    prompt does not speak of stays much as it was.
    """
    if latent.noise:
        message = f"This latent is not finished: noise of {latent.noise:.3g} is left in it."
        hint = "Let the sampler before it finish."
        raise ProblemError(Problem(code="latent_is_noisy", message=message, hint=hint, port="latent"))
    levels = tuple(sorted(sigmas.levels, reverse=True)) if sigmas is not None else ()
    if levels and levels[-1] > 0:
        raise _wrong_sigmas(f"The sigmas end at {levels[-1]:.3g}.", "Let them end at 0, a finished image.")
    with leased_denoiser(ctx, model, latent) as denoiser:
        chosen = chosen_settings(ctx, denoiser, sigmas.steps if sigmas else steps, guidance, "euler", scheduler)
        request = SampleRequest(
            positive=positive,
            negative=negative,
            latent=latent,
            steps=chosen.steps,
            guidance=guidance,
            sampler="euler",
            scheduler=chosen.scheduler,
            seed=0,
            sigmas=levels,
            invert=passes,
        )
        return Noise(denoiser.sample(request, ctx).samples)


def _wrong_sigmas(message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="wrong_sigmas", message=message, hint=hint, port="sigmas"))
