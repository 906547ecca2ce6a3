"""Images made from nothing: colours, gradients, shapes and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Color, Context, FilePick, Image, Mask, Number, Slider, Text, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor

_Width = Annotated[int, Number(1, 16384), "In pixels."]
_Height = Annotated[int, Number(1, 16384), "In pixels."]


@node(version=1, cheap=True, tags=("EmptyImage", "Create Color Image", "Solid Color", "Color Image", "blank"))
def solid(
    *,
    width: _Width = 512,
    height: _Height = 512,
    color: Annotated[str, Color(), "Of all pixels."] = "#808080",
    opacity: Annotated[float, Slider(0, 1, step=0.01), "Below 1 it is transparent."] = 1.0,
    count: Annotated[int, Number(1, 4096), "Images in the batch."] = 1,
) -> Image:
    """An image of one colour."""
    import torch

    from .._pixels import check_size, color_of

    check_size(height * count, width, "width")
    paint = torch.cat([color_of(color), torch.tensor([opacity])])[: 3 if opacity == 1 else 4]
    return Image(paint.repeat(count, height, width, 1))


@node(version=1, tags=("Create Gradient", "Image Gradient", "gradient", "linear", "radial", "ramp"))
def gradient(
    *,
    width: _Width = 512,
    height: _Height = 512,
    kind: Annotated[
        Literal["linear", "radial", "conic"], "Along a line, from the middle outwards, or around the middle."
    ] = "linear",
    start: Annotated[str, Color(), "The first colour."] = "#000000",
    end: Annotated[str, Color(), "The last colour."] = "#ffffff",
    angle: Annotated[
        float,
        Slider(-180, 180, shown_if={"kind": ["linear", "conic"]}),
        "Where it goes, in degrees counter-clockwise from the right.",
    ] = 0.0,
) -> Image:
    """An image that goes from one colour to another."""
    from .._pixels import check_size, color_of
    from .._ramps import ramp

    check_size(height, width, "width")
    share = ramp(height, width, kind, angle)[..., None]
    return Image((color_of(start) * (1 - share) + color_of(end) * share)[None])


@node(version=1, cheap=True, tags=("Create Checkerboard", "checkerboard", "test pattern", "stripes", "grid lines"))
def pattern(
    *,
    width: _Width = 512,
    height: _Height = 512,
    kind: Annotated[Literal["checkerboard", "stripes", "dots", "grid"], "What is drawn."] = "checkerboard",
    size: Annotated[int, Number(1, 4096), "Of a square, stripe or cell, in pixels."] = 32,
    first: Annotated[str, Color(), "Of the ground, and of the first square."] = "#ffffff",
    second: Annotated[str, Color(), "Of what is on it."] = "#808080",
) -> Image:
    """An image with a regular pattern."""
    import torch

    from .._pixels import check_size, color_of

    check_size(height, width, "width")
    down, across = torch.arange(height)[:, None], torch.arange(width)[None]
    match kind:
        case "checkerboard":
            inked = (down // size + across // size) % 2 == 1
        case "stripes":
            inked = ((across // size) % 2 == 1).expand(height, width)
        case "dots":
            middle = (size - 1) / 2
            inked = ((down % size - middle) ** 2 + (across % size - middle) ** 2).sqrt() <= size * 0.35
        case "grid":
            line = max(1, size // 16)
            inked = (down % size < line) | (across % size < line)
    return Image(torch.where(inked[..., None], color_of(second), color_of(first))[None])


class Drawn(NamedTuple):
    """What was drawn."""

    image: Image
    mask: Annotated[Mask, "White where it was drawn."]


@node(version=1, tags=("Draw Shape", "CreateShapeMask", "rectangle", "circle", "ellipse", "polygon", "star", "line"))
def shape(
    image: Annotated[Image | None, "What is drawn on; without one it is transparent, of the size given."] = None,
    *,
    kind: Annotated[
        Literal["rectangle", "ellipse", "triangle", "polygon", "star", "line"], "What is drawn."
    ] = "rectangle",
    x: Annotated[float, Slider(-0.5, 1.5, step=0.005), "Of its middle, as a fraction of the width."] = 0.5,
    y: Annotated[float, Slider(-0.5, 1.5, step=0.005), "Of its middle, as a fraction of the height."] = 0.5,
    across: Annotated[float, Slider(0.005, 2, step=0.005), "Its width as a fraction of the image's."] = 0.5,
    down: Annotated[float, Slider(0, 2, step=0.005), "Its height as a fraction of the image's."] = 0.5,
    corners: Annotated[int, Slider(3, 24, shown_if={"kind": ["polygon", "star"]}), "Of a polygon or star."] = 5,
    rounding: Annotated[
        float, Slider(0, 1, step=0.05, shown_if={"kind": "rectangle"}), "Of the corners: at 1 its ends are round."
    ] = 0.0,
    angle: Annotated[float, Slider(-180, 180), "Degrees, counter-clockwise."] = 0.0,
    outline: Annotated[float, Number(0, 1000, step=1, zero="filled"), "Width of the line. 0: filled."] = 0.0,
    color: Annotated[str, Color(), "Of the shape."] = "#e04848",
    opacity: Annotated[float, Slider(0, 1, step=0.01), "Of the shape."] = 1.0,
    width: Annotated[int, Number(1, 16384, advanced=True), "In pixels, where no image is connected."] = 512,
    height: Annotated[int, Number(1, 16384, advanced=True), "In pixels, where no image is connected."] = 512,
) -> Drawn:
    """Draw a shape, with smooth edges."""
    from .._pixels import check_size
    from .._shapes import Shape, drawn_shape

    tall, wide = (height, width) if image is None else image.pixels.shape[1:3]
    check_size(tall, wide, "width")
    what = Shape(kind, x * wide, y * tall, across * wide, down * tall, corners, rounding, angle, outline)
    coverage = drawn_shape(what, tall, wide)[None]
    return _painted(image, coverage, color, opacity)


@node(
    version=1,
    tags=(
        "Text on Image",
        "Draw Text",
        "DrawText",
        "CR Draw Text",
        "Add Label",
        "caption",
        "watermark",
        "text overlay",
    ),
)
def text(
    image: Annotated[Image | None, "What is written on; without one it is transparent, of the size given."] = None,
    *,
    text: Annotated[str, Text(multiline=True, max_length=20_000), "What is written. Lines are kept."] = "Safelight",
    size: Annotated[float, Number(4, 2000, step=2), "Of the letters, in pixels."] = 48.0,
    color: Annotated[str, Color(), "Of the letters."] = "#ffffff",
    anchor: Annotated[
        Literal["top_left", "top", "top_right", "left", "middle", "right", "bottom_left", "bottom", "bottom_right"],
        "Which side or corner of the image it stands at.",
    ] = "bottom",
    margin: Annotated[int, Number(0, 4096), "Pixels between it and the edge."] = 24,
    align: Annotated[Literal["left", "center", "right"], "Of lines of different length."] = "center",
    wrap: Annotated[bool, Toggle(), "Begin new lines where one would not fit into the image."] = True,
    outline: Annotated[float, Number(0, 100, step=1, zero="none"), "Width of a line around the letters."] = 2.0,
    outline_color: Annotated[str, Color(), "Of that line."] = "#000000",
    font: Annotated[
        str, FilePick("any"), "A font (.ttf, .otf) of the input folder, for other scripts. Empty: the built-in one."
    ] = "",
    opacity: Annotated[float, Slider(0, 1, step=0.01, advanced=True), "Of the letters and their line."] = 1.0,
    angle: Annotated[float, Slider(-180, 180, advanced=True), "Degrees counter-clockwise about its middle."] = 0.0,
    width: Annotated[int, Number(1, 16384, advanced=True), "In pixels, where no image is connected."] = 512,
    height: Annotated[int, Number(1, 16384, advanced=True), "In pixels, where no image is connected."] = 128,
    ctx: Context,
) -> Drawn:
    """Write on images. The built-in fonts are Aileron, which comes with Pillow, and DejaVu Sans for what that lacks.

    Chinese, Japanese and Korean need a font of the system or of your own; a sign that none has is drawn as a box.
    """
    import torch

    from .._lettering import Lettering, font_of, lettered
    from .._pixels import check_size

    tall, wide = (height, width) if image is None else image.pixels.shape[1:3]
    check_size(tall, wide, "width")
    face = font_of(ctx.files.path(font) if font else None, size, text, font)
    how = Lettering(face, size, anchor, margin, align, wrap, outline, angle)
    letters, line = lettered(text, how, tall, wide)
    below = _painted(image, line[None], outline_color, opacity) if outline else None
    made = _painted(below.image if below else image, letters[None], color, opacity)
    return Drawn(made.image, Mask(torch.maximum(letters, line)[None] * opacity))


def _painted(image: Image | None, coverage: Tensor, color: str, opacity: float) -> Drawn:
    """A colour laid over an image where `coverage` (1, H, W) says; without an image, over nothing."""
    import torch

    from .._blending import composited
    from .._pixels import color_of, opaque

    count, tall, wide = (1, *coverage.shape[1:]) if image is None else image.pixels.shape[:3]
    below = torch.zeros(1, tall, wide, 4) if image is None else opaque(image.pixels)
    paint = torch.cat([color_of(color), torch.ones(1)]).expand(count, tall, wide, 4)
    made = composited(below, paint, coverage[..., None] * opacity, "normal")
    plain = image is not None and image.pixels.shape[-1] == 3
    return Drawn(Image(made[..., :3].contiguous() if plain else made), Mask(coverage * opacity))
