"""Prompts that speak in painted regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import (
    Conditioning,
    Context,
    Image,
    ModelRef,
    Number,
    Paint,
    Prompt,
    Text,
    TextEncoder,
    node,
)

from .text import ClipSkip, reader

_Side = Number(1, 16384)


@node(
    version=1,
    category="text",
    title="Paint regions of prompts",
    tags=(
        "regional prompt",
        "Regional Prompter",
        "Latent Couple",
        "prompt map",
        "paint with words",
        "attention couple",
    ),
)
def regions(
    encoder: ModelRef[TextEncoder],
    image: Annotated[Image | None, "What the regions are painted on, to see where things are."] = None,
    *,
    painting: Annotated[
        str, Paint(prompts=True), "Regions, each with a prompt, a strength and a colour. The brush opens the painter."
    ] = "",
    rest: Annotated[
        str,
        Text(multiline=True, prompt=True, placeholder="What the rest of the image shows"),
        "Speaks where no region is painted, as all prompts are written for text.encode.",
    ] = "",
    width: Annotated[int, _Side, "Of the sheet, in pixels. An image that is painted on has its own."] = 512,
    height: Annotated[int, _Side, "Of the sheet, in pixels. An image that is painted on has its own."] = 512,
    clip_skip: ClipSkip = 0,
    ctx: Context,
) -> Conditioning:
    """Let prompts speak where they were painted: each region has its own, and the rest of the image another.

    It is what text.set_mask and text.combine give for the masks of the regions: where several lie upon each other, the
    denoiser follows their average, weighed by their strengths. Colours are for the eye alone, and hidden regions are
    left out.
    """
    import torch

    from ._painting import regions_of
    from ._pixels import check_size

    if image is None:
        check_size(height, width, "width")
    else:
        height, width = image.pixels.shape[1:3]
    spoken = [(layer.prompt, mask, layer.strength) for layer, mask in regions_of(painting, height, width)]
    left = torch.ones(height, width)
    for _, mask, strength in spoken:
        left = left * (1 - mask) if strength else left
    if not spoken or left.any():
        spoken.append((rest, left, 1.0))
    known: dict[str, Conditioning] = {}
    prompts: list[Prompt] = []
    with reader(encoder, ctx) as model:
        for text, mask, strength in spoken:
            ctx.check_cancelled()
            if text not in known:
                known[text] = model.encode(text, ctx, clip_skip=clip_skip)
            prompts += [replace(prompt, mask=mask[None], strength=strength) for prompt in known[text].prompts]
    return replace(next(iter(known.values())), prompts=tuple(prompts))
