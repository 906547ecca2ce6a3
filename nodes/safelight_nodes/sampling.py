"""Denoising: from noise and conditioning to a latent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from safelight.diffusion.k_diffusion.methods import METHODS, KSampler
from safelight.diffusion.k_diffusion.plan import NAME as K_DIFFUSION
from safelight.diffusion.k_diffusion.schedules import KScheduler
from safelight.diffusion.samplers import predicts, sampler_names, scheduler_names
from safelight.sdk import (
    Choice,
    Conditioning,
    Context,
    Denoiser,
    DenoiserModel,
    Guider,
    Latent,
    Migration,
    ModelRef,
    Noise,
    Number,
    Presets,
    Problem,
    ProblemError,
    SampleRequest,
    Seed,
    Slider,
    Text,
    Toggle,
    node,
)

from ._blocks import guided_blocks

if TYPE_CHECKING:  # those of packs are not known to a type checker; documents name them freely
    from torch import Tensor

    from safelight.diffusion.samplers import Sampler, Scheduler

    SamplerName = Sampler | KSampler | Literal["auto"]
    SchedulerName = Scheduler | KScheduler | Literal["auto"]
else:  # with those of installed packs
    SamplerName = Literal["auto", *dict.fromkeys((*sampler_names(), *get_args(KSampler)))]
    SchedulerName = Literal["auto", *dict.fromkeys((*scheduler_names(), *get_args(KScheduler)))]

_Steps = Annotated[
    int,
    Slider(0, 150, zero="auto"),
    "Number of steps. More take longer and change less and less. 0, auto: what suits the model.",
]
_Guidance = Annotated[
    float,
    Slider(0, 30, step=0.1, zero="auto"),
    "How strongly the positive prompt is preferred to the negative one. 1 turns guidance off: the negative prompt is "
    "not looked at and a step takes half the time. 0, auto: what suits the model.",
]
_AutoGuidance = Annotated[
    bool,
    Toggle(advanced=True),
    "What a guidance of 0 means: on, what suits the model; off, no guidance, as 1. Documents from before 0 meant auto "
    "have it off.",
]
_Sampler = Annotated[SamplerName, "The method that removes the noise. auto: what suits the model."]
_Scheduler = Annotated[
    SchedulerName,
    "How the steps are spread over the noise levels. model: as the model's own settings say. karras, exponential and "
    "beta choose the noise levels themselves; linspace, leading and trailing choose evenly spaced training steps; "
    "trailing is much like simple. normal, sgm_uniform, simple, ddim_uniform, linear_quadratic and kl_optimal are for "
    "the formulas of k-diffusion. auto: what suits the model.",
]
_Seed = Annotated[
    int, Seed(), "Where the random noise starts. Image k of a batch uses seed + k, but with formulas of k-diffusion."
]
_Rescale = Annotated[
    float,
    Slider(0, 1, step=0.05, zero="off", advanced=True),
    "Brings the contrast back to that of the unguided image, against the overexposure of strong guidance. "
    "0 is off; about 0.7 suits models that predict velocity.",
]


Formulas = Annotated[
    Literal["diffusers", "k-diffusion"],
    Choice(advanced=True),
    "Whose mathematics the names of samplers and schedulers mean. k-diffusion: as in ComfyUI, to the same image; one "
    "draw of noise for a whole batch, and denoise makes all steps on the last part of a longer schedule.",
]
Shift = Annotated[
    float,
    Number(0, 100, step=0.01, zero="auto", advanced=True, shown_if={"formulas": K_DIFFUSION}),
    "For models that predict a flow: how far the levels are shifted to much noise. 0, auto: as the model's file says.",
]
FlowLevels = Annotated[
    int,
    Number(0, 100_000, zero="auto", advanced=True, shown_if={"formulas": K_DIFFUSION}),
    "For models that predict a flow: how many levels there are to pick from. 1000 for Stable Diffusion 3, 10000 where "
    "the shift depends on the size. 0, auto: what goes with the model.",
]
_Noise = Annotated[Noise | None, "In the place of the noise that the seed gives, such as two seeds blended."]


def _as_before(values: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had these defaults where a value was left out, and a guidance of 0, typed or from a link, was none."""
    before = {"steps": 20, "guidance": 7.0, "sampler": "dpmpp_2m", "scheduler": "model", "auto_guidance": False}
    return {**before, **values}


_TO_2 = Migration(inputs={"spacing": "scheduler"}, values=_as_before)


