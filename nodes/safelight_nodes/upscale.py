"""Making images larger, and mending them, by networks that were trained for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from safelight.sdk import (
    Context,
    Image,
    ModelPick,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Upscaler,
    UpscalerModel,
    node,
)

from .models import PrecisionChoice, found


@node(version=1, title="Load upscaler", light=True, tags=("Load Upscale Model", "UpscaleModelLoader", "ESRGAN"))
def load(
    *,
    upscaler: Annotated[
        str, ModelPick("upscaler"), "A file below the model folders: ESRGAN, SwinIR, DAT, HAT, SPAN and others."
    ],
    precision: PrecisionChoice = "auto",
    ctx: Context,
) -> ModelRef[Upscaler]:
    """Choose a network that makes images larger, or mends them: takes out noise, blur or the marks of JPEG."""
    source, _ = found(ctx, upscaler, "upscaler", "upscaler")
    return ModelRef("Upscaler", "", source, "", precision)


@contextmanager
def leased(ctx: Context, upscaler: ModelRef[Upscaler], port: str = "upscaler") -> Iterator[UpscalerModel]:
    """The network in memory; what is wrong with its file is told at the port."""
    try:
        with ctx.models.lease(upscaler) as lease:
            yield lease.component
    except ProblemError as error:
        raise ProblemError(problem.at(port=problem.port or port) for problem in error.problems) from None


@node(
    version=1,
    title="Upscale image",
    tags=("Upscale Image (using Model)", "ImageUpscaleWithModel", "ESRGAN", "super resolution", "denoise", "restore"),
)
def apply(
    image: Image,
    upscaler: ModelRef[Upscaler],
    *,
    factor: Annotated[
        float,
        Number(0, 16, step=0.25, zero="model"),
        "How many times larger the result is: what the model gives is scaled to that. 0: as the model gives it.",
    ] = 0.0,
    tile: Annotated[
        int,
        Number(0, 4096, step=64, zero="auto", advanced=True),
        "Side of the tiles in pixels. 0: 512, and less when memory runs out.",
    ] = 0,
    overlap: Annotated[
        int,
        Number(0, 256, step=8, advanced=True),
        "Pixels that tiles share with their neighbours, where one fades into the other. More hides seams better.",
    ] = 32,
    ctx: Context,
) -> Image:
    """Make images larger with a trained network, or mend them. Works tile by tile, so that large images fit.

    What is transparent stays so: its edges are scaled as usual.
    """
    import torch

    from ._pixels import resized
    from ._tiles import upscaled

    height, width, channels = image.pixels.shape[1:]
    with leased(ctx, upscaler) as network:
        new_height, new_width = (max(1, round(side * (factor or network.scale))) for side in (height, width))
        if max(new_height, new_width) > 32768 or max(height, width) * network.scale > 32768:
            raise ProblemError(
                Problem(
                    code="image_too_large",
                    message=f"{width} x {height} pixels, {network.scale} times larger, are more than 32,768 on a side.",
                    hint="Make the image smaller first, or choose a smaller factor.",
                    port="image",
                )
            )
        colours = upscaled(image.pixels[..., :3], network, tile, overlap, ctx)
    if colours.shape[1:3] != (new_height, new_width):
        colours = resized(colours, new_height, new_width, "stretch", "lanczos")
    if channels == 4:
        alpha = resized(image.pixels, new_height, new_width, "stretch", "bicubic")[..., 3:]
        colours = torch.cat([colours, alpha], -1)
    return Image(colours)
