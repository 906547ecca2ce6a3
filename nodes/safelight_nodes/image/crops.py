"""Parts cut out of images."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Color, Image, Mask, Number, Problem, ProblemError, Slider, node


@node(version=1, title="Crop image", cheap=True, tags=("ImageCrop",))
def crop(
    image: Image,
    *,
    left: Annotated[int, Number(0, 16384), "Pixels cut off on the left."] = 0,
    top: Annotated[int, Number(0, 16384), "Pixels cut off at the top."] = 0,
    width: Annotated[int, Number(0, 16384, zero="rest"), "Width that is kept. 0: all that is left."] = 0,
    height: Annotated[int, Number(0, 16384, zero="rest"), "Height that is kept. 0: all that is left."] = 0,
) -> Image:
    """Cut a rectangle out of images."""
    old_height, old_width = image.pixels.shape[1:3]
    width, height = width or old_width - left, height or old_height - top
    if left + width > old_width or top + height > old_height or width <= 0 or height <= 0:
        raise ProblemError(
            Problem(
                code="area_outside",
                message=f"{width} x {height} pixels from ({left}, {top}) reach outside {old_width} x {old_height}.",
                hint="Make the rectangle smaller, or move it.",
                port="left" if left + width > old_width else "top",
            )
        )
    return Image(image.pixels[:, top : top + height, left : left + width].contiguous())


@node(version=1, cheap=True, tags=("Crop to ratio", "aspect ratio", "Image Crop Square", "center crop", "ImageCropV2"))
def crop_to_ratio(
    image: Image,
    *,
    across: Annotated[float, Number(0.01, 100, step=1), "Width of the proportion, such as 16."] = 1.0,
    down: Annotated[float, Number(0.01, 100, step=1), "Height of the proportion, such as 9."] = 1.0,
    x: Annotated[float, Slider(0, 1, step=0.01), "What is kept: 0 the left, 1 the right."] = 0.5,
    y: Annotated[float, Slider(0, 1, step=0.01), "What is kept: 0 the top, 1 the bottom."] = 0.5,
) -> Image:
    """Cut the largest part with given proportions out of images."""
    height, width = image.pixels.shape[1:3]
    ratio = across / down
    wide, tall = (width, max(1, round(width / ratio))) if width / height <= ratio else (round(height * ratio), height)
    wide, tall = max(1, min(wide, width)), min(tall, height)
    left, top = round((width - wide) * x), round((height - tall) * y)
    return Image(image.pixels[:, top : top + tall, left : left + wide].contiguous())


@node(version=1, tags=("Trim", "auto crop", "Crop Borders", "remove borders", "bounding box", "Image Crop to content"))
def trim(
    image: Image,
    *,
    what: Annotated[
        Literal["corner", "color", "transparent"],
        "Borders of the colour of the upper left corner, of a given colour, or without opacity.",
    ] = "corner",
    color: Annotated[str, Color(shown_if={"what": "color"}), "Of the borders."] = "#ffffff",
    tolerance: Annotated[float, Slider(0, 1, step=0.005), "How far a channel may differ from the border's."] = 0.02,
    margin: Annotated[int, Number(0, 4096), "Pixels of the border that are kept."] = 0,
) -> Image:
    """Cut even borders off images. A batch is cut alike, so that nothing of any image is lost."""
    import torch

    from .._pixels import color_of, opaque
    from .._regions import bounds

    pixels = image.pixels
    if what == "transparent":
        seen = opaque(pixels)[..., 3] > tolerance
    else:
        border = pixels[:, :1, :1] if what == "corner" else torch.cat([color_of(color), torch.ones(1)])
        seen = ((pixels - border[..., : pixels.shape[-1]]).abs() > tolerance).any(dim=-1)
    if not bool(seen.any()):
        raise ProblemError(
            Problem(
                code="nothing_left",
                message="The images are all border: nothing would be left.",
                hint="Choose another kind of border, or a smaller tolerance.",
                port="image",
            )
        )
    left, top, width, height = bounds(seen, margin)
    return Image(pixels[:, top : top + height, left : left + width].contiguous())


@node(version=1, tags=("Crop by mask", "Mask Crop Region", "CropByMask", "MaskCropRegion"))
def crop_to_mask(
    image: Image,
    mask: Annotated[Mask, "What is kept: the smallest rectangle around all that is white."],
    *,
    margin: Annotated[int, Number(0, 4096), "Pixels around it."] = 0,
) -> Image:
    """Cut the rectangle around a mask out of images. Of several masks it is one rectangle around all."""
    from .._pixels import mask_like
    from .._regions import bounds

    left, top, width, height = bounds(mask_like(mask.coverage, image.pixels), margin)
    return Image(image.pixels[:, top : top + height, left : left + width].contiguous())
