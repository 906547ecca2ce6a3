"""Masks made of images, of gradients and of shapes."""

from __future__ import annotations

from typing import Annotated, Literal

from safelight.sdk import Color, Image, Mask, Number, Seed, Slider, Toggle, node

_Width = Annotated[int, Number(1, 16384), "In pixels."]
_Height = Annotated[int, Number(1, 16384), "In pixels."]


@node(version=1, cheap=True, tags=("SolidMask", "Create Mask", "empty mask", "white", "black"))
def solid(
    *,
    width: _Width = 512,
    height: _Height = 512,
    value: Annotated[float, Slider(0, 1, step=0.01), "0 is black, outside; 1 is white, inside."] = 1.0,
    count: Annotated[int, Number(1, 4096), "Masks in the batch."] = 1,
) -> Mask:
    """A mask that is the same everywhere."""
    import torch

    from .._pixels import check_size

    check_size(height * count, width, "width")
    return Mask(torch.full((count, height, width), float(value)))


@node(
    version=1,
    tags=("Mask From Color", "ColorToMask", "MaskFromRGBCMYBW", "chroma key", "green screen", "ImageColorToMask"),
)
def from_color(
    image: Image,
    *,
    color: Annotated[str, Color(), "What becomes white."] = "#00ff00",
    tolerance: Annotated[
        float, Slider(0, 100, step=0.5), "How far a colour may differ. 2.3 is just to be seen, 100 is black and white."
    ] = 20.0,
    softness: Annotated[float, Slider(0, 100, step=0.5), "Beyond the tolerance, over how far it fades."] = 10.0,
    invert: Annotated[bool, Toggle(), "White where the colour is not: what a green screen leaves."] = False,
) -> Mask:
    """Choose the parts of images that have a colour. Transparent parts are none.

    Source: the distance is that of CIE 1976 Lab, in scikit-image's implementation.
    """
    import torch
    from skimage.color import deltaE_cie76, rgb2lab

    from .._pixels import color_of, opaque

    wanted = rgb2lab(color_of(color).double().numpy())
    pixels = opaque(image.pixels)
    far = torch.stack(
        [torch.from_numpy(deltaE_cie76(rgb2lab(one[..., :3].double().numpy()), wanted)).float() for one in pixels]
    )
    found = ((tolerance + softness - far) / softness).clamp(0, 1) if softness else (far <= tolerance).float()
    found = found * pixels[..., 3]
    return Mask(1 - found if invert else found)


@node(version=1, tags=("ThresholdMask", "Mask Threshold Region", "Mask from brightness", "luminance range", "binarize"))
def from_range(
    image: Image,
    *,
    channel: Annotated[
        Literal["brightness", "hue", "saturation", "lightness", "red", "green", "blue", "alpha"], "What is looked at."
    ] = "brightness",
    low: Annotated[float, Slider(0, 1, step=0.005), "From here on. A hue of 0 is red, 1/3 green, 2/3 blue."] = 0.5,
    high: Annotated[float, Slider(0, 1, step=0.005), "Up to here. Of hues it may lie below low: around by red."] = 1.0,
    softness: Annotated[float, Slider(0, 0.5, step=0.005), "Over how far it fades outside of the range."] = 0.0,
) -> Mask:
    """Choose the parts of images whose brightness, hue or other channel lies in a range."""
    from .._colours import to_hsl
    from .._pixels import brightness, check_range, opaque

    pixels = opaque(image.pixels)
    if channel == "brightness":
        value = brightness(pixels)
    elif channel in ("hue", "saturation", "lightness"):
        value = to_hsl(pixels[..., :3])[("hue", "saturation", "lightness").index(channel)]
    else:
        value = pixels[..., ("red", "green", "blue", "alpha").index(channel)]
    if channel != "hue":
        check_range(low, high)
        below, above = low - value, value - high
    else:
        # How far before the begin or behind the end on the circle; nothing within.
        width = (high - low) % 1 if high != low + 1 else 1.0
        past = (value - low) % 1
        outside = past > width
        below, above = (1 - past).where(outside, 0.0), (past - width).where(outside, 0.0)
        below = below.minimum(above)
        above = below
    far = below.maximum(above).clamp(min=0)
    return Mask((1 - far / softness).clamp(0, 1) if softness else (far <= 0).float())


@node(version=1, tags=("CreateGradientMask", "Mask Gradient Region", "gradient", "Mask Ramp"))
def gradient(
    *,
    width: _Width = 512,
    height: _Height = 512,
    kind: Annotated[
        Literal["linear", "radial", "conic"], "Along a line, from the middle outwards, or around the middle."
    ] = "linear",
    angle: Annotated[
        float, Slider(-180, 180, shown_if={"kind": ["linear", "conic"]}), "Degrees, counter-clockwise from the right."
    ] = 0.0,
    start: Annotated[float, Slider(0, 1, step=0.01), "Up to this fraction of the way it is black."] = 0.0,
    end: Annotated[float, Slider(0, 1, step=0.01), "From this fraction of the way it is white."] = 1.0,
    invert: Annotated[bool, Toggle(), "Swap white and black."] = False,
) -> Mask:
    """A mask that goes from black to white."""
    from .._pixels import check_range, check_size
    from .._ramps import ramp

    check_size(height, width, "width")
    check_range(start, end, "start", "end")
    share = ramp(height, width, kind, angle)
    made = ((share - start) / (end - start)).clamp(0, 1) if end > start else (share >= start).float()
    return Mask((1 - made if invert else made)[None])


