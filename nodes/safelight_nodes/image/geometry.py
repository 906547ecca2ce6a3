"""Size, place and shape of images."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Color, Image, Number, Problem, ProblemError, Slider, Toggle, node

from .._warps import Around

_Method = Annotated[Literal["lanczos", "bicubic", "bilinear", "nearest"], "How pixels are made from others."]
_Around = Annotated[Around, "Seen beyond the edge: nothing, the pixels of the edge, the image mirrored, or again."]


@node(version=1, title="Resize image", tags=("Upscale Image", "ImageScale", "Image Resize"))
def resize(
    image: Image,
    *,
    width: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the height."] = 0,
    height: Annotated[int, Number(0, 16384, zero="auto"), "In pixels. 0: in proportion to the width."] = 0,
    fit: Annotated[
        Literal["stretch", "crop", "pad", "inside"],
        "When the proportions differ: stretch the image, cut off what is too much, put black around it, or make it as "
        "large as it fits within.",
    ] = "stretch",
    method: _Method = "lanczos",
) -> Image:
    """Change the size of images. With both sides at 0 they stay as they are."""
    from .._pixels import resized

    old_height, old_width = image.pixels.shape[1:3]
    if not width and not height:
        return image
    width = width or max(1, round(old_width * height / old_height))
    height = height or max(1, round(old_height * width / old_width))
    if fit == "inside":
        factor = min(width / old_width, height / old_height)
        width, height, fit = max(1, round(old_width * factor)), max(1, round(old_height * factor)), "stretch"
    return Image(resized(image.pixels, height, width, fit, method))


@node(
    version=1,
    title="Scale image",
    tags=("Upscale Image By", "ImageScaleBy", "ImageScaleToTotalPixels", "megapixels", "longest side"),
)
def scale(
    image: Image,
    *,
    by: Annotated[
        Literal["factor", "longer_side", "shorter_side", "megapixels"], "What is given; the proportions stay."
    ] = "factor",
    factor: Annotated[float, Number(0.01, 64, step=0.1, shown_if={"by": "factor"}), "2 is twice the width."] = 2.0,
    side: Annotated[
        int, Number(1, 16384, shown_if={"by": ["longer_side", "shorter_side"]}), "Length of that side in pixels."
    ] = 1024,
    megapixels: Annotated[
        float, Number(0.001, 200, step=0.1, shown_if={"by": "megapixels"}), "Millions of pixels, about."
    ] = 1.0,
    multiple_of: Annotated[
        int, Slider(1, 128, advanced=True), "Both sides become a multiple of this, as models want it."
    ] = 1,
    method: _Method = "lanczos",
) -> Image:
    """Change the size of images in proportion."""
    from .._pixels import check_size, resized

    height, width = image.pixels.shape[1:3]
    ratio = {
        "factor": factor,
        "longer_side": side / max(height, width),
        "shorter_side": side / min(height, width),
        "megapixels": (megapixels * 1e6 / (height * width)) ** 0.5,
    }[by]
    new_height, new_width = (
        max(multiple_of, round(old * ratio / multiple_of) * multiple_of) for old in (height, width)
    )
    check_size(new_height, new_width, by if by in ("factor", "megapixels") else "side")
    return Image(resized(image.pixels, new_height, new_width, "stretch", method))


@node(
    version=1,
    title="Flip image",
    cheap=True,
    tags=("Flip", "ImageFlip", "mirror", "Image Flip", "transpose", "rotate 90"),
)
def flip(
    image: Image,
    *,
    way: Annotated[
        Literal["horizontal", "vertical", "turn_left", "turn_right", "turn_around", "transpose"],
        "Left to right, top to bottom, by a quarter, by a half, or rows to columns.",
    ] = "horizontal",
) -> Image:
    """Mirror images, or turn them by quarters. No pixel is changed."""
    pixels = image.pixels
    match way:
        case "horizontal":
            pixels = pixels.flip(2)
        case "vertical":
            pixels = pixels.flip(1)
        case "turn_around":
            pixels = pixels.flip(1, 2)
        case "turn_left":
            pixels = pixels.transpose(1, 2).flip(1)
        case "turn_right":
            pixels = pixels.transpose(1, 2).flip(2)
        case "transpose":
            pixels = pixels.transpose(1, 2)
    return Image(pixels.contiguous())


@node(version=1, title="Rotate image", tags=("Rotate", "ImageRotate", "Image Rotate", "straighten"))
def rotate(
    image: Image,
    *,
    angle: Annotated[float, Slider(-180, 180, step=0.1), "Degrees, counter-clockwise."] = 15.0,
    expand: Annotated[bool, Toggle(), "Make room for the corners, instead of cutting them off."] = True,
    around: _Around = "transparent",
) -> Image:
    """Turn images by any angle about their middle. For quarters, flip is exact."""
    import math

    from .._warps import similar, warped

    height, width = image.pixels.shape[1:3]
    tall, wide = height, width
    if expand:
        cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        tall, wide = math.ceil(height * cos + width * sin - 1e-6), math.ceil(width * cos + height * sin - 1e-6)
    matrix = similar((width / 2, height / 2), (wide / 2, tall / 2), 1.0, angle)
    return Image(warped(image.pixels, matrix, tall, wide, around))


@node(version=1, tags=("Image Transform", "affine", "shear", "skew", "zoom", "pan"))
def transform(
    image: Image,
    *,
    move_x: Annotated[float, Slider(-2, 2, step=0.01), "To the right, as a fraction of the width."] = 0.0,
    move_y: Annotated[float, Slider(-2, 2, step=0.01), "Down, as a fraction of the height."] = 0.0,
    zoom: Annotated[float, Number(0.01, 100, step=0.1), "Above 1 nearer, below 1 farther."] = 1.0,
    angle: Annotated[float, Slider(-180, 180), "Degrees, counter-clockwise."] = 0.0,
    shear: Annotated[float, Slider(-80, 80), "Degrees by which upright lines lean to the right."] = 0.0,
    around: _Around = "edge",
) -> Image:
    """Move, zoom, turn and shear images about their middle. The size stays."""
    import math

    import numpy

    from .._warps import similar, warped

    height, width = image.pixels.shape[1:3]
    middle = (width / 2, height / 2)
    lean = numpy.eye(3)
    lean[0, 1] = -math.tan(math.radians(shear))
    lean[0, 2] = -lean[0, 1] * middle[1]
    to = (middle[0] + move_x * width, middle[1] + move_y * height)
    return Image(warped(image.pixels, similar(middle, to, zoom, angle) @ lean, height, width, around))


_Corner = Slider(-0.5, 1.5, step=0.005)


@node(version=1, tags=("Perspective", "Image Perspective", "corner pin", "keystone", "homography", "warp"))
def perspective(
    image: Image,
    *,
    left_top_x: Annotated[float, _Corner, "As fractions of the width and the height, from the upper left."] = 0.1,
    left_top_y: Annotated[float, _Corner, "Downwards."] = 0.0,
    right_top_x: Annotated[float, _Corner, "Across."] = 0.9,
    right_top_y: Annotated[float, _Corner, "Downwards."] = 0.0,
    right_bottom_x: Annotated[float, _Corner, "Across."] = 1.0,
    right_bottom_y: Annotated[float, _Corner, "Downwards."] = 1.0,
    left_bottom_x: Annotated[float, _Corner, "Across."] = 0.0,
    left_bottom_y: Annotated[float, _Corner, "Downwards."] = 1.0,
    straighten: Annotated[bool, Toggle(), "The other way: what lies between these corners fills the image."] = False,
    around: _Around = "transparent",
) -> Image:
    """Draw the corners of images to other places, or straighten what was seen at an angle."""
    from .._warps import from_corners, warped

    height, width = image.pixels.shape[1:3]
    wanted = [
        (left_top_x * width, left_top_y * height),
        (right_top_x * width, right_top_y * height),
        (right_bottom_x * width, right_bottom_y * height),
        (left_bottom_x * width, left_bottom_y * height),
    ]
    # Corners in order turn the same way at each; otherwise the image would cross or fold itself.
    ahead = [*wanted, *wanted]
    turns = [
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
        for a, b, c in zip(ahead, ahead[1:], ahead[2:], strict=False)
    ]
    if not (all(turn > 1e-3 for turn in turns) or all(turn < -1e-3 for turn in turns)):
        raise ProblemError(
            Problem(
                code="bad_corners",
                message="The four corners do not make a figure that bulges outwards everywhere.",
                hint="Keep left corners left of right ones, and upper ones above lower ones.",
                port="left_top_x",
            )
        )
    whole = [(0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height))]
    matrix = from_corners(wanted, whole) if straighten else from_corners(whole, wanted)
    return Image(warped(image.pixels, matrix, height, width, around))


@node(
    version=1,
    title="Pad image",
    cheap=True,
    tags=("Pad Image", "ImagePadKJ", "border", "Image Padding", "canvas size", "frame"),
)
def pad(
    image: Image,
    *,
    left: Annotated[int, Number(0, 8192), "Pixels added on the left."] = 32,
    top: Annotated[int, Number(0, 8192), "Pixels added at the top."] = 32,
    right: Annotated[int, Number(0, 8192), "Pixels added on the right."] = 32,
    bottom: Annotated[int, Number(0, 8192), "Pixels added at the bottom."] = 32,
    fill: Annotated[
        Literal["color", "transparent", "edge", "reflect", "wrap"],
        "One colour, nothing, the pixels of the edge, the image mirrored, or the image again.",
    ] = "color",
    color: Annotated[str, Color(shown_if={"fill": "color"}), "Of what is added."] = "#000000",
) -> Image:
    """Put a border around images."""
    from .._pixels import check_size, padded

    check_size(image.pixels.shape[1] + top + bottom, image.pixels.shape[2] + left + right, "left")
    return Image(padded(image.pixels, (left, top, right, bottom), fill, color))


@node(version=1, cheap=True, tags=("Offset", "ImageOffset", "roll", "wrap around", "seam"))
def offset(
    image: Image,
    *,
    x: Annotated[float, Slider(-1, 1, step=0.01), "To the right, as a fraction of the width."] = 0.5,
    y: Annotated[float, Slider(-1, 1, step=0.01), "Down, as a fraction of the height."] = 0.5,
) -> Image:
    """Move images around their edges: what leaves on one side comes in on the other. Shows the seams of textures."""
    height, width = image.pixels.shape[1:3]
    return Image(image.pixels.roll((round(y * height), round(x * width)), (1, 2)))


class Facts(NamedTuple):
    """What there is of an image."""

    width: Annotated[int, "In pixels."]
    height: Annotated[int, "In pixels."]
    batch: Annotated[int, "Images in the batch."]
    channels: Annotated[int, "3, or 4 with transparency."]


@node(version=1, cheap=True, tags=("Get Image Size", "GetImageSize", "Image Size to Number", "dimensions", "count"))
def size(image: Image) -> Facts:
    """Width, height, number and channels of images."""
    count, height, width, channels = image.pixels.shape
    return Facts(width, height, count, channels)
