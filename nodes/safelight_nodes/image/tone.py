"""Light and dark: levels, curves, contrast, and images of few shades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from safelight.sdk import Color, Image, Problem, ProblemError, Slider, Text, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor

_Channel = Annotated[Literal["all", "red", "green", "blue"], "Which channels are changed."]
_Strength = Annotated[float, Slider(0, 1, step=0.01), "How much of the change is made."]


@node(version=1, cheap=True, tags=("Image Levels Adjustment", "gamma", "black point", "white point"))
def levels(
    image: Image,
    *,
    black: Annotated[float, Slider(0, 1, step=0.005), "What becomes black."] = 0.0,
    white: Annotated[float, Slider(0, 1, step=0.005), "What becomes white."] = 1.0,
    gamma: Annotated[float, Slider(0.1, 10, step=0.05), "Above 1 lightens the middle, below 1 darkens it."] = 1.0,
    lowest: Annotated[float, Slider(0, 1, step=0.005, advanced=True), "What black becomes at the end."] = 0.0,
    highest: Annotated[float, Slider(0, 1, step=0.005, advanced=True), "What white becomes at the end."] = 1.0,
    channel: _Channel = "all",
) -> Image:
    """Set the black point, the white point and the middle of images."""
    from .._colours import recoloured

    if black >= white:
        raise ProblemError(
            Problem(
                code="empty_range",
                message=f"The black point {black:g} is not below the white point {white:g}.",
                hint="Let black be below white.",
                port="black",
                value=black,
            )
        )
    plain = gamma == 1 and (black, white, lowest, highest) == (0, 1, 0, 1)
    if plain:
        return image
    return Image(
        recoloured(
            image.pixels,
            lambda colours: _only(
                colours,
                lowest + (highest - lowest) * ((colours - black) / (white - black)).clamp(0, 1) ** (1 / gamma),
                channel,
            ),
        )
    )


@node(version=1, tags=("Curves", "tone curve", "Color Curves"))
def curves(
    image: Image,
    *,
    points: Annotated[
        str,
        Text(placeholder="0 0, 0.25 0.2, 0.75 0.8, 1 1", max_length=2000),
        "Points of the curve in 0 to 1, each as what was and what it becomes, from dark to bright.",
    ] = "0 0, 0.25 0.2, 0.75 0.8, 1 1",
    channel: _Channel = "all",
) -> Image:
    """Change the shades of images by a smooth curve through points. It never overshoots between two points.

    Source: Fritsch and Carlson 1980, in SciPy's implementation.
    """
    import numpy
    import torch
    from scipy.interpolate import PchipInterpolator

    from .._colours import recoloured

    steps, values = zip(*_points(points), strict=True)
    curve = PchipInterpolator(steps, values, extrapolate=False)

    def changed(colours: Tensor) -> Tensor:
        made = curve(numpy.clip(colours.numpy().astype(numpy.float64), steps[0], steps[-1]))
        return _only(colours, torch.from_numpy(made.astype(numpy.float32)), channel)

    return Image(recoloured(image.pixels, changed))


@node(
    version=1,
    cheap=True,
    title="Brightness and contrast",
    tags=("Brightness & Contrast", "Image Brightness", "Image Contrast"),
)
def brightness_contrast(
    image: Image,
    *,
    brightness: Annotated[float, Slider(-1, 1, step=0.01), "Added to each channel."] = 0.0,
    contrast: Annotated[float, Slider(0, 4, step=0.01), "Distance from middle grey: 1 keeps it, 0 is grey."] = 1.0,
) -> Image:
    """Make images brighter or darker, and their differences stronger or weaker."""
    from .._colours import recoloured

    return Image(recoloured(image.pixels, lambda colours: (colours - 0.5) * contrast + 0.5 + brightness))


@node(version=1, cheap=True, tags=("exposure", "Image Exposure", "stops", "EV"))
def exposure(
    image: Image,
    *,
    stops: Annotated[float, Slider(-8, 8, step=0.05), "Each stop is twice the light."] = 0.0,
) -> Image:
    """Change the amount of light, as a camera's exposure does: it is reckoned in linear light."""
    from .._colours import from_linear, recoloured, to_linear

    if not stops:
        return image
    return Image(recoloured(image.pixels, lambda colours: from_linear(to_linear(colours) * 2**stops)))


@node(version=1, tags=("auto levels", "autocontrast", "normalize", "Auto Levels", "equalize"))
def auto_levels(
    image: Image,
    *,
    cut: Annotated[float, Slider(0, 20, step=0.1), "Percent of the pixels that may become all black or white."] = 0.5,
    each_channel: Annotated[bool, Toggle(), "Each channel by itself, which also removes a cast."] = False,
) -> Image:
    """Stretch the shades of each image so that they reach from black to white."""
    import torch

    from .._colours import recoloured

    def stretched(colours: Tensor) -> Tensor:
        made: list[Tensor] = []
        for one in colours:
            flat = one.reshape(-1, 3) if each_channel else one.reshape(-1, 1)
            low, high = _percentiles(flat, cut / 100)
            spread = high - low
            made.append(((one - low) / spread.where(spread > 0, 1.0)).where(spread > 0, one))
        return torch.stack(made)

    return Image(recoloured(image.pixels, stretched))


