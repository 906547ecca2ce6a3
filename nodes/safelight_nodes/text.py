"""Prompts: encoding them, putting them together, and saying where and when each counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import (
    Area,
    Conditioning,
    Context,
    Mask,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Slider,
    Text,
    TextEncoder,
    node,
)

_Fraction = Slider(0, 1, step=0.01)


@node(version=1, tags=("CLIP Text Encode", "CLIPTextEncode", "prompt", "negative prompt", "clip skip"))
def encode(
    encoder: ModelRef[TextEncoder],
    *,
    text: Annotated[
        str,
        Text(multiline=True, prompt=True, placeholder="What the image shows, or should avoid"),
        "What to show, or to avoid. (word:1.3) weighs a word more, (word:0.7) less; (word) is 1.1 times, [word] the "
        "inverse; \\( and \\) are brackets themselves. BREAK begins a new chunk. embedding:name puts in what the file "
        "embeddings/name.safetensors of the model folder has learned.",
    ] = "",
    clip_skip: Annotated[
        int,
        Slider(0, 8, advanced=True),
        "Last layers of the text encoder to leave out. 0 is what the model was trained with.",
    ] = 0,
    ctx: Context,
) -> Conditioning:
    """Encode a prompt for a denoiser of the same family.

    CLIP takes 75 words and word parts at once, and a longer prompt in chunks: nothing is cut off. T5, which Stable
    Diffusion 3 and Flux.1 have, takes 255 or 511 of them; a warning says when that was not all.
    """
    import torch

    with ctx.models.lease(encoder) as lease, torch.no_grad():
        for problem in lease.settings.get("warnings", ()):
            ctx.warn(problem.at(port="encoder"))
        return lease.component.encode(text, ctx, clip_skip=clip_skip)


@node(version=1, tags=("ConditioningCombine", "Conditioning (Combine)"))
def combine(
    first: Conditioning, second: Conditioning, third: Conditioning | None = None, fourth: Conditioning | None = None
) -> Conditioning:
    """Let several prompts speak at once: the denoiser follows their average, each within its own area and range.

    Costs one more pass through the denoiser a prompt and step. ControlNets and IP-Adapters of all of them act together;
    of images to edit and of depth the first counts.
    """
    given = [part for part in (first, second, third, fourth) if part is not None]
    families = sorted({part.family for part in given})
    if len(families) > 1:
        raise ProblemError(
            Problem(
                code="wrong_family",
                message=f"These prompts were encoded for different models: {' and '.join(families)}.",
                hint="Encode them with the same text encoder.",
            )
        )
    return Conditioning(
        prompts=tuple(prompt for part in given for prompt in part.prompts),
        controls=tuple(control for part in given for control in part.controls),
        adapters=tuple(adapter for part in given for adapter in part.adapters),
        family=families[0],
        shown=next((part.shown for part in given if part.shown is not None), None),
    )


@node(version=1, tags=("ConditioningSetArea", "Conditioning (Set Area)", "regional prompt"))
def set_area(
    conditioning: Conditioning,
    *,
    x: Annotated[float, _Fraction, "Left edge, as a fraction of the width."] = 0.0,
    y: Annotated[float, _Fraction, "Upper edge, as a fraction of the height."] = 0.0,
    width: Annotated[float, Slider(0.01, 1, step=0.01), "Fraction of the width."] = 0.5,
    height: Annotated[float, Slider(0.01, 1, step=0.01), "Fraction of the height."] = 0.5,
    strength: Annotated[float, Slider(0, 10, step=0.05), "Weight against other prompts in the same place."] = 1.0,
) -> Conditioning:
    """Let a prompt speak in a rectangle only. Combine it with prompts for the rest of the image."""
    if x + width > 1 + 1e-6 or y + height > 1 + 1e-6:
        raise ProblemError(
            Problem(
                code="area_outside",
                message=f"The area ends at {x + width:.0%} of the width and {y + height:.0%} of the height.",
                hint="Make it smaller, or move it left and up.",
                port="width" if x + width > 1 + 1e-6 else "height",
            )
        )
    return _changed(conditioning, area=Area(x, y, width, height), strength=strength)


@node(version=1, tags=("ConditioningSetMask", "Conditioning (Set Mask)", "regional prompt"))
def set_mask(
    conditioning: Conditioning,
    mask: Annotated[Mask, "Where the prompt speaks: white inside, grey partly."],
    *,
    strength: Annotated[float, Slider(0, 10, step=0.05), "Weight against other prompts in the same place."] = 1.0,
) -> Conditioning:
    """Let a prompt speak inside a mask only. Combine it with prompts for the rest of the image."""
    return _changed(conditioning, mask=mask.coverage, strength=strength)


@node(version=1, tags=("ConditioningSetTimestepRange", "prompt editing"))
def set_range(
    conditioning: Conditioning,
    *,
    start: Annotated[float, _Fraction, "From this fraction of the steps on."] = 0.0,
    end: Annotated[float, _Fraction, "Up to this fraction of the steps."] = 1.0,
) -> Conditioning:
    """Let a prompt speak during a part of the steps only: early steps decide the layout, late ones the details."""
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
    return _changed(conditioning, start=start, end=end)


@node(version=1, tags=("CLIPTextEncodeSDXL", "size conditioning"))
def set_size(
    conditioning: Conditioning,
    *,
    width: Annotated[int, Number(1, 16384), "Width that the image is said to have had before scaling, in pixels."],
    height: Annotated[int, Number(1, 16384), "Height that the image is said to have had, in pixels."],
    crop_left: Annotated[int, Number(0, 16384), "Pixels said to be cut off on the left."] = 0,
    crop_top: Annotated[int, Number(0, 16384), "Pixels said to be cut off at the top."] = 0,
) -> Conditioning:
    """Set the size conditions of Stable Diffusion XL. Other families do not look at them.

    Without this node they are those of the image being made, which is nearly always right. A larger size than that
    asks for an image that looks scaled down: sharper and fuller.
    """
    size = {"original": (height, width), "crop": (crop_top, crop_left)}
    prompts = tuple(replace(prompt, size={**prompt.size, **size}) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)


@node(version=1, title="Set aesthetic score", tags=("CLIPTextEncodeSDXLRefiner", "ascore", "refiner"))
def set_score(
    conditioning: Conditioning,
    *,
    score: Annotated[float, Slider(0, 10, step=0.1), "How beautiful the image is said to be, 0 to 10."] = 6.0,
) -> Conditioning:
    """Set the aesthetic score of the refiner of Stable Diffusion XL. Other models do not look at it.

    Without this node it is 6 for the positive prompt and 2.5 for the negative one.
    """
    import torch

    tensors = {"aesthetic_score": torch.tensor([[float(score)]])}
    prompts = tuple(replace(prompt, tensors={**prompt.tensors, **tensors}) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)


def _changed(conditioning: Conditioning, **changes: object) -> Conditioning:
    prompts = tuple(replace(prompt, **changes) for prompt in conditioning.prompts)
    return replace(conditioning, prompts=prompts)
