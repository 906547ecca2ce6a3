"""Images over each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import Choice, Color, Image, Mask, Number, Slider, node

from .._blending import Mode, Operator

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, cheap=True, tags=("remove alpha", "transparency"))
def flatten(image: Image, *, background: Annotated[str, Color()] = "#ffffff") -> Image:
    """Put a colour behind transparent images."""
    from .._pixels import color_of, flattened

    return image if image.pixels.shape[-1] == 3 else Image(flattened(image.pixels, color_of(background)))


@node(version=1, title="Composite images", tags=("ImageCompositeMasked", "paste", "blend", "PorterDuffImageComposite"))
def composite(
    base: Annotated[Image, "Stays where the mask is black, pixel for pixel."],
    over: Annotated[Image, "Covers it where the mask is white; brought to its size."],
    mask: Annotated[Mask, "Grey mixes the two; brought to the same size."],
) -> Image:
    """Put one image over another inside a mask, as after painting a part of it again.

    One image or mask serves a whole batch of the others.
    """
    from .._pixels import blended, common_batch, mask_like, opaque, resized

    below = base.pixels
    common_batch(base=len(below), over=len(over.pixels), mask=len(mask.coverage))
    height, width = below.shape[1:3]
    above = resized(over.pixels, height, width, "stretch", "bicubic")
    if below.shape[-1] != above.shape[-1]:
        below, above = opaque(below), opaque(above)
    coverage = mask_like(mask.coverage, below)[..., None]
    return Image(blended(below, above, coverage))


@node(
    version=1,
    title="Blend images",
    tags=(
        "Image Blend",
        "ImageBlend",
        "blend modes",
        "Image Blending Mode",
        "Blend Images",
        "layers",
        "Photoshop blend",
    ),
)
def blend(
    base: Annotated[Image, "The lower image; the result has its size."],
    over: Annotated[Image, "The upper image, brought to the size of the lower one."],
    mask: Annotated[Mask | None, "Where the upper image is seen: white fully."] = None,
    *,
    mode: Annotated[
        Mode, "How colours mix: the modes of the W3C, and add, subtract and divide of image editors."
    ] = "normal",
    opacity: Annotated[float, Slider(0, 1, step=0.01), "How much of the upper image there is."] = 1.0,
    operator: Annotated[
        Operator, Choice(advanced=True), "Which parts stay where one of the two is transparent (Porter and Duff)."
    ] = "over",
) -> Image:
    """Lay one image over another with a blend mode.

    One image serves a whole batch of the others. The result is transparent only where both were, or where the operator
    cuts. Source: W3C Compositing and Blending Level 1.
    """
    from .._pixels import resized

    height, width = base.pixels.shape[1:3]
    above = resized(over.pixels, height, width, "stretch", "bicubic")
    return Image(_layered(base.pixels, above, mask, mode, opacity, operator))


@node(version=1, tags=("Image Overlay", "Composite Images", "ImageTransform", "paste", "watermark", "Overlay Images"))
def place(
    base: Annotated[Image, "The lower image; the result has its size."],
    over: Annotated[Image, "The upper image, in its own size."],
    mask: Annotated[Mask | None, "Of the upper image: white is seen."] = None,
    *,
    x: Annotated[float, Slider(-1, 2, step=0.001), "Where its middle lies, as a fraction of the width."] = 0.5,
    y: Annotated[float, Slider(-1, 2, step=0.001), "Where its middle lies, as a fraction of the height."] = 0.5,
    scale: Annotated[float, Number(0.001, 100, step=0.05), "1 is its own size."] = 1.0,
    angle: Annotated[float, Slider(-180, 180), "Degrees, counter-clockwise."] = 0.0,
    mode: Annotated[Mode, "How colours mix."] = "normal",
    opacity: Annotated[float, Slider(0, 1, step=0.01), "How much of the upper image there is."] = 1.0,
) -> Image:
    """Put an image onto another at a place, scaled and turned: a logo, a sticker, a cut-out."""
    import torch

    from .._pixels import common_batch, mask_like, opaque
    from .._warps import similar, warped

    above = opaque(over.pixels)
    if mask is not None:
        count = common_batch(over=len(above), mask=len(mask.coverage))
        above = above.expand(count, -1, -1, -1)
        alpha = above[..., 3:] * mask_like(mask.coverage, above)[..., None]
        above = torch.cat([above[..., :3], alpha.expand(count, -1, -1, -1)], dim=-1)
    height, width = base.pixels.shape[1:3]
    tall, wide = above.shape[1:3]
    matrix = similar((wide / 2, tall / 2), (x * width, y * height), scale, angle)
    moved = warped(above, matrix, height, width, "transparent")
    return Image(_layered(base.pixels, moved, None, mode, opacity, "over"))


@node(version=1, tags=("ImageCompositeMasked", "Image Paste", "paste at", "overlay", "Image Overlay"))
def paste(
    base: Annotated[Image, "The lower image; the result has its size."],
    over: Annotated[Image, "The upper image, in its own size; what reaches beyond the lower one is cut off."],
    mask: Annotated[Mask | None, "Of the upper image: white is seen. Brought to its size."] = None,
    *,
    x: Annotated[int, Number(-16384, 16384), "Left edge of the upper image in pixels."] = 0,
    y: Annotated[int, Number(-16384, 16384), "Upper edge of the upper image in pixels."] = 0,
) -> Image:
    """Put an image onto another pixel for pixel, at a place in pixels. image.place scales and turns it as well."""
    import torch

    from .._pixels import blended, common_batch, mask_like, opaque

    below, above = base.pixels, over.pixels
    given = {} if mask is None else {"mask": len(mask.coverage)}
    count = common_batch(base=len(below), over=len(above), **given)
    (height, width), (tall, wide) = below.shape[1:3], above.shape[1:3]
    rows, columns = slice(max(0, y), min(height, y + tall)), slice(max(0, x), min(width, x + wide))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return base
    share = torch.ones_like(above[..., :1]) if mask is None else mask_like(mask.coverage, above)[..., None]
    if above.shape[-1] == 4:
        share = share * above[..., 3:]
        above = above[..., :3]
    if below.shape[-1] == 4:
        above = opaque(above)
    inner = (slice(None), slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
    made = below.repeat(count // len(below), 1, 1, 1)
    made[:, rows, columns] = blended(made[:, rows, columns], above[inner], share[inner])
    return Image(made)


@node(
    version=1,
    title="Shadow",
    tags=("Drop Shadow", "cast shadow", "LayerStyle: DropShadow", "contact shadow", "product shot"),
)
def shadow(
    image: Annotated[Image, "A subject on nothing, as mask.matte or image.set_alpha leaves it."],
    *,
    kind: Annotated[
        Literal["ground", "behind"],
        "ground: the subject stands, and its shadow lies on the ground from its foot on. behind: the shadow of a "
        "sheet of paper on a wall.",
    ] = "ground",
    angle: Annotated[
        float,
        Slider(-180, 180),
        "Where it falls, in degrees counter-clockwise from the right. On the ground: 0 right, 90 away, 180 left.",
    ] = 35.0,
    length: Annotated[
        float,
        Slider(0, 2, step=0.01),
        "On the ground, as a fraction of the subject's height; behind, of the image's shorter side.",
    ] = 0.35,
    softness: Annotated[
        float, Slider(0, 0.2, step=0.005), "Of its edge, as a fraction of the image's shorter side."
    ] = 0.03,
    color: Annotated[str, Color()] = "#000000",
    opacity: Annotated[float, Slider(0, 1, step=0.01), "How dark it is."] = 0.45,
) -> Image:
    """Lay a soft shadow under a subject on a transparent ground, in an image of the same size.

    A shadow on the ground is the subject's outline, laid down from its lowest point on. What reaches beyond the image
    is cut off: pad it first. An image that is opaque hides its shadow.
    """
    import math

    import numpy
    import torch

    from .._blending import composited
    from .._pixels import color_of, opaque, smoothed
    from .._warps import warped

    given = opaque(image.pixels)
    tall, wide = given.shape[1:3]
    turn = math.radians(angle)
    right, away = math.cos(turn), math.sin(turn)
    made: list[Tensor] = []
    for one in given:
        cover = one[None, ..., 3:]
        seen = (cover[0, ..., 0] > 0.5).any(dim=1).nonzero()
        foot = float(seen.max() + 1) if len(seen) else float(tall)
        reach = length * min(tall, wide)
        across, down, offset = 0.0, 1.0, (right * reach, -away * reach)
        if kind == "ground":
            # A point so high above the foot falls so far: right of it, and up the image where the ground goes away.
            # Never quite edge on, where there would be nothing to see.
            across, down = -right * length, math.copysign(max(abs(away) * length, 0.05), away)
            offset = (-across * foot, foot * (1 - down))
        matrix = numpy.array([[1.0, across, offset[0]], [0.0, down, offset[1]], [0.0, 0.0, 1.0]])
        black = torch.cat([torch.zeros_like(one[None, ..., :3]), cover], dim=-1)
        made.append(warped(black, matrix, tall, wide, "transparent")[..., 3:])
    fallen = smoothed(torch.cat(made).movedim(-1, 1), softness * min(tall, wide)).movedim(1, -1).clamp(0, 1)
    below = torch.cat([color_of(color).expand(*fallen.shape[:3], 3), fallen * opacity], dim=-1)
    return Image(composited(below, given, torch.ones_like(fallen), "normal", "over"))


def _layered(below: Tensor, above: Tensor, mask: Mask | None, mode: Mode, opacity: float, operator: Operator) -> Tensor:
    """The upper image over the lower one of the same size; opaque where the lower one has no alpha and none is cut."""
    import torch

    from .._blending import composited
    from .._pixels import common_batch, mask_like, opaque

    given = {} if mask is None else {"mask": len(mask.coverage)}
    count = common_batch(base=len(below), over=len(above), **given)
    lower, upper = opaque(below).expand(count, -1, -1, -1), opaque(above).expand(count, -1, -1, -1)
    share = torch.ones_like(upper[..., 3:]) if mask is None else mask_like(mask.coverage, upper)[..., None]
    made = composited(lower, upper, share * opacity, mode, operator)
    return made[..., :3].contiguous() if below.shape[-1] == 3 and bool((made[..., 3] == 1).all()) else made
