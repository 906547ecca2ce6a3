"""Painting a part again: cut out around a mask, put back without a seam, and room around an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Color, Image, Mask, Number, Slider, Toggle, node, value
from safelight.sdk.values import tensor_fault

if TYPE_CHECKING:
    from torch import Tensor


@value
@dataclass(frozen=True, eq=False)
class Cutout:
    """Where a part was cut out of images, and how it goes back.

    `base`: (B, H, W, 3 or 4), the whole images. `left`, `top`, `width` and `height`: the rectangle in pixels.
    `coverage`: (B or 1, height, width), how much of the part comes back at each place.
    """

    base: Tensor
    coverage: Tensor
    left: int
    top: int
    width: int
    height: int

    def fault(self) -> str | None:
        return tensor_fault(self.base, 4) or tensor_fault(self.coverage, 3)


class Cut(NamedTuple):
    """A part to paint again."""

    image: Annotated[Image, "The part around the mask."]
    mask: Annotated[Mask, "The mask of that part."]
    cutout: Annotated[Cutout, "For mask.stitch, which puts the part back."]


@node(
    version=1,
    title="Crop to mask",
    tags=("InpaintCrop", "Inpaint Crop", "crop and stitch", "Inpaint only masked", "Mask Crop Region"),
)
def crop(
    image: Image,
    mask: Annotated[Mask, "What is to be painted again: white inside."],
    *,
    context: Annotated[
        float, Slider(1, 10, step=0.05), "How much larger than the mask the part is: what the model sees of the rest."
    ] = 1.5,
    width: Annotated[
        int,
        Number(0, 8192, zero="as it is"),
        "Of the part once it is cut out, as the model likes it. 0: its own.",
    ] = 0,
    height: Annotated[int, Number(0, 8192, zero="as it is"), "Of the part once it is cut out. 0: its own."] = 0,
    multiple_of: Annotated[int, Slider(1, 128, advanced=True), "Both sides become a multiple of this."] = 8,
    feather: Annotated[int, Slider(0, 256), "Pixels over which the part fades into the rest when it comes back."] = 16,
    grow: Annotated[int, Slider(0, 256), "Pixels by which the mask grows before."] = 0,
) -> Cut:
    """Cut the part around a mask out of images, to paint it again in a size that suits the model.

    Paint with the part and its mask, and put the result back by mask.stitch: the rest of the image stays bit for bit.
    Of a batch it is one rectangle around all masks.
    """
    from .._pixels import blurred, common_batch, grown, mask_like, resized
    from .._regions import bounds

    common_batch(image=len(image.pixels), mask=len(mask.coverage))
    coverage = grown(mask_like(mask.coverage, image.pixels), grow)
    tall, wide = image.pixels.shape[1:3]
    inner = bounds(coverage)
    ratio = width / height if width and height else None
    left, across = _widened(inner[0], inner[2], context, wide)
    top, down = _widened(inner[1], inner[3], context, tall)
    if ratio:  # the part gets the proportions of its new size, as far as the image reaches
        if across / down < ratio:
            left, across = _stretched(left, across, round(down * ratio), wide)
        else:
            top, down = _stretched(top, down, round(across / ratio), tall)
    new_width, new_height = width or across, height or down
    if width and not height:
        new_height = down * width / across
    if height and not width:
        new_width = across * height / down
    new_width, new_height = (
        max(multiple_of, round(side / multiple_of) * multiple_of) for side in (new_width, new_height)
    )
    area = slice(top, top + down), slice(left, left + across)
    part, hole = image.pixels[:, *area].contiguous(), coverage[:, *area].contiguous()
    back = blurred(grown(hole, feather // 2), feather) if feather else hole
    # Nothing fades at the edge of the part: outside of it there is nothing to come back from.
    back = back * _inner(down, across, feather, (top > 0, top + down < tall, left > 0, left + across < wide))
    cutout = Cutout(image.pixels, back, left, top, across, down)
    made = resized(part, new_height, new_width, "stretch", "lanczos")
    return Cut(Image(made), Mask(mask_like(hole, made)), cutout)


@node(version=1, tags=("InpaintStitch", "Inpaint Stitch", "crop and stitch", "paste back", "uncrop"))
def stitch(
    cutout: Cutout,
    image: Annotated[Image, "The part, painted again; brought to the size that it was cut out with."],
    *,
    whole: Annotated[bool, Toggle(), "The whole rectangle comes back, not only what the mask covers."] = False,
) -> Image:
    """Put a part that was cut out by mask.crop back into its image. What the mask left out stays bit for bit."""
    import torch

    from .._pixels import blended, common_batch, opaque, resized

    count = common_batch(cutout=max(len(cutout.base), len(cutout.coverage)), image=len(image.pixels))
    base = cutout.base.expand(count, -1, -1, -1).clone()
    part = resized(image.pixels, cutout.height, cutout.width, "stretch", "lanczos")
    if part.shape[-1] != base.shape[-1]:
        part, base = opaque(part), opaque(base)
    area = (slice(None), slice(cutout.top, cutout.top + cutout.height), slice(cutout.left, cutout.left + cutout.width))
    share = torch.ones_like(cutout.coverage) if whole else cutout.coverage
    base[area] = blended(base[area], part, share[..., None])
    return Image(base)


class Outpainted(NamedTuple):
    """An image with room around it."""

    image: Image
    mask: Annotated[Mask, "White where there is something to paint."]


@node(version=1, tags=("Pad Image for Outpainting", "ImagePadForOutpaint", "outpainting", "uncrop", "extend"))
def outpaint(
    image: Image,
    *,
    left: Annotated[int, Number(0, 8192, step=8), "Pixels added on the left."] = 0,
    top: Annotated[int, Number(0, 8192, step=8), "Pixels added at the top."] = 0,
    right: Annotated[int, Number(0, 8192, step=8), "Pixels added on the right."] = 128,
    bottom: Annotated[int, Number(0, 8192, step=8), "Pixels added at the bottom."] = 0,
    fill: Annotated[
        Literal["color", "edge", "reflect"],
        "What is there before: a colour, the pixels of the edge, or the image mirrored.",
    ] = "edge",
    color: Annotated[str, Color(shown_if={"fill": "color"}), "Of what is added."] = "#808080",
    feather: Annotated[int, Slider(0, 512), "Pixels of the image that the mask fades over."] = 32,
) -> Outpainted:
    """Add room around images, and the mask of it, to paint beyond their edges."""
    from .._pixels import check_size, padded

    height, width = image.pixels.shape[1:3]
    check_size(height + top + bottom, width + left + right, "left")
    made = padded(image.pixels, (left, top, right, bottom), fill, color)
    inside = _inner(height, width, feather, (top > 0, bottom > 0, left > 0, right > 0))
    mask = padded((1 - inside)[None, :, :, None], (left, top, right, bottom), "color", "#ffffff")
    return Outpainted(Image(made), Mask(mask[..., 0].contiguous()))


def _widened(start: int, side: int, context: float, whole: int) -> tuple[int, int]:
    return _stretched(start, side, min(whole, round(side * context)), whole)


def _stretched(start: int, side: int, wanted: int, whole: int) -> tuple[int, int]:
    """Where a length begins that is stretched to both sides, and how long it is, within 0 to `whole`."""
    wanted = min(whole, max(side, wanted))
    return min(max(0, start - (wanted - side) // 2), whole - wanted), wanted


def _inner(height: int, width: int, feather: int, faded: tuple[bool, bool, bool, bool]) -> Tensor:
    """(H, W): 1 inside, falling to 0 over `feather` pixels towards those edges (top, bottom, left, right) that fade."""
    import torch

    made = torch.ones(height, width)
    for dimension, (first, last) in ((0, faded[:2]), (1, faded[2:])):
        side = (height, width)[dimension]
        place = (torch.arange(side) + 0.5) / max(feather, 1)
        rise = place.clamp(max=1) if first and feather else torch.ones(side)
        fall = place.flip(0).clamp(max=1) if last and feather else torch.ones(side)
        both = torch.minimum(rise, fall)
        made = torch.minimum(made, both[:, None] if dimension == 0 else both)
    return made