@node(version=1, title="Invert image", cheap=True, tags=("Invert Image", "ImageInvert", "invert", "negative"))
def invert(image: Image, *, channel: _Channel = "all") -> Image:
    """Turn images into their negative. Transparency stays."""
    from .._colours import recoloured

    return Image(recoloured(image.pixels, lambda colours: _only(colours, 1 - colours, channel)))


@node(version=1, cheap=True, tags=("Desaturate", "grayscale", "black and white", "Image Monochromatic"))
def greyscale(
    image: Image,
    *,
    method: Annotated[
        Literal["luma", "luminance", "average", "lightness"],
        "Luma weighs as the eye does, luminance does so in linear light, average counts all channels alike, and "
        "lightness is the middle of the strongest and the weakest.",
    ] = "luma",
    strength: _Strength = 1.0,
) -> Image:
    """Take the colours out of images."""
    from .._colours import from_linear, mixed, recoloured, to_linear
    from .._pixels import brightness

    def grey(colours: Tensor) -> Tensor:
        if method == "luma":
            return brightness(colours)
        if method == "luminance":
            return from_linear(brightness(to_linear(colours)))
        return colours.mean(-1) if method == "average" else (colours.amax(-1) + colours.amin(-1)) / 2

    return Image(
        recoloured(
            image.pixels, lambda colours: mixed(colours, grey(colours)[..., None].expand(colours.shape), strength)
        )
    )


@node(version=1, cheap=True, tags=("Posterize", "quantize", "Image Posterize"))
def posterize(image: Image, *, shades: Annotated[int, Slider(2, 64), "Shades of each channel."] = 4) -> Image:
    """Reduce each channel of images to a few shades."""
    from .._colours import recoloured

    return Image(recoloured(image.pixels, lambda colours: (colours * (shades - 1)).round() / (shades - 1)))


@node(version=1, cheap=True, tags=("Threshold", "Image Threshold", "binarize", "black and white", "Otsu"))
def threshold(
    image: Image,
    *,
    method: Annotated[
        Literal["level", "otsu"], "At a level, or where Otsu's method parts each image into dark and bright."
    ] = "level",
    level: Annotated[
        float, Slider(0, 1, step=0.005, shown_if={"method": "level"}), "From this brightness on, it is white."
    ] = 0.5,
) -> Image:
    """Make images black and white, without shades between. Transparency stays.

    Source: Otsu 1979, in scikit-image's implementation.
    """
    from .._colours import recoloured
    from .._pixels import brightness, otsu

    def parted(colours: Tensor) -> Tensor:
        light = brightness(colours)
        at = otsu(light).view(-1, 1, 1) if method == "otsu" else level
        # Otsu's threshold is the highest of the dark ones.
        white = light > at if method == "otsu" else light >= at
        return white.float()[..., None].expand(colours.shape)

    return Image(recoloured(image.pixels, parted))


@node(version=1, cheap=True, tags=("Gradient Map", "duotone", "colorize", "Image Gradient Map", "sepia"))
def gradient_map(
    image: Image,
    *,
    dark: Annotated[str, Color(), "What black becomes."] = "#1b1b3a",
    bright: Annotated[str, Color(), "What white becomes."] = "#ffe8c8",
    strength: _Strength = 1.0,
) -> Image:
    """Colour images by their brightness: two inks, one for the dark and one for the bright parts."""
    from .._colours import mixed, recoloured
    from .._pixels import brightness, color_of

    low, high = color_of(dark), color_of(bright)

    def coloured(colours: Tensor) -> Tensor:
        share = brightness(colours)[..., None]
        return mixed(colours, low * (1 - share) + high * share, strength)

    return Image(recoloured(image.pixels, coloured))


def _only(before: Tensor, after: Tensor, channel: str) -> Tensor:
    """`after` in one channel of (..., 3), and `before` in the others."""
    if channel == "all":
        return after
    made = before.clone()
    place = ("red", "green", "blue").index(channel)
    made[..., place] = after[..., place]
    return made


def _percentiles(values: Tensor, cut: float) -> tuple[Tensor, Tensor]:
    """The values (C) of (N, C) that have this share of them below, and above. torch.quantile takes 16 million only."""
    ordered = values.sort(dim=0).values
    last = len(ordered) - 1
    return ordered[round(last * cut)], ordered[round(last * (1 - cut))]


def _points(text: str) -> list[tuple[float, float]]:
    """The points of a curve. Raises ProblemError `bad_curve`."""
    pairs: list[tuple[float, float]] = []
    fault = ""
    for part in text.replace(";", ",").split(","):
        words = part.split()
        try:
            step, value = (float(word) for word in words)
        except ValueError:
            fault = f"{part.strip()!r} is not two numbers"
            break
        if not (0 <= step <= 1 and 0 <= value <= 1):
            fault = f"{part.strip()!r} is not in 0 to 1"
        elif pairs and step <= pairs[-1][0]:
            fault = f"{step:g} does not come after {pairs[-1][0]:g}"
        pairs.append((step, value))
    if not fault and len(pairs) < 2:
        fault = "there is one point only"
    if fault:
        raise ProblemError(
            Problem(
                code="bad_curve",
                message=f"This is no curve: {fault}.",
                hint="Write points like 0 0, 0.5 0.6, 1 1: two or more, the first numbers rising.",
                port="points",
                value=text,
            )
        )
    return pairs
