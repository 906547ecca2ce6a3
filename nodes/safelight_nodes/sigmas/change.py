"""Noise levels split, joined and turned round."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Number, Sigmas, Slider, node

from .._refusal import refusal


class Halves(NamedTuple):
    high: Annotated[Sigmas, "The levels before the place: much noise."]
    low: Annotated[Sigmas, "Those after it: details."]


@node(version=1, title="Split sigmas", tags=("SplitSigmas", "split schedule", "two samplers", "refiner"))
def split(
    sigmas: Annotated[Sigmas, "The noise levels."],
    *,
    step: Annotated[int, Number(), "Steps of the first part; below 0, how many the second one has."] = 10,
) -> Halves:
    """Part noise levels at a step, for two samplers. The level between belongs to both."""
    place = step if step >= 0 else sigmas.steps + step
    if not 0 < place < sigmas.steps:
        raise refusal(
            code="no_steps_left",
            message=f"Split at {step}, one part of {sigmas.steps} steps would have none.",
            hint=f"Choose 1 to {sigmas.steps - 1}." if sigmas.steps > 1 else "Give more steps.",
            port="step",
            value=step,
        )
    return Halves(Sigmas(sigmas.levels[: place + 1]), Sigmas(sigmas.levels[place:]))


@node(version=1, title="Last part of sigmas", tags=("SplitSigmasDenoise", "denoise", "img2img"))
def last_part(
    sigmas: Annotated[Sigmas, "The noise levels."],
    *,
    denoise: Annotated[float, Slider(0.01, 1, step=0.01), "The share of the steps that is left."] = 0.5,
) -> Sigmas:
    """The last part of noise levels, to change an image and not make a new one."""
    return Sigmas(sigmas.levels[sigmas.steps - max(1, int(sigmas.steps * denoise)) :])


@node(version=1, title="Reverse sigmas", tags=("FlipSigmas", "flip sigmas", "unsampling"))
def reverse(sigmas: Annotated[Sigmas, "The noise levels."]) -> Sigmas:
    """Noise levels from the last to the first."""
    return Sigmas(sigmas.levels[::-1])


@node(version=1, title="Join sigmas", tags=("concat sigmas", "merge schedules"))
def join(first: Annotated[Sigmas, "The first one."], second: Annotated[Sigmas, "The second one."]) -> Sigmas:
    """Noise levels one after the other. A level that both have, as after a split, comes once."""
    after = second.levels[1:] if second.levels[0] == first.levels[-1] else second.levels
    return Sigmas(first.levels + after)
