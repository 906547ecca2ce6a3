"""Colours: hue, white balance, matching, lookup tables, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from safelight.sdk import Color, Context, FilePick, Image, Mask, Slider, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor

_Strength = Annotated[float, Slider(0, 1, step=0.01), "How much of the change is made."]


@node(
    version=1,
    title="Hue and saturation",
    tags=("Hue & Saturation", "HSL", "Image Hue", "Image Saturation", "colour shift"),
)
def hue_saturation(
    image: Image,
    *,
    hue: Annotated[float, Slider(-180, 180), "Degrees around the wheel of colours: 120 turns red to green."] = 0.0,
    saturation: Annotated[float, Slider(0, 4, step=0.01), "1 keeps it, 0 is grey."] = 1.0,
    lightness: Annotated[float, Slider(-1, 1, step=0.01), "Above 0 towards white, below 0 towards black."] = 0.0,
) -> Image:
    """Turn the hues of images, and change their saturation and lightness.

    Source: HSL, as CSS Color Module 4 defines it.
    """
    from .._colours import from_hsl, recoloured, to_hsl

    if (hue, saturation, lightness) == (0, 1, 0):
        return image

    def changed(colours: Tensor) -> Tensor:
        turn, strong, light = to_hsl(colours)
        light = light + (1 - light) * lightness if lightness > 0 else light * (1 + lightness)
        return from_hsl((turn + hue / 360) % 1, (strong * saturation).clamp(0, 1), light)

    return Image(recoloured(image.pixels, changed))


@node(version=1, tags=("vibrance", "Color Balance"))
def vibrance(
    image: Image,
    *,
    amount: Annotated[float, Slider(-1, 1, step=0.01), "Above 0 more colour, below 0 less."] = 0.3,
) -> Image:
    """Strengthen weak colours more than strong ones, so that none is overdone."""
    from .._colours import recoloured
    from .._pixels import brightness

    def changed(colours: Tensor) -> Tensor:
        spread = (colours.amax(-1) - colours.amin(-1))[..., None]
        grey = brightness(colours)[..., None]
        return grey + (colours - grey) * (1 + amount * (1 - spread))

    return Image(recoloured(image.pixels, changed))


@node(version=1, tags=("White Balance", "temperature", "Color Temperature", "gray world", "remove cast"))
def white_balance(
    image: Image,
    *,
    method: Annotated[
        Literal["temperature", "grey_world", "white_patch", "neutral"],
        "By a colour temperature; so that the average is grey; so that the brightest parts are white; or so that one "
        "colour becomes grey.",
    ] = "temperature",
    kelvin: Annotated[
        int,
        Slider(1700, 25000, step=50, shown_if={"method": "temperature"}),
        "Of the light that the image was taken in. Below 6500 it becomes cooler, above warmer.",
    ] = 6500,
    neutral: Annotated[
        str, Color(shown_if={"method": "neutral"}), "A colour of the image that ought to be grey."
    ] = "#808080",
    strength: _Strength = 1.0,
) -> Image:
    """Take the colour of the light out of images. It is reckoned in linear light; the brightness stays.

    Source: von Kries adaptation with the Bradford matrix; the white of a temperature after Kim et al. 2002.
    """
    import torch

    from .._colours import from_linear, mixed, recoloured, to_linear
    from .._pixels import brightness, color_of

    def white_of(light: Tensor) -> Tensor:
        if method == "grey_world":
            return light.mean(dim=(1, 2))
        if method == "neutral":
            return to_linear(color_of(neutral)).expand(len(light), 3)
        # The brightest hundredth, so that one hot pixel does not decide.
        flat = light.flatten(1, 2)
        count = max(1, flat.shape[1] // 100)
        best = brightness(flat).topk(count, dim=1).indices
        return torch.stack([one[places].mean(dim=0) for one, places in zip(flat, best, strict=True)])

    def balanced(colours: Tensor) -> Tensor:
        light = to_linear(colours)
        if method == "temperature":
            matrix = _adaptation(kelvin)
            made = light @ matrix.T
        else:
            white = white_of(light).clamp(min=1e-4)
            made = light * (brightness(white)[:, None] / white)[:, None, None]
        return mixed(colours, from_linear(made.clamp(0, 1)), strength)

    return Image(recoloured(image.pixels, balanced))


@node(version=1, tags=("ColorMatch", "color transfer", "Color Transfer", "Reinhard", "match histograms"))
def match_colors(
    image: Image,
    reference: Annotated[Image, "Whose colours are taken: one for all, or one each. Its size does not matter."],
    *,
    method: Annotated[
        Literal["reinhard", "histogram", "covariance"],
        "Mean and spread of each Lab channel (Reinhard), all shades of each channel (histogram), or mean and spread in "
        "all directions of colour at once (covariance).",
    ] = "reinhard",
    strength: _Strength = 1.0,
) -> Image:
    """Give images the colours of another one.

    Source: Reinhard et al. 2001; histogram matching in scikit-image's implementation; the linear Monge-Kantorovitch
    map of Pitié and Kokaram 2007.
    """
    import torch

    from .._colours import mixed, recoloured
    from .._pixels import common_batch

    count = common_batch(image=len(image.pixels), reference=len(reference.pixels))
    wanted = reference.pixels[..., :3].expand(count, -1, -1, -1)

    def matched(colours: Tensor) -> Tensor:
        made = [_matched(one, like, method) for one, like in zip(colours, wanted, strict=True)]
        return mixed(colours, torch.stack(made), strength)

    return Image(recoloured(image.pixels.expand(count, -1, -1, -1), matched))


@node(version=1, title="Apply LUT", tags=("Apply LUT", "ImageApplyLUT", ".cube", "color grading", "3D LUT"))
def apply_lut(
    image: Image,
    *,
    file: Annotated[str, FilePick("any"), "A .cube file in the input folder, with one or three dimensions."],
    strength: _Strength = 1.0,
    ctx: Context,
) -> Image:
    """Grade colours by a lookup table, as film and photo programs write it.

    Source: Cube LUT Specification 1.0 (Adobe 2013); between its points, it is trilinear.
    """
    from .._colours import mixed, recoloured
    from .._cube import read_cube

    table = read_cube(ctx.files.path(file), file)
    return Image(recoloured(image.pixels, lambda colours: mixed(colours, table.applied(colours), strength)))


class Channels(NamedTuple):
    """An image taken apart."""

    red: Mask
    green: Mask
    blue: Mask
    alpha: Annotated[Mask, "Opaque parts white."]


@node(version=1, cheap=True, tags=("Split Channels", "Split Image Channels", "RGB", "alpha", "SplitImageWithAlpha"))
def split_channels(image: Image) -> Channels:
    """The channels of images, each as a mask."""
    from .._pixels import opaque

    return Channels(*(Mask(plane.clone()) for plane in opaque(image.pixels).unbind(-1)))


@node(version=1, cheap=True, tags=("Combine Channels", "Merge Channels", "RGB"))
def merge_channels(red: Mask, green: Mask, blue: Mask, alpha: Mask | None = None) -> Image:
    """Make images of three channels, and of a fourth that says where they are opaque. All have the size of the red."""
    import torch

    from .._pixels import common_batch, mask_like

    given = {"red": red, "green": green, "blue": blue, **({} if alpha is None else {"alpha": alpha})}
    count = common_batch(**{port: len(mask.coverage) for port, mask in given.items()})
    like = red.coverage[..., None]
    planes = [mask_like(mask.coverage, like).expand(count, -1, -1) for mask in given.values()]
    return Image(torch.stack(planes, dim=-1))


@node(
    version=1,
    cheap=True,
    tags=("Join Image with Alpha", "JoinImageWithAlpha", "transparency", "cut out"),
)
def set_alpha(
    image: Image,
    mask: Annotated[Mask, "White stays opaque; brought to the image's size."],
    *,
    multiply: Annotated[bool, Toggle(), "Keep the transparency that there is, and make more of it transparent."] = True,
) -> Image:
    """Make images transparent where a mask is black."""
    import torch

    from .._pixels import common_batch, mask_like, opaque

    count = common_batch(image=len(image.pixels), mask=len(mask.coverage))
    pixels = opaque(image.pixels).expand(count, -1, -1, -1)
    alpha = mask_like(mask.coverage, pixels)[..., None].expand(count, -1, -1, -1)
    return Image(torch.cat([pixels[..., :3], alpha * pixels[..., 3:] if multiply else alpha], dim=-1))


def _adaptation(kelvin: int) -> Tensor:
    """(3, 3): linear sRGB seen in the light of this temperature to linear sRGB in the light of 6500 K."""
    import torch

    to_xyz = torch.tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    ).double()
    bradford = torch.tensor([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]).double()
    gain = (bradford @ _white(6500)) / (bradford @ _white(kelvin))
    whole = to_xyz.inverse() @ bradford.inverse() @ torch.diag(gain) @ bradford @ to_xyz
    return whole.float()


def _white(kelvin: float) -> Tensor:
    """(3) XYZ, Y = 1, of a black body. Source: Kim et al. 2002, for 1667 to 25000 K."""
    import torch

    inverse = 1000 / kelvin
    if kelvin <= 4000:
        x = -0.2661239 * inverse**3 - 0.2343589 * inverse**2 + 0.8776956 * inverse + 0.179910
    else:
        x = -3.0258469 * inverse**3 + 2.1070379 * inverse**2 + 0.2226347 * inverse + 0.240390
    if kelvin <= 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin <= 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return torch.tensor([x / y, 1.0, (1 - x - y) / y], dtype=torch.float64)


def _matched(colours: Tensor, wanted: Tensor, method: str) -> Tensor:
    """(H, W, 3) with the colours of another (H', W', 3)."""
    import numpy
    import torch

    if method == "histogram":
        from skimage.exposure import match_histograms

        return torch.from_numpy(match_histograms(colours.numpy(), wanted.numpy(), channel_axis=-1)).float()
    if method == "reinhard":
        from skimage.color import lab2rgb, rgb2lab

        given, like = rgb2lab(colours.numpy()), rgb2lab(wanted.numpy())
        spread = given.std(axis=(0, 1))
        # An even channel has no spread to bring to another.
        scale = numpy.where(spread > 1e-3, like.std(axis=(0, 1)) / numpy.where(spread > 1e-3, spread, 1), 1)
        lab = (given - given.mean(axis=(0, 1))) * scale + like.mean(axis=(0, 1))
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that some colours lie outside of sRGB: they are clipped
            return torch.from_numpy(lab2rgb(lab)).float()
    flat, like = colours.reshape(-1, 3).double(), wanted.reshape(-1, 3).double()
    eye = torch.eye(3, dtype=torch.float64) * 1e-8
    own, other = flat.T.cov(correction=0) + eye, like.T.cov(correction=0) + eye
    root = _root(own)
    transport = root.inverse() @ _root(root @ other @ root) @ root.inverse()
    return ((flat - flat.mean(0)) @ transport.T + like.mean(0)).view(colours.shape).float()


def _root(matrix: Tensor) -> Tensor:
    """The square root of a symmetric matrix without negative eigenvalues."""
    import torch

    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