@node(
    version=2,
    tags=("KSampler", "sampler", "cfg", "scheduler", "denoising strength", "txt2img", "img2img"),
    migrations={1: _TO_2},
)
def sample(
    model: ModelRef[Denoiser],
    positive: Annotated[Conditioning, "What the image should show."],
    negative: Annotated[Conditioning | None, "What it should not show. Needed when guidance is above 1."],
    latent: Annotated[Latent, "An empty latent for a new image, or an encoded one to start from."],
    guider: Annotated[Guider | None, "Another way of guidance, for families that can."] = None,
    noise: _Noise = None,
    *,
    steps: _Steps = 0,
    guidance: _Guidance = 0.0,
    sampler: _Sampler = "auto",
    scheduler: _Scheduler = "auto",
    seed: _Seed = 0,
    denoise: Annotated[
        float,
        Slider(0, 1, step=0.01),
        "How much of the latent is replaced. 1 starts from pure noise; less keeps more of the image that the latent "
        "holds, and makes only the last part of the steps.",
    ] = 1.0,
    guidance_rescale: _Rescale = 0.0,
    auto_guidance: _AutoGuidance = True,
    formulas: Formulas = "diffusers",
    shift: Shift = 0.0,
    flow_levels: FlowLevels = 0,
    ctx: Context,
) -> Latent:
    """Turn noise into an image's latent, step by step, guided by the conditioning.

    With denoise below 1 the image in the latent is changed instead of made again. Where the latent has a mask, only
    the masked part is painted. The same inputs and seed give the same latent.
    """
    if denoise <= 0:
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
    with leased_denoiser(ctx, model, latent) as denoiser:
        require_guider(denoiser, guider)
        chosen = chosen_settings(
            ctx, denoiser, steps, guidance if guidance or auto_guidance else 1.0, sampler, scheduler, formulas
        )
        first, total = span(chosen.steps, denoise, formulas)
        request = SampleRequest(
            positive=positive,
            negative=negative,
            latent=latent,
            steps=total,
            guidance=chosen.guidance,
            sampler=chosen.sampler,
            scheduler=chosen.scheduler,
            seed=seed,
            rescale=guidance_rescale,
            first=first,
            fresh=first == 0,
            guider=guider,
            noise=noise_for(latent, noise),
            formulas=formulas,
            shift=shift,
            flow_levels=flow_levels,
        )
        return denoiser.sample(request, ctx)


@node(version=2, tags=("KSampler (Advanced)", "KSamplerAdvanced", "refiner"), migrations={1: _TO_2})
def sample_part(
    model: ModelRef[Denoiser],
    positive: Annotated[Conditioning, "What the image should show."],
    negative: Annotated[Conditioning | None, "What it should not show. Needed when guidance is above 1."],
    latent: Annotated[Latent, "An empty or encoded latent, or one that another part left noise in."],
    noise: _Noise = None,
    *,
    steps: Annotated[
        int, Slider(0, 150, zero="auto"), "Number of steps of the whole schedule. 0, auto: what suits the model."
    ] = 0,
    start_step: Annotated[int, Slider(0, 150), "Steps of the schedule to leave out at its beginning."] = 0,
    end_step: Annotated[int, Slider(1, 150), "The step to stop after; at or above `steps`: go to the end."] = 150,
    leave_noise: Annotated[
        bool, Toggle(), "When stopping early, hand on the noisy latent for another part. Off: hand on a clean one."
    ] = True,
    guidance: _Guidance = 0.0,
    sampler: _Sampler = "auto",
    scheduler: _Scheduler = "auto",
    seed: _Seed = 0,
    guidance_rescale: _Rescale = 0.0,
    auto_guidance: _AutoGuidance = True,
    formulas: Formulas = "diffusers",
    shift: Shift = 0.0,
    flow_levels: FlowLevels = 0,
    ctx: Context,
) -> Latent:
    """Make some of the steps of a schedule, so that several samplers, models or prompts can share one image.

    A clean latent gets the noise of the first step (pure noise at step 0); one that another part left noise in is gone
    on with as it is, and has to come from the same place of the schedule. With the same settings and seed, parts put
    together make the image that one run makes; samplers that remember earlier steps (dpmpp_2m, lms, ...) start their
    memory again and differ slightly.
    """
    with leased_denoiser(ctx, model, latent) as denoiser:
        chosen = chosen_settings(
            ctx, denoiser, steps, guidance if guidance or auto_guidance else 1.0, sampler, scheduler, formulas
        )
        # Some schedulers of k-diffusion make a step more than they were asked for: the end is not to leave it out.
        whole = formulas == K_DIFFUSION and end_step > chosen.steps
        end = min(end_step, chosen.steps)
        if start_step >= end:
            raise ProblemError(
                Problem(
                    code="no_steps_left",
                    message=f"From step {start_step} to step {end} of {chosen.steps} there is nothing to do.",
                    hint="Let start_step be below end_step and below steps.",
                    port="start_step",
                    value=start_step,
                )
            )
        request = SampleRequest(
            positive=positive,
            negative=negative,
            latent=latent,
            steps=chosen.steps,
            guidance=chosen.guidance,
            sampler=chosen.sampler,
            scheduler=chosen.scheduler,
            seed=seed,
            rescale=guidance_rescale,
            first=start_step,
            end=None if whole else end,
            fresh=start_step == 0 and not latent.noise,
            leave_noise=leave_noise and (end < chosen.steps or formulas == K_DIFFUSION),
            part=True,
            noise=noise_for(latent, noise),
            formulas=formulas,
            shift=shift,
            flow_levels=flow_levels,
        )
        return denoiser.sample(request, ctx)


