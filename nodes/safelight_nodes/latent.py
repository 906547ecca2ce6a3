"""Latents: empty ones, and what can be done with them without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import (
    VAE,
    Context,
    Latent,
    Mask,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Slider,
    Toggle,
    VideoVAEModel,
    node,
)

if TYPE_CHECKING:
    from torch import Tensor

_Pixels = Number(0, 16384, step=8, zero="auto")


@node(version=1, title="Empty latent", tags=("EmptyLatentImage", "Empty Latent Image", "txt2img", "text to image"))
def empty(
    vae: Annotated[ModelRef[VAE], "The VAE that will decode it: it decides channels and downsampling."],
    *,
    width: Annotated[int, _Pixels, "Width of the image in pixels. 0: what the model was made for."] = 0,
    height: Annotated[int, _Pixels, "Height of the image in pixels. 0: what the model was made for."] = 0,
    batch: Annotated[int, Slider(1, 64), "Number of images made at once."] = 1,
    for_inpainting: Annotated[
        bool,
        Toggle(advanced=True),
        "For an inpainting model, which needs an image to look at: an empty one, all of which it paints.",
    ] = False,
    ctx: Context,
) -> Latent:
    """An empty latent: the canvas that a sampler fills."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    with leased_codec(ctx, vae) as codec:
        factor, channels = codec.downsampling, codec.channels
        native = codec.native_size
        if isinstance(codec, VideoVAEModel):
            message = f"The VAE {vae.source.name!r} is one of videos."
            hint = "Make the latent with latent.empty_video."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="vae"))
    height, width = height or native[0], width or native[1]
    _require_cells(width, height, factor)
    made = Latent(torch.zeros(batch, channels, height // factor, width // factor), vae.family, factor)
    if not for_inpainting:
        return made
    with leased_codec(ctx, vae, (height, width)) as codec:
        grey = codec.encode(torch.full((1, height, width, 3), 0.5))
    return replace(made, masked=grey, hole=torch.ones(1, 1, *made.samples.shape[-2:]))


@node(version=1, title="Empty video latent", tags=("EmptyHunyuanLatentVideo", "Wan", "text to video", "txt2vid"))
def empty_video(
    vae: Annotated[ModelRef[VAE], "The VAE that will decode it, of a model of videos."],
    *,
    width: Annotated[int, _Pixels, "Width of the video in pixels. 0: what the model was made for."] = 0,
    height: Annotated[int, _Pixels, "Height of the video in pixels. 0: what the model was made for."] = 0,
    frames: Annotated[
        int,
        Number(0, 4096, zero="auto"),
        "Number of frames. Models take one and a multiple of some number: Wan 1, 5, 9, ... 0: what the model was made "
        "for.",
    ] = 0,
    ctx: Context,
) -> Latent:
    """An empty latent of a video: the canvas that a sampler fills. One sampler makes all frames at once."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec

    with leased_codec(ctx, vae) as codec:
        if not isinstance(codec, VideoVAEModel):
            message = f"The VAE {vae.source.name!r} is one of images."
            hint = "Load a model of videos, or make the latent with latent.empty."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="vae"))
        factor, channels, step = codec.downsampling, codec.channels, codec.frames
        native, frames = codec.native_size, frames or codec.native_frames
    height, width = height or native[0], width or native[1]
    _require_cells(width, height, factor)
    if (frames - 1) % step:
        raise ProblemError(
            Problem(
                code="frames_not_whole",
                message=f"{frames} frames are not 1 and a multiple of {step}, as this VAE takes them.",
                hint=f"The nearest number is {round((frames - 1) / step) * step + 1}.",
                port="frames",
                value=frames,
            )
        )
    cells = (frames - 1) // step + 1
    return Latent(torch.zeros(1, channels, cells, height // factor, width // factor), vae.family, factor)


@node(version=1, tags=("EmptyQwenImageLayeredLatentImage", "Qwen-Image Layered", "decompose", "split into layers"))
def empty_layers(
    image: Annotated[Latent, "The image to take apart, encoded. Connect it to guide.edit as well."],
    *,
    layers: Annotated[int, Slider(1, 16), "How many layers the image is taken apart into."] = 4,
) -> Latent:
    """An empty latent of an image's layers: the canvas that a sampler fills with a Qwen-Image Layered.

    The prompt describes the whole image. Decode what was sampled with vae.decode_layers.
    """
    import torch

    if image.samples.ndim != 4:
        message, hint = "This latent holds a video or layers.", "Connect a latent of images, from vae.encode."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="image"))
    batch, channels, height, width = image.samples.shape
    # Before its layers, such a model makes the image as a whole.
    samples = torch.zeros(batch, channels, 1 + layers, height, width)
    return Latent(samples, image.family, image.downsampling, size=image.size)


def _require_cells(width: int, height: int, factor: int) -> None:
    """Raises ProblemError for a size in pixels that is not whole cells."""
    problems = [
        Problem(
            code="size_not_a_multiple",
            message=f"{given} is not a multiple of {factor}, the downsampling of this VAE.",
            hint=f"The nearest one is {max(factor, round(given / factor) * factor)}.",
            port=port,
            value=given,
        )
        for port, given in (("width", width), ("height", height))
        if given % factor
    ]
    if problems:
        raise ProblemError(problems)


@node(version=1, tags=("SetLatentNoiseMask", "inpaint", "DifferentialDiffusion", "soft inpainting", "change map"))
def set_mask(
    latent: Latent,
    mask: Annotated[Mask, "White where the sampler may paint, black where not."],
    *,
    greys: Annotated[
        Literal["mix", "differential"],
        "What grey means. Mix: after each step, what was painted is mixed with the image. Differential: the lighter it "
        "is, the earlier painting begins there, so each place has a denoise of its own and edges do not show "
        "(Differential Diffusion).",
    ] = "mix",
) -> Latent:
    """Let the sampler paint inside a mask only."""
    from safelight.diffusion.latents import hole_mask

    covered = mask_for(latent, mask)
    hole = None if latent.masked is None else hole_mask(mask.coverage, latent)
    return replace(latent, mask=covered, hole=hole, greys=greys)


def mask_for(latent: Latent, mask: Mask) -> Tensor:
    """A mask in cells of the latent: (1 or B, 1, h, w).

    Raises:
        ProblemError: `wrong_batch`, at `mask`, when there are neither one nor as many as images.
    """
    from safelight.diffusion.latents import latent_mask

    count, batch = mask.coverage.shape[0], latent.samples.shape[0]
    if count not in (1, batch):
        raise ProblemError(
            Problem(
                code="wrong_batch",
                message=f"There are {count} masks, and the latent holds {batch} images.",
                hint="Give one mask, or as many as there are images.",
                port="mask",
            )
        )
    return latent_mask(mask.coverage, latent)


@node(
    version=1,
    title="Resize latent",
    tags=("LatentUpscale", "LatentUpscaleBy", "Upscale Latent", "hires fix", "highres fix"),
)
def resize(
    latent: Latent,
    *,
    scale: Annotated[float, Slider(0.25, 4, step=0.05), "Factor for both sides; cells are rounded."] = 1.5,
    width: Annotated[int, Number(0, 16384, step=8, zero="auto"), "In pixels. 0: by the height, or by the factor."] = 0,
    height: Annotated[int, Number(0, 16384, step=8, zero="auto"), "In pixels. 0: by the width, or by the factor."] = 0,
    method: Annotated[
        Literal["bicubic", "bilinear", "nearest"], "How new cells are made from the old ones."
    ] = "bicubic",
) -> Latent:
    """Scale a latent, to sample it again in a larger size. Sample with denoise of about 0.5 to sharpen it."""
    from torch.nn.functional import interpolate

    if latent.samples.ndim == 5:
        message = "This latent holds a video, and only images are scaled in latent space."
        hint = "Make the empty latent in the size that you want."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
    before = latent.samples.shape[-2:]
    tall, wide = before
    wanted = [round(side / latent.downsampling) for side in (height, width)]
    factors = [new / old for new, old in zip(wanted, before, strict=True) if new]
    scale = max(factors, default=scale)
    size = [new or max(1, round(old * scale)) for new, old in zip(wanted, before, strict=True)]
    smaller = size[0] < tall or size[1] < wide
    smooth = {} if method == "nearest" else {"align_corners": False, "antialias": smaller}
    samples = interpolate(latent.samples, size, mode=method, **smooth)
    mask = None if latent.mask is None else interpolate(latent.mask, size, mode="bilinear", align_corners=False)
    masked = None if latent.masked is None else interpolate(latent.masked, size, mode=method, **smooth)
    hole = None if latent.hole is None else interpolate(latent.hole, size, mode="nearest")
    inner = None
    if latent.size:
        height, width = (
            max(1, round(side * new / old)) for side, new, old in zip(latent.size, size, before, strict=True)
        )
        inner = height, width
    return replace(latent, samples=samples, mask=mask, masked=masked, hole=hole, size=inner)


@node(version=1, title="Repeat latent", tags=("RepeatLatentBatch",))
def repeat(latent: Latent, *, times: Annotated[int, Slider(1, 64), "How many of each image."] = 2) -> Latent:
    """Repeat the images of a latent as a batch. Each then has its own seed in a sampler."""
    samples = latent.samples.repeat_interleave(times, dim=0)

    def spread(given: Tensor | None) -> Tensor | None:
        return given if given is None or given.shape[0] == 1 else given.repeat_interleave(times, dim=0)

    return replace(
        latent, samples=samples, mask=spread(latent.mask), masked=spread(latent.masked), hole=spread(latent.hole)
    )


@node(version=1, tags=("LatentFromBatch",))
def select(
    latent: Latent, *, index: Annotated[int, Number(0), "Which image of the batch, counted from 0."] = 0
) -> Latent:
    """Take one image out of a batch."""
    batch = latent.samples.shape[0]
    if index >= batch:
        raise ProblemError(
            Problem(
                code="no_such_image",
                message=f"The latent holds {batch} images, so there is none with index {index}.",
                hint=f"Choose 0 to {batch - 1}.",
                port="index",
                value=index,
            )
        )

    def one(given: Tensor | None) -> Tensor | None:
        return given if given is None or given.shape[0] == 1 else given[index : index + 1].clone()

    return replace(
        latent,
        samples=latent.samples[index : index + 1].clone(),
        mask=one(latent.mask),
        masked=one(latent.masked),
        hole=one(latent.hole),
    )
