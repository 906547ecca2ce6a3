"""Images for denoisers that see one beside their latent: an image to edit, or its depth."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from safelight.sdk import Conditioning, Image, Latent, Shown, Slider, node


@node(version=1, title="Edit an image", tags=("InstructPixToPixConditioning", "InstructPix2Pix", "image cfg"))
def edit(
    positive: Annotated[Conditioning, "An instruction, such as 'make it winter'."],
    latent: Annotated[Latent, "The image to edit, encoded. Connect it to the sampler as well."],
    *,
    image_guidance: Annotated[
        float,
        Slider(0, 10, step=0.1),
        "How much of the image is kept. At 1 it is left to the prompts, and a step takes less time. It counts where "
        "guidance is above 1.",
    ] = 1.5,
) -> Conditioning:
    """Let a model that was trained on instructions (InstructPix2Pix) change an image.

    The instruction is the positive prompt; sample with denoise of 1. Other models cannot see the image.
    """
    return replace(positive, shown=Shown("image", latent.samples, image_guidance))


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
