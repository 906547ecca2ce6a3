"""Between images and masks."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Image, Mask, Toggle, node


@node(version=1, cheap=True, tags=("Convert Image to Mask", "ImageToMask"))
def to_mask(
    image: Image,
    *,
    channel: Annotated[
        Literal["brightness", "red", "green", "blue", "alpha"], "What becomes white in the mask."
    ] = "brightness",
    invert: Annotated[bool, Toggle(), "Swap white and black."] = False,
) -> Mask:
    """Make a mask of an image."""
    import torch

    from .._pixels import brightness

    pixels = image.pixels
    if channel == "brightness":
        coverage = brightness(pixels)
    elif channel == "alpha":
        coverage = pixels[..., 3].clone() if pixels.shape[-1] == 4 else torch.ones(pixels.shape[:3])
    else:
        coverage = pixels[..., ("red", "green", "blue").index(channel)].clone()
    return Mask(1 - coverage if invert else coverage)


@node(version=1, cheap=True, tags=("Convert Mask to Image", "MaskToImage"))
def from_mask(mask: Mask) -> Image:
    """Show a mask as an image in black and white."""
    return Image(mask.coverage[..., None].repeat(1, 1, 1, 3))
