"""ControlNets: guiding a denoiser by an image of edges, depth, poses, ..."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from safelight.sdk import (
    VAE,
    Choice,
    Conditioning,
    Control,
    ControlNet,
    Image,
    Items,
    Mask,
    ModelRef,
    Slider,
    Toggle,
    node,
)

from ._refusal import require_part

ControlType = Literal["auto", "openpose", "depth", "soft_edge", "line", "normal", "segment", "tile", "inpaint"]


class Guided(NamedTuple):
    """Both sides of guidance with the ControlNet on them."""

    positive: Conditioning
    negative: Annotated[Conditioning, "The negative conditioning; the positive one where none was connected."]


@node(
    version=1,
    title="Apply ControlNet",
    tags=(
        "Apply ControlNet",
        "controlnet",
        "ControlNetApply",
        "ControlNetApplyAdvanced",
        "SetUnionControlNetType",
        "T2I-Adapter",
    ),
)
def apply(
    positive: Conditioning,
    controlnet: ModelRef[ControlNet],
    image: Annotated[Image, "The hint: what the ControlNet was trained on, such as white edges on black."],
    negative: Annotated[Conditioning | None, "Guided as well where it is connected, as is usual."] = None,
    mask: Annotated[Mask | None, "Where it guides; everywhere when nothing is connected."] = None,
    vae: Annotated[
        ModelRef[VAE] | None,
        "The model's VAE, for ControlNets of Stable Diffusion 3, Flux.1 and Qwen-Image, which look at the latent of "
        "the hint.",
    ] = None,
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
    control_type: Annotated[
        ControlType,
        Choice(advanced=True),
        "What the hint is, for a ControlNet of several kinds (union). auto for all others.",
    ] = "auto",
    curve: Annotated[
        list[float],
        Items(advanced=True),
        "Factors of the strength for equal parts of its steps, from the first to the last. Empty is an even strength.",
    ] = [],  # noqa: B006 - a default of the widget
    blocks: Annotated[
        list[float],
        Items(advanced=True),
        "Factors for the blocks of the denoiser, from fine details to the whole, spread over as many as there are. "
        "Small ones first, such as 0.1, 0.3, 1, leave more to the prompt. Empty is the same for all.",
    ] = [],  # noqa: B006 - as above
) -> Guided:
    """Guide a denoiser by an image. Several ControlNets, one node behind the other, add up.

    T2I-Adapters and Control-LoRAs are applied by it as well. The hint is scaled to the size of the image
    being made. Transparent parts of it become black.
    """
    from ._pixels import flattened

    require_part(start, end)
    control = Control(
        controlnet,
        Image(flattened(image.pixels, 0.0)),
        strength,
        start,
        end,
        guess,
        mask,
        tuple(curve),
        tuple(blocks),
        "" if control_type == "auto" else control_type,
        vae,
    )
    other = positive if negative is None else negative
    guided = replace(positive, controls=(*positive.controls, control))
    return Guided(guided, other if guess else replace(other, controls=(*other.controls, control)))
