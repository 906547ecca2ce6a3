"""Images for denoisers that see one beside their latent: an image to edit, its depth, frames of a video."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import (
    VAE,
    Conditioning,
    Context,
    Image,
    ImageEncoder,
    Latent,
    ModelRef,
    Problem,
    ProblemError,
    Shown,
    Slider,
    VideoVAEModel,
    node,
)


@node(
    version=1,
    title="Edit an image",
    tags=("InstructPixToPixConditioning", "InstructPix2Pix", "image cfg", "ReferenceLatent", "Kontext"),
)
def edit(
    positive: Annotated[Conditioning, "An instruction, such as 'make it winter'."],
    latent: Annotated[
        Latent,
        "The image to edit, encoded. Connect it to the sampler as well; models that take an image of any size (Flux) "
        "also make one from an empty latent.",
    ],
    *,
    image_guidance: Annotated[
        float,
        Slider(0, 10, step=0.1),
        "How much of the image is kept. At 1 it is left to the prompts, and a step takes less time. It counts where "
        "guidance is above 1, for InstructPix2Pix alone.",
    ] = 1.5,
) -> Conditioning:
    """Let a model that was trained on it change an image: InstructPix2Pix, Flux.1 Kontext, Flux.2, Qwen-Image Edit.

    The instruction is the positive prompt; sample with denoise of 1. Other models cannot see the image. For a model
    that looks at several images (Flux.2, Qwen-Image Edit Plus), put several of these in a row. The text encoder of a
    Qwen-Image Edit looks at them as well: encode the instruction with text.encode_with_images.
    """
    before = positive.shown.images if positive.shown is not None and positive.shown.kind == "image" else ()
    first, *more = (*before, latent.samples)
    return replace(positive, shown=Shown("image", first, image_guidance, more=tuple(more)))


@node(version=1, title="Apply depth", tags=("depth2img", "Depth2Image", "depth to image"))
def depth(
    positive: Conditioning,
    image: Annotated[Image, "Depth as an image: what is brighter is nearer. Only its brightness is looked at."],
) -> Conditioning:
    """Show depth to a model that is led by it (Stable Diffusion 2 depth). For other models there are ControlNets.

    The range does not matter: the nearest point and the farthest are brought to what the model knows.
    """
    from ._pixels import brightness

    return replace(positive, shown=Shown("depth", brightness(image.pixels)[:, None].contiguous()))


@node(
    version=1,
    title="Image to video",
    tags=("WanImageToVideo", "WanFirstLastFrameToVideo", "Wan22ImageToVideoLatent", "image to video", "img2vid", "i2v"),
)
def frames(
    positive: Annotated[Conditioning, "What happens in the video."],
    vae: Annotated[ModelRef[VAE], "The VAE of the model of videos."],
    latent: Annotated[Latent, "The empty latent of the video. Connect it to the sampler as well."],
    first: Annotated[Image, "The frame that the video begins with. It is scaled, and cut to the video's shape."],
    last: Annotated[Image | None, "The frame that it ends with, for models that can."] = None,
    encoder: Annotated[
        ModelRef[ImageEncoder] | None, "For models that look at images with one, such as Wan 2.1: CLIP-ViT-H."
    ] = None,
    *,
    ctx: Context,
) -> Conditioning:
    """Let a video begin with an image, and end with another one, where the model was made for it.

    The sampler makes what lies between them. Transparent parts become white.
    """
    from safelight.diffusion.autoencoder import leased_codec
    from safelight.diffusion.latents import image_size

    from ._given_frames import planes, seen

    given = [("first", first)] + ([("last", last)] if last is not None else [])
    for port, image in given:
        if len(image.pixels) != 1:
            message = f"There are {len(image.pixels)} images, and one frame is given here."
            hint = "Take the batch apart with image.split, and connect one of them."
            raise ProblemError(Problem(code="wrong_batch", message=message, hint=hint, port=port))
    if latent.samples.ndim != 5:
        message, hint = "This latent holds images.", "Make it with latent.empty_video."
        raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
    pixels = [image.pixels for _, image in given]
    family = ctx.models.families.get(vae.family)
    at_once = family.frames if family else 1
    with leased_codec(ctx, vae, image_size(latent), latent.family, at_once) as codec:
        if not isinstance(codec, VideoVAEModel):
            message, hint = f"The VAE {vae.source.name!r} is one of images.", "Use the VAE of the model of videos."
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, port="vae"))
        shown = planes(codec, latent, pixels)
    embeddings = None if encoder is None else seen(ctx, encoder, pixels, image_size(latent))
    return replace(positive, shown=Shown("frames", shown, embeddings=embeddings))
