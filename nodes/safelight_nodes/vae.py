"""Between images and latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import (
    VAE,
    Context,
    Image,
    Latent,
    Mask,
    ModelRef,
    Number,
    Problem,
    ProblemError,
    Seed,
    Toggle,
    Video,
    VideoVAEModel,
    node,
)

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import VAEModel

_Tile = Annotated[
    int,
    Number(0, 4096, step=64, zero="auto", advanced=True),
    "Side of the tiles in pixels, for images that do not fit in memory at once. 0: whole up to about 1500 x 1500 "
    "pixels, in tiles above that or when memory runs out.",
]
_Fit = Annotated[
    Literal["pad", "crop", "resize", "refuse"],
    "What to do when the size is not a multiple of the VAE's downsampling: add a margin that decoding cuts off again, "
    "cut off the edges, scale a little, or stop.",
]


@node(version=1, title="VAE decode", tags=("VAE Decode", "VAEDecode", "VAE Decode (Tiled)"))
def decode(vae: ModelRef[VAE], latent: Latent, *, tile: _Tile = 0, ctx: Context) -> Image:
    """Turn a latent into images. They are as large as those that were encoded."""
    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.latents import canvas_size, image_size

    _require_same_space(vae, latent, ctx)
    if latent.samples.ndim == 5:
        message, hint = "This latent holds a video or layers.", "Decode it with vae.decode_video or vae.decode_layers."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
    with leased_codec(ctx, vae, canvas_size(latent), latent.family) as codec:
        _require_channels(latent, codec.channels)
        height, width = image_size(latent)
        return Image(codec.decode(latent.samples, tile)[:, :height, :width].contiguous())


@node(version=1, title="VAE decode layers", tags=("VAE Decode", "Qwen-Image Layered", "LatentCutToBatch", "RGBA"))
def decode_layers(
    vae: Annotated[ModelRef[VAE], "The VAE of a model that takes images apart."],
    latent: Annotated[Latent, "The latent of layers that a sampler made."],
    *,
    tile: _Tile = 0,
    ctx: Context,
) -> Image:
    """Turn a latent of layers into images with opacity, one a layer.

    The image as a whole, which the sampler makes with its layers, is left out. Of several images, the layers of the
    first come first.
    """
    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.latents import canvas_size, image_size

    _require_same_space(vae, latent, ctx)
    samples = latent.samples
    if samples.ndim != 5 or samples.shape[2] < 2:
        message, hint = "This latent holds no layers.", "Make it with latent.empty_layers, and sample it."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
    with leased_codec(ctx, vae, canvas_size(latent), latent.family) as codec:
        _require_channels(latent, codec.channels)
        if not _knows_opacity(codec):
            message = f"The VAE {vae.source.name!r} makes images without opacity."
            hint = "Use the VAE of the model that made the layers."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="vae"))
        height, width = image_size(latent)
        layers = samples[:, :, 1:].transpose(1, 2).flatten(0, 1)
        return Image(codec.decode(layers, tile)[:, :height, :width].contiguous())


@node(version=1, title="VAE decode video", tags=("VAE Decode", "VAEDecode", "CreateVideo", "text to video"))
def decode_video(
    vae: Annotated[ModelRef[VAE], "The VAE of a model of videos."],
    latent: Annotated[Latent, "The latent of one video."],
    *,
    fps: Annotated[float, Number(0, 240, zero="auto"), "Frames a second. 0: as many as the model was made for."] = 0.0,
    tile: _Tile = 0,
    ctx: Context,
) -> Video:
    """Turn the latent of a video into its frames, some at a time, so that a long one needs no more memory."""
    import torch

    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.latents import canvas_size, image_size

    _require_same_space(vae, latent, ctx)
    if latent.samples.ndim != 5:
        message, hint = "This latent holds images.", "Decode it with vae.decode."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
    if len(latent.samples) != 1:
        message = f"This latent holds {len(latent.samples)} videos, and one is decoded at a time."
        hint = "Choose one with latent.select."
        raise ProblemError(Problem(code="wrong_batch", message=message, hint=hint, port="latent"))
    family = ctx.models.families.get(latent.family or vae.family)
    at_once = family.frames if family else 1
    with leased_codec(ctx, vae, canvas_size(latent), latent.family, at_once) as codec:
        if not isinstance(codec, VideoVAEModel):
            message, hint = f"The VAE {vae.source.name!r} is one of images.", "Use the VAE of the model of videos."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="vae"))
        _require_channels(latent, codec.channels)
        cells, (height, width) = latent.samples.shape[2], image_size(latent)
        frames = torch.empty((cells - 1) * codec.frames + 1, height, width, 3, dtype=torch.uint8)
        done = 0
        for number, piece in enumerate(codec.decode_frames(latent.samples, tile)):
            frames[done : done + len(piece)] = (piece[:, :height, :width] * 255).round()
            done += len(piece)
            ctx.progress(min(number + 1, cells), cells)
            ctx.check_cancelled()
        return Video(frames, fps or codec.fps)


@node(version=1, title="VAE encode", tags=("VAE Encode", "VAEEncode", "img2img", "image to image"))
def encode(
    vae: ModelRef[VAE],
    image: Annotated[Image, "The images. Transparent parts become white, unless the VAE knows opacity."],
    *,
    fit: _Fit = "pad",
    sampled: Annotated[
        bool, Toggle(advanced=True), "Draw from the distribution that the VAE gives instead of taking its mean."
    ] = False,
    seed: Annotated[
        int,
        Seed(advanced=True, shown_if={"sampled": True}),
        "Where the random draw starts; only used when `sampled` is on.",
    ] = 0,
    tile: _Tile = 0,
    ctx: Context,
) -> Latent:
    """Turn images into a latent, to change them with a denoiser."""
    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.noise import generators

    from ._pixels import flattened

    _require_family(vae)
    with leased_codec(ctx, vae, (image.pixels.shape[1], image.pixels.shape[2])) as codec:
        seen = image.pixels if _knows_opacity(codec) else flattened(image.pixels, 1.0)
        pixels, size = _fitted(seen, codec.downsampling, fit)
        sources = generators(seed, len(pixels)) if sampled else None
        return Latent(codec.encode(pixels, sources, tile), vae.family, codec.downsampling, size=size)


@node(version=1, tags=("VAE Encode (for Inpainting)", "VAEEncodeForInpaint", "InpaintModelConditioning", "inpaint"))
def encode_inpaint(
    vae: ModelRef[VAE],
    image: Annotated[Image, "The images. Transparent parts become white."],
    mask: Annotated[Mask, "White where the sampler is to paint."],
    *,
    fit: _Fit = "pad",
    tile: _Tile = 0,
    ctx: Context,
) -> Latent:
    """Turn images and a mask into a latent of which only the masked part will be painted.

    Works with every model: an ordinary one has the rest put back after each step, an inpainting model sees it. One
    image or mask serves a whole batch of the other.
    """
    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.latents import cell_means, cell_picks

    from ._pixels import common_batch, flattened, mask_like

    count = common_batch(image=len(image.pixels), mask=len(mask.coverage))
    _require_family(vae)
    with leased_codec(ctx, vae, (image.pixels.shape[1], image.pixels.shape[2])) as codec:
        whole = flattened(image.pixels, 1.0)
        coverage = mask_like(mask.coverage, whole)
        pixels, size = _fitted(whole, codec.downsampling, fit)
        coverage, _ = _fitted(coverage[..., None], codec.downsampling, fit)
        grey = pixels.where(coverage < 0.5, 0.5)
        samples = codec.encode(pixels, tile=tile)
        return Latent(
            samples if len(samples) == count else samples.repeat(count, 1, 1, 1),
            vae.family,
            codec.downsampling,
            mask=cell_means(coverage.movedim(-1, 1), samples.shape[-2:]),
            masked=codec.encode(grey, tile=tile),
            hole=cell_picks(coverage.movedim(-1, 1), samples.shape[-2:]),
            size=size,
        )


def _knows_opacity(codec: VAEModel) -> bool:
    # No part of the protocol: what lacks it would be no VAE to `isinstance`.
    return getattr(codec, "opacity", False)


def _require_same_space(vae: ModelRef[VAE], latent: Latent, ctx: Context) -> None:
    own, other = ctx.models.families.get(vae.family), ctx.models.families.get(latent.family)
    if vae.family and latent.family and (own is None or other is None or own.space != other.space):
        raise ProblemError(
            Problem(
                code="wrong_family",
                message=f"The VAE is of the family {vae.family}, and the latent of {latent.family}.",
                hint=f"Use the VAE of the model that made the latent, or another one of the family {latent.family}.",
                port="vae",
                value=vae.family,
            )
        )
    if not latent.family:
        _require_family(vae)


def _require_channels(latent: Latent, channels: int) -> None:
    if latent.samples.shape[1] != channels:
        raise ProblemError(
            Problem(
                code="wrong_latent",
                message=f"The latent has {latent.samples.shape[1]} channels, and this VAE takes {channels}.",
                hint="Use the VAE that belongs to the model that made the latent.",
                port="vae",
            )
        )


def _fitted(pixels: Tensor, factor: int, fit: str) -> tuple[Tensor, tuple[int, int] | None]:
    """(B, H, W, C) with sides that are multiples of `factor`, and the size of what was padded, if it was."""
    from torch.nn.functional import interpolate

    from safelight.diffusion.latents import padded

    height, width = pixels.shape[1:3]
    if not (height % factor or width % factor):
        return pixels, None
    if fit == "pad":
        size = -(-height // factor) * factor, -(-width // factor) * factor
        return padded(pixels.movedim(-1, 1), size).movedim(1, -1), (height, width)
    wanted = (max(1, height // factor) * factor, max(1, width // factor) * factor)
    if fit == "refuse" or height < factor or width < factor:
        raise ProblemError(
            Problem(
                code="size_not_a_multiple",
                message=f"The image is {width} x {height} pixels, and the VAE takes multiples of {factor}.",
                hint=f"Resize it to {wanted[1]} x {wanted[0]}, or let `fit` be pad.",
                port="image",
            )
        )
    if fit == "crop":
        top, left = (height - wanted[0]) // 2, (width - wanted[1]) // 2
        return pixels[:, top : top + wanted[0], left : left + wanted[1]], None
    resized = interpolate(pixels.movedim(-1, 1), wanted, mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp(0, 1).movedim(1, -1), None


def _require_family(vae: ModelRef[VAE]) -> None:
    if vae.family:
        return
    raise ProblemError(
        Problem(
            code="vae_family_unknown",
            message=f"The VAE {vae.source.name!r} does not tell its family, and families differ in scale.",
            hint="Choose its family in Load VAE: that of the model it is to be used with.",
            port="vae",
            value=vae.source.name,
        )
    )
