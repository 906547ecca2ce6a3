"""Noise levels out of schedulers, curves and numbers, and numbers out of them."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Context, Denoiser, ModelRef, Number, Sigmas, Slider, node

from .._refusal import refusal
from ..sampling import (
    K_DIFFUSION,
    FlowLevels,
    Formulas,
    SamplerName,
    SchedulerName,
    Shift,
    chosen_settings,
    span,
)

_Steps = Annotated[int, Slider(1, 1000), "Number of steps; there is one level more."]


@node(
    version=1, title="Sigmas of a model", tags=("BasicScheduler", "KarrasScheduler", "SDTurboScheduler", "Get sigmas")
)
def make(
    model: Annotated[ModelRef[Denoiser], "The denoiser."],
    *,
    steps: Annotated[int, Slider(0, 150, zero="auto"), "Number of steps. 0, auto: what suits the model."] = 0,
    sampler: Annotated[
        SamplerName, "Samplers place their first and last level differently. auto: the model's."
    ] = "auto",
    scheduler: Annotated[SchedulerName, "How the steps are spread. auto: what suits the model."] = "auto",
    denoise: Annotated[
        float, Slider(0.01, 1, step=0.01), "Below 1: the last part of the steps alone, to change an image."
    ] = 1.0,
    formulas: Formulas = "diffusers",
    shift: Shift = 0.0,
    flow_levels: FlowLevels = 0,
    ctx: Context,
) -> Sigmas:
    """The noise levels that a sampler takes with this model, to be looked at or changed.

    Models that predict a flow have levels of their own for each size: give these ones by `sigmas.curve`, from 1, or
    take the formulas of k-diffusion, whose shift does not ask for the size, and which are the same for each sampler.
    """
    from safelight.diffusion.k_diffusion.levels import levels_of
    from safelight.diffusion.k_diffusion.schedules import sigmas_of
    from safelight.diffusion.samplers import predicts
    from safelight.diffusion.schedule import plan_steps

    with ctx.models.lease(model) as lease:
        denoiser = lease.component
        if formulas == K_DIFFUSION:
            settings = chosen_settings(ctx, denoiser, steps, 1.0, sampler, scheduler, formulas)
            first, total = span(settings.steps, denoise, formulas)
            usual, count = getattr(denoiser, "usual_shift", (0.0, 0))
            levels = levels_of(denoiser.scheduler, shift or usual, flow_levels or count)
            found = sigmas_of(levels, settings.scheduler, total).tolist()
            return Sigmas(tuple(found[-(total - first + 1) :] if first else found))
        if predicts(denoiser.scheduler) == "flow_prediction":
            raise refusal(
                code="feature_not_in_family",
                message=f"The levels of models of the family {denoiser.family.title} depend on the size of the image.",
                hint="Make them with sigmas.curve, from 1, or with sigmas.from_numbers.",
                port="model",
            )
        settings = chosen_settings(ctx, denoiser, steps, 1.0, sampler, scheduler)
        found = plan_steps(denoiser.scheduler, settings.sampler, settings.scheduler, settings.steps).levels
    return Sigmas(tuple(found[settings.steps - max(1, int(settings.steps * denoise)) :]))


@node(version=1, tags=("KarrasScheduler", "ExponentialScheduler", "PolyexponentialScheduler", "noise schedule"))
def curve(
    *,
    shape: Annotated[
        Literal["karras", "exponential", "linear", "cosine"],
        "karras: as a power falls. exponential: equal ratios. linear: equal steps. cosine: slow at both ends.",
    ] = "karras",
    steps: _Steps = 20,
    highest: Annotated[
        float,
        Number(0.001, 100_000),
        "Before the first step: 14.6 for Stable Diffusion, 1 for models that predict a flow.",
    ] = 14.614643,
    lowest: Annotated[float, Number(0.0001, 100_000), "Before the last step, which leads to 0."] = 0.0291675,
    rho: Annotated[float, Slider(1, 20, step=0.1, shown_if={"shape": "karras"}), "The power of karras."] = 7.0,
) -> Sigmas:
    """Noise levels along a curve, and 0 at the end."""
    import math

    if lowest >= highest:
        raise refusal(
            code="empty_range",
            message=f"The levels would go from {highest:g} to {lowest:g}.",
            hint="Let lowest be below highest.",
            port="lowest",
            value=lowest,
        )

    def level(place: float) -> float:
        if shape == "karras":
            low, high = lowest ** (1 / rho), highest ** (1 / rho)
            return (high + place * (low - high)) ** rho
        if shape == "exponential":
            return math.exp(math.log(highest) + place * (math.log(lowest) - math.log(highest)))
        share = place if shape == "linear" else (1 - math.cos(math.pi * place)) / 2
        return highest + share * (lowest - highest)

    return Sigmas((*(level(place / max(1, steps - 1)) for place in range(steps)), 0.0))


@node(version=1, title="Sigmas from numbers", tags=("ManualSigmas", "Custom Sigmas", "edit sigmas", "list to sigmas"))
def from_numbers(
    numbers: Annotated[list[float], "The levels in their order; 0 at the end is a finished latent."],
) -> Sigmas:
    """Noise levels that were typed in, or computed from others: `sigmas.to_numbers`, `numbers.expression`, and back."""
    if len(numbers) < 2 or min(numbers) < 0:
        raise refusal(
            code="bad_value",
            message=f"{', '.join(f'{number:g}' for number in numbers[:20]) or 'Nothing'} are no noise levels.",
            hint="Give two or more, none below 0.",
            port="numbers",
        )
    return Sigmas(tuple(map(float, numbers)))


@node(version=1, title="Sigmas as numbers", tags=("sigmas to list", "edit sigmas", "print sigmas"))
def to_numbers(sigmas: Annotated[Sigmas, "The noise levels."]) -> list[float]:
    """The levels as a list, to be changed by an expression, or picked from."""
    return list(sigmas.levels)
