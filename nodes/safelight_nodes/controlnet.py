"""ControlNets: guiding a denoiser by an image of edges, depth, poses, ..."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, NamedTuple

from safelight.sdk import (
    Conditioning,
    Control,
    ControlNet,
    Image,
    ModelRef,
    Problem,
    ProblemError,
    Slider,
    Toggle,
    node,
)


class Guided(NamedTuple):
    """Both sides of guidance with the ControlNet on them."""

    positive: Conditioning
    negative: Annotated[Conditioning, "The negative conditioning; the positive one where none was connected."]


@node(version=1, tags=("Apply ControlNet", "ControlNetApply", "ControlNetApplyAdvanced"))
def apply(
    positive: Conditioning,
    controlnet: ModelRef[ControlNet],
    image: Annotated[Image, "The hint: what the ControlNet was trained on, such as white edges on black."],
    negative: Annotated[Conditioning | None, "Guided as well where it is connected, as is usual."] = None,
    *,
    strength: Annotated[float, Slider(0, 2, step=0.05), "How much it says. 0 is nothing."] = 1.0,
    start: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "From this fraction of the steps on."
    ] = 0.0,
    end: Annotated[
        float, Slider(0, 1, step=0.01, group="Part of the steps"), "Up to this fraction of the steps."
    ] = 1.0,
    guess: Annotated[
        bool,
        Toggle(advanced=True),
        "Guess mode, for prompts that say little: the hint guides the positive side alone, and its coarse shapes less "
        "than its details. Use a guidance of 3 to 5.",
    ] = False,
) -> Guided:
    """Guide a denoiser by an image. Several ControlNets, one node behind the other, add up.

    The hint is scaled to the size of the image being made. Transparent parts of it become black.
    """
    from ._pixels import flattened

    if start >= end:
        raise ProblemError(
            Problem(
                code="empty_range",
                message=f"The range from {start:g} to {end:g} is empty.",
                hint="Let start be below end.",
                port="start",
                value=start,
            )
        )
    control = Control(controlnet, Image(flattened(image.pixels, 0.0)), strength, start, end, guess)
    other = positive if negative is None else negative
    guided = replace(positive, controls=(*positive.controls, control))
    return Guided(guided, other if guess else replace(other, controls=(*other.controls, control)))