@node(
    version=1,
    tags=(
        "APG",
        "TCFG",
        "CFG-Zero",
        "adaptive projected guidance",
        "PAG",
        "perturbed attention guidance",
        "SLG",
        "skip-layer guidance",
        "SkipLayerGuidanceSD3",
    ),
)
def guider(
    *,
    kind: Annotated[
        Literal["cfg", "apg", "tcfg", "cfg_zero", "pag", "slg"],
        "cfg: the usual way. apg: without the part that burns colours. tcfg: without what the two prompts differ in by "
        "chance. cfg_zero: scaled to fit, and nothing in the first steps. pag: cfg, and away from an image without "
        "self-attention, for clearer structure (Stable Diffusion 1, 2, XL). slg: cfg, and away from an image without "
        "some blocks, for better anatomy (Stable Diffusion 3.5 medium).",
    ] = "apg",
    momentum: Annotated[
        float,
        Slider(-1, 1, step=0.05, group="apg"),
        "How much of the steps before counts; below 0 it counters them.",
    ] = -0.5,
    norm: Annotated[float, Slider(0, 100, step=0.5, group="apg"), "The longest that the difference may be."] = 15.0,
    parallel: Annotated[
        float, Slider(0, 1, step=0.05, group="apg"), "How much is kept of what makes colours stronger. 1 keeps all."
    ] = 1.0,
    zero_steps: Annotated[int, Slider(0, 10, group="cfg_zero"), "Steps at the beginning that change nothing."] = 1,
    pag_scale: Annotated[
        float,
        Slider(0, 20, step=0.1, zero="off", group="pag"),
        "How strongly it leads away. 3 is usual, with a guidance of 4 to 7; too much makes smooth, burnt images.",
    ] = 3.0,
    pag_layers: Annotated[
        str,
        Text(group="pag"),
        "The blocks without self-attention, such as: mid, in8. mid, the usual one, has the least risk.",
    ] = "mid",
    pag_start: Annotated[float, Slider(0, 1, step=0.01, group="pag"), "From this part of the schedule on."] = 0.0,
    pag_end: Annotated[float, Slider(0, 1, step=0.01, group="pag"), "Up to this part of the schedule."] = 1.0,
    slg_scale: Annotated[
        float, Slider(0, 20, step=0.1, zero="off", group="slg"), "How strongly it leads away. 2.5 to 3 is usual."
    ] = 2.8,
    slg_layers: Annotated[
        str, Text(group="slg"), "The blocks that are left out, by their numbers from 0. 7, 8, 9 suit 3.5 medium."
    ] = "7, 8, 9",
    slg_start: Annotated[
        float,
        Slider(0, 1, step=0.01, group="slg"),
        "After this part of the steps; the first step never leaves out blocks.",
    ] = 0.01,
    slg_end: Annotated[
        float, Slider(0, 1, step=0.01, group="slg"), "Before this part of the steps. The first fifth shapes bodies."
    ] = 0.2,
) -> Guider:
    """Choose another way of guidance, for models that compare with a negative prompt.

    Its strength stays that of the sampler; without guidance, none of this is looked at but pag, which works by itself,
    too. pag and slg ask the model once more in each of their steps: half as long again with guidance.
    """
    if kind == "pag":
        layers = guided_blocks(pag_layers, "pag_layers")
        return Guider(kind, scale=pag_scale, layers=layers, start=pag_start, end=pag_end)
    if kind == "slg":
        layers = guided_blocks(slg_layers, "slg_layers")
        return Guider(kind, scale=slg_scale, layers=layers, start=slg_start, end=slg_end)
    return Guider(kind, momentum, norm, parallel, zero_steps)


def noise_for(latent: Latent, noise: Noise | None) -> Tensor | None:
    """The noise that is given for a latent, for each of its images; None where none is given.

    Raises:
        ProblemError: `wrong_noise`, when it is not of the latent's shape.
    """
    if noise is None:
        return None
    given, wanted = noise.samples, latent.samples
    if given.shape[1:] != wanted.shape[1:] or given.shape[0] not in (1, wanted.shape[0]):
        message = f"The noise is of the shape {tuple(given.shape)}, and the latent of {tuple(wanted.shape)}."
        hint = "Make the noise for this latent."
        raise ProblemError(Problem(code="wrong_noise", message=message, hint=hint, port="noise"))
    return given.expand(wanted.shape).contiguous()