@node(version=1, tags=("CreateShapeMask", "Mask Rect Area", "rectangle", "circle", "ellipse", "polygon", "star"))
def shape(
    *,
    width: _Width = 512,
    height: _Height = 512,
    kind: Annotated[Literal["rectangle", "ellipse", "triangle", "polygon", "star"], "What is white."] = "ellipse",
    x: Annotated[float, Slider(-0.5, 1.5, step=0.005), "Of its middle, as a fraction of the width."] = 0.5,
    y: Annotated[float, Slider(-0.5, 1.5, step=0.005), "Of its middle, as a fraction of the height."] = 0.5,
    across: Annotated[float, Slider(0.005, 2, step=0.005), "Its width as a fraction of the mask's."] = 0.5,
    down: Annotated[float, Slider(0.005, 2, step=0.005), "Its height as a fraction of the mask's."] = 0.5,
    corners: Annotated[int, Slider(3, 24, shown_if={"kind": ["polygon", "star"]}), "Of a polygon or star."] = 5,
    rounding: Annotated[
        float, Slider(0, 1, step=0.05, shown_if={"kind": "rectangle"}), "Of the corners: at 1 its ends are round."
    ] = 0.0,
    angle: Annotated[float, Slider(-180, 180), "Degrees, counter-clockwise."] = 0.0,
    blur: Annotated[int, Slider(0, 256), "Softens the edge over about so many pixels."] = 0,
    invert: Annotated[bool, Toggle(), "Swap white and black."] = False,
) -> Mask:
    """A mask with a shape."""
    from .._pixels import blurred, check_size
    from .._shapes import Shape, drawn_shape

    check_size(height, width, "width")
    what = Shape(kind, x * width, y * height, across * width, down * height, corners, rounding, angle)
    made = drawn_shape(what, height, width)[None]
    made = blurred(made, blur) if blur else made
    return Mask(1 - made if invert else made)


@node(version=1, tags=("Mask from rectangle", "bounding box to mask", "Mask Rect Area (Advanced)", "BBOX"))
def rectangle(
    *,
    width: _Width = 512,
    height: _Height = 512,
    left: Annotated[int, Number(0, 16384), "Pixels from the left edge."] = 128,
    top: Annotated[int, Number(0, 16384), "Pixels from the upper edge."] = 128,
    across: Annotated[int, Number(1, 16384), "Its width in pixels."] = 256,
    down: Annotated[int, Number(1, 16384), "Its height in pixels."] = 256,
) -> Mask:
    """A mask with a rectangle given in pixels, as bounding_box tells it. What lies outside is cut off."""
    import torch

    from .._pixels import check_size

    check_size(height, width, "width")
    made = torch.zeros(1, height, width)
    made[:, top : top + down, left : left + across] = 1
    return Mask(made)


@node(version=1, tags=("Mask from noise", "random mask", "clouds", "Perlin"))
def noise(
    *,
    width: _Width = 512,
    height: _Height = 512,
    size: Annotated[float, Number(1, 1000, step=4), "Of the patches in pixels, about."] = 48.0,
    share: Annotated[float, Slider(0, 1, step=0.01), "How much of the mask is white."] = 0.5,
    softness: Annotated[float, Slider(0, 1, step=0.01), "0: patches with edges, 1: clouds."] = 0.3,
    seed: Annotated[int, Seed(), "Where the noise starts."] = 0,
) -> Mask:
    """A mask with random patches."""
    import torch

    from .._pixels import check_size, smoothed

    check_size(height, width, "width")
    # Drawn coarsely and made larger: a Gaussian as wide as the patches would take long.
    cell = max(1.0, size / 8)
    tall, wide = max(2, round(height / cell)), max(2, round(width / cell))
    drawn = torch.randn(1, 1, tall, wide, generator=torch.Generator().manual_seed(seed))
    drawn = smoothed(drawn, size / cell / 3)
    grown = torch.nn.functional.interpolate(drawn, (height, width), mode="bicubic", align_corners=False)[0]
    flat = grown.flatten().sort().values
    rank = torch.searchsorted(flat, grown.flatten().contiguous()).view(grown.shape) / max(1, len(flat) - 1)
    edge = 1 - share
    if not softness or share in (0, 1):
        return Mask((rank >= edge).float() if share else torch.zeros_like(rank))
    return Mask(((rank - edge) / softness + 0.5).clamp(0, 1))
