"""Denoising: from noise and conditioning to a latent."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any, NamedTuple

from safelight.sdk import (
    Conditioning,
    Context,
    Denoiser,
    Latent,
    ModelRef,
    Problem,
    ProblemError,
    Seed,
    Slider,
    Toggle,
    node,
)

from ._diffusion.samplers import Sampler, Spacing

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
    Slider(0, 1, step=0.05, zero="off", advanced=True),
    "Brings the contrast back to that of the unguided picture, against the overexposure of strong guidance. "
    "0 is off; about 0.7 suits models that predict velocity.",
]


@node(version=1, tags=("KSampler", "cfg", "scheduler", "denoising strength", "txt2img", "img2img"))
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
    settings = _Settings(steps, guidance, sampler, spacing, seed, guidance_rescale)
    if latent.noise:
        raise ProblemError(
            Problem(
                code="latent_is_noisy",
                message=f"This latent is not finished: noise of {latent.noise:.3g} is left in it.",
                hint="Go on with sampling.sample_part, or let the sampler before it finish.",
                port="latent",
            )
        )
    return _run(model, positive, negative, latent, settings, ctx, first=steps - count, fresh=denoise >= 1)


@node(version=1, tags=("KSampler (Advanced)", "KSamplerAdvanced", "refiner"))
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
    settings = _Settings(steps, guidance, sampler, spacing, seed, guidance_rescale)
    fresh = start_step == 0 and not latent.noise
    keep = leave_noise and end < steps
    return _run(model, positive, negative, latent, settings, ctx, start_step, end, fresh, keep, part=True)


class _Settings(NamedTuple):
    steps: int
    guidance: float
    sampler: Sampler
    spacing: Spacing
    seed: int
    rescale: float


def _run(
    model: ModelRef[Denoiser],
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    settings: _Settings,
    ctx: Context,
    first: int = 0,
    end: int | None = None,
    fresh: bool = False,
    leave_noise: bool = False,
    part: bool = False,
) -> Latent:
    import torch

    from ._diffusion.adapters import installed_adapters
    from ._diffusion.control import leased_controls
    from ._diffusion.families import traits
    from ._diffusion.guidance import Guide, active_parts, check_coverage, make_parts
    from ._diffusion.latents import canvas_size
    from ._diffusion.loop import Run
    from ._diffusion.preview import Previewer
    from ._diffusion.schedule import plan_steps
    from ._diffusion.working_memory import working_bytes

    batch, channels = latent.samples.shape[:2]
    with ExitStack() as stack, torch.no_grad():
        lease = stack.enter_context(ctx.models.lease(model))
        unet = lease.component
        for problem in lease.settings.get("warnings", ()):
            ctx.warn(problem.at(port="model"))
        extra = _extra_channels(unet, model, latent)
        parts = make_parts(unet, model.family, positive, negative, latent, settings.guidance, lease.device)
        scheduler_settings = lease.settings["scheduler"]
        schedule = plan_steps(
            scheduler_settings, settings.sampler, settings.spacing, settings.steps, first, end, count_before=part
        )
        if part and latent.noise:
            _check_level(latent.noise, schedule.levels[0], first)
        windows = [schedule.window(call) for call in range(schedule.calls)]
        check_coverage(parts, windows)
        other = negative if any(not entry.positive for entry in parts) else None
        controls = stack.enter_context(leased_controls(ctx, model.family, positive, other, latent))
        adapters = stack.enter_context(installed_adapters(ctx, unet, model.family, positive, other, batch))
        # Once all that computes together is in place, what idles makes room for its common working memory.
        prompts = max(len(active_parts(parts, window)) for window in windows)
        working = working_bytes(unet, lease.dtype, latent.samples.shape, prompts, bool(controls))
        stack.enter_context(ctx.models.lease(model, scratch=working))
        guide = Guide(
            unet=unet,
            family=model.family,
            parts=parts,
            guidance=settings.guidance,
            rescale=settings.rescale,
            batch=batch,
            size=canvas_size(latent),
            device=lease.device,
            dtype=lease.dtype,
            controls=controls,
            adapters=adapters,
            extra=None if extra is None else extra.to(lease.device, lease.dtype),
        )
        rows = lease.settings.get("latent_rgb") or traits(model.family).latent_rgb
        run = Run(
            schedule=schedule,
            guide=guide,
            latent=latent,
            seed=settings.seed,
            fresh=fresh,
            blend=extra is None,
            leave_noise=leave_noise,
            previewer=Previewer(rows, channels),
            ctx=ctx,
        )
        return run()


def _extra_channels(unet: Any, model: ModelRef[Denoiser], latent: Latent) -> Any:
    """What an inpainting denoiser sees beside the latent, (B, 1 + C, H, W); None for others.

    Raises:
        ProblemError: the latent does not fit the denoiser.
    """
    import torch

    from ._diffusion.families import expanded, traits

    batch, channels, height, width = latent.samples.shape
    wanted, taken = unet.config.out_channels, unet.config.in_channels
    if channels != wanted or traits(latent.family or model.family).space != traits(model.family).space:
        raise ProblemError(
            Problem(
                code="wrong_latent",
                message=f"The latent is one of {latent.family} with {channels} channels, "
                f"and the model works on {model.family} with {wanted}.",
                hint="Make or encode the latent with the VAE that belongs to the model.",
                port="latent",
                value=latent.family,
            )
        )
    if taken == wanted:
        return None
    if taken != 2 * wanted + 1:
        raise ProblemError(
            Problem(
                code="model_not_supported",
                message=f"This denoiser takes {taken} channels where its latent has {wanted}.",
                hint="Depth, upscaling and instruction models are not supported; inpainting models are.",
                port="model",
            )
        )
    if latent.mask is None or latent.masked is None:
        raise ProblemError(
            Problem(
                code="inpainting_latent_needed",
                message="This is an inpainting model: it needs the picture around the part to paint.",
                hint="Encode the picture and its mask with vae.encode_inpaint.",
                port="latent",
            )
        )
    mask = expanded(latent.mask, batch).expand(batch, 1, height, width)
    return torch.cat([mask, expanded(latent.masked, batch)], dim=1)


def _check_level(noise: float, expected: float, first: int) -> None:
    if abs(noise - expected) > 0.02 * max(noise, expected):
        raise ProblemError(
            Problem(
                code="wrong_noise_level",
                message=f"The latent holds noise of {noise:.3g}, and step {first} begins at {expected:.3g}.",
                hint="Let start_step be the step that the part before stopped after, with the same steps and spacing.",
                port="start_step",
                value=first,
            )
        )