def require_guider(denoiser: DenoiserModel, guider: Guider | None) -> None:
    """Raises ProblemError `feature_not_in_family` for a way of guidance that the model cannot do."""
    able: tuple[str, ...] = getattr(denoiser, "guiders", ())
    if guider is None or guider.kind in able:
        return
    message = f"Models of the family {denoiser.family.title} do not take guidance by {guider.kind}."
    hint = f"Choose one of {', '.join(able)}." if able else "Disconnect the guider."
    problem = Problem(code="feature_not_in_family", message=message, hint=hint, port="guider", value=guider.kind)
    raise ProblemError(problem)


@contextmanager
def leased_denoiser(ctx: Context, model: ModelRef[Denoiser], latent: Latent) -> Iterator[DenoiserModel]:
    """The denoiser of a recipe, once the latent is known to be of its space."""
    with ctx.models.lease(model) as lease:
        for problem in lease.settings.get("warnings", ()):
            ctx.warn(problem.at(port="model"))
        family, other = lease.component.family, ctx.models.families.get(latent.family)
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
        yield lease.component


def span(steps: int, denoise: float, formulas: str) -> tuple[int, int]:
    """The step to begin with, and the steps of the schedule that it is one of."""
    if formulas == K_DIFFUSION:
        total = steps if denoise > 0.9999 else int(steps / denoise)
        return total - steps, total
    return (0 if denoise >= 1 else steps - max(1, int(steps * denoise))), steps


def chosen_settings(
    ctx: Context,
    denoiser: DenoiserModel,
    steps: int,
    guidance: float,
    sampler: str,
    scheduler: str,
    formulas: str = "diffusers",
) -> Presets:
    """The settings of a run: what was typed in, and where that is `auto`, what suits the model.

    Raises:
        ProblemError: the model cannot be used with the sampler or the scheduler.
    """
    own = denoiser.presets
    if own.note and (not steps or not guidance or "auto" in (sampler, scheduler)):
        hint = "Choose the settings yourself to have others."
        ctx.warn(Problem(code="few_steps_model", level="warning", message=own.note, hint=hint, port="model"))
    chosen = Presets(
        steps=steps or own.steps,
        guidance=guidance or own.guidance,
        sampler=own.sampler if sampler == "auto" else sampler,
        scheduler=own.scheduler if scheduler == "auto" else scheduler,
    )
    if formulas == K_DIFFUSION:
        return _of_k_diffusion(chosen, sampler, scheduler, denoiser)
    problems = [
        Problem(
            code="not_of_formulas",
            message=f"The {port} {name} is one of k-diffusion.",
            hint="Set formulas to k-diffusion, or choose another one.",
            port=port,
            value=name,
        )
        for port, name, others, known in (
            ("sampler", chosen.sampler, get_args(KSampler), sampler_names()),
            ("scheduler", chosen.scheduler, get_args(KScheduler), scheduler_names()),
        )
        if name in others and name not in known
    ]
    if problems:
        raise ProblemError(problems)
    wanted = (
        ("sampler", chosen.sampler, denoiser.samplers, "sampler_not_for_model"),
        ("scheduler", chosen.scheduler, denoiser.schedulers, "scheduler_not_for_model"),
    )
    problems = [
        Problem(
            code=code,
            message=f"The {port} {name} cannot be used with models of {denoiser.family.title}.",
            hint=f"Choose auto, or one of {', '.join(allowed)}.",
            port=port,
            value=name,
        )
        for port, name, allowed, code in wanted
        if allowed and name not in allowed
    ]
    if problems:
        raise ProblemError(problems)
    return chosen


def _of_k_diffusion(chosen: Presets, sampler: str, scheduler: str, denoiser: DenoiserModel) -> Presets:
    """The settings with names of k-diffusion: where they are `auto`, what ComfyUI has for the kind of model.

    Raises:
        ProblemError: `not_of_formulas`, for names that it does not have.
    """
    flow = predicts(denoiser.scheduler) == "flow_prediction"
    own = chosen.sampler if chosen.sampler in METHODS else "euler"
    chosen = replace(
        chosen,
        sampler=own if sampler == "auto" else sampler,
        scheduler=("simple" if flow else "normal") if scheduler == "auto" else scheduler,
    )
    wanted = (("sampler", chosen.sampler, get_args(KSampler)), ("scheduler", chosen.scheduler, get_args(KScheduler)))
    problems = [
        Problem(
            code="not_of_formulas",
            message=f"k-diffusion has no {port} {name}.",
            hint=f"Choose one of {', '.join(known)}; or set formulas to diffusers.",
            port=port,
            value=name,
        )
        for port, name, known in wanted
        if name not in known
    ]
    if problems:
        raise ProblemError(problems)
    return chosen
