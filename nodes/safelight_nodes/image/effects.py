"""Effects: noise, dots, blocks, light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from safelight.sdk import Image, Seed, Slider, Toggle, node

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, tags=("Add Noise", "Image Add Noise", "ImageNoise", "salt and pepper"))
def add_noise(
    image: Image,
    *,
    kind: Annotated[
        Literal["gaussian", "uniform", "salt_pepper", "film", "rician"],
        "Gaussian, uniform, black or white pixels, grain as of film, which is soft and strongest in the middle, or "
        "that of magnetic resonance, which makes black grey (Rician).",
    ] = "gaussian",
    amount: Annotated[
        float, Slider(0, 1, step=0.005), "Standard deviation in 0 to 1; for salt and pepper, the share of pixels."
    ] = 0.1,
    grey: Annotated[bool, Toggle(), "The same noise in all channels."] = False,
    size: Annotated[float, Slider(0.3, 8, step=0.1, shown_if={"kind": "film"}), "Of the grain in pixels."] = 1.0,
    seed: Annotated[int, Seed(), "Where the noise starts. Each image of a batch has its own."] = 0,
) -> Image:
    """Add noise or film grain to images. Transparency stays."""
    # Rician: H. Gudbjartsson and S. Patz, "The Rician Distribution of Noisy MRI Data", 1995.
    import torch

    from .._colours import recoloured
    from .._pixels import brightness, smoothed

    def noisy(colours: Tensor) -> Tensor:
        source = torch.Generator().manual_seed(seed)
        shape = (*colours.shape[:3], 1 if grey else 3)
        if kind == "uniform":
            return colours + (torch.rand(shape, generator=source) * 2 - 1) * (amount * 3**0.5)
        if kind == "salt_pepper":
            drawn = torch.rand(shape, generator=source).expand(colours.shape)
            return torch.where(drawn < amount / 2, 0.0, torch.where(drawn >= 1 - amount / 2, 1.0, colours))
        drawn = torch.randn(shape, generator=source)
        if kind == "rician":
            # The size of a complex number, both parts of which are noisy.
            other = torch.randn(shape, generator=source)
            return ((colours + drawn * amount).square() + (other * amount).square()).sqrt()
        if kind == "film":
            soft = smoothed(drawn.movedim(-1, 1), size / 2).movedim(1, -1)
            light = brightness(colours)[..., None]
            drawn = soft / soft.std().clamp(min=1e-6) * (4 * light * (1 - light)).clamp(min=0).sqrt()
        return colours + drawn * amount

    return Image(recoloured(image.pixels, noisy))


@node(
    version=1,
    tags=(
        "Dither",
        "Floyd-Steinberg",
        "Bayer",
        "Image Dither",
        "reduce colors",
        "palette",
        "dithering",
        "ImageQuantize",
    ),
)
def dither(
    image: Image,
    *,
    colors: Annotated[int, Slider(2, 256), "How many colours an image keeps; they are chosen from it."] = 8,
    method: Annotated[
        Literal["floyd_steinberg", "ordered", "none"],
        "Spread the error to the neighbours, by a fixed pattern (Bayer), or not at all.",
    ] = "floyd_steinberg",
) -> Image:
    """Reduce images to a palette, with patterns in the place of the colours between. Transparency stays.

    The palette is that of a median cut, in Pillow's implementation.
    """
    import numpy
    import torch
    from PIL import Image as pillow

    from .._colours import each_recoloured
    from .._pixels import to_bytes

    def change(pixels: Any) -> Any:
        given = pillow.fromarray(to_bytes(torch.from_numpy(pixels)))
        palette = given.quantize(colors, pillow.Quantize.MEDIANCUT, dither=pillow.Dither.NONE)
        if method == "ordered":
            # The step between colours of a palette is about that of as many colours spread evenly.
            step = 255 / max(1, colors ** (1 / 3) - 1) if colors > 8 else 255 / (colors - 1)
            tall, wide = pixels.shape[:2]
            moved = numpy.asarray(given) + numpy.tile(_BAYER, (tall // 4 + 1, wide // 4 + 1))[:tall, :wide, None] * step
            given = pillow.fromarray(moved.clip(0, 255).round().astype(numpy.uint8))
        spread = pillow.Dither.FLOYDSTEINBERG if method == "floyd_steinberg" else pillow.Dither.NONE
        return numpy.asarray(given.quantize(palette=palette, dither=spread).convert("RGB")) / 255

    return Image(each_recoloured(image.pixels, change))


@node(version=1, cheap=True, tags=("Pixelate", "mosaic", "pixel art", "censor"))
def pixelate(image: Image, *, size: Annotated[int, Slider(1, 256), "Side of a block in pixels."] = 8) -> Image:
    """Make images of square blocks, each the average of what it covers."""
    from torch.nn.functional import avg_pool2d

    from .._pixels import filtered

    def change(planes: Tensor) -> Tensor:
        height, width = planes.shape[2:]
        small = avg_pool2d(planes, size, ceil_mode=True)  # blocks at the edge are averages of what is there
        return small.repeat_interleave(size, 2).repeat_interleave(size, 3)[:, :, :height, :width]

    return Image(filtered(image.pixels, change)) if size > 1 else image


@node(version=1, cheap=True, tags=("Vignette", "Image Vignette", "dark corners"))
def vignette(
    image: Image,
    *,
    strength: Annotated[float, Slider(-1, 1, step=0.01), "How dark the corners are; below 0 bright."] = 0.5,
    start: Annotated[float, Slider(0, 1, step=0.01), "Where it begins: 0 in the middle, 1 in the corners."] = 0.4,
) -> Image:
    """Darken the corners of images."""
    import torch

    from .._colours import recoloured

    height, width = image.pixels.shape[1:3]
    down = (torch.arange(height) + 0.5) / height * 2 - 1
    across = (torch.arange(width) + 0.5) / width * 2 - 1
    far = (down[:, None].square() + across.square()).div(2).sqrt()
    share = ((far - start) / max(1 - start, 1e-6)).clamp(0, 1)
    share = (share * share * (3 - 2 * share) * abs(strength))[..., None]
    return Image(recoloured(image.pixels, lambda colours: colours * (1 - share) + share * (strength < 0)))


@node(version=1, tags=("Bloom", "Glow", "Image Bloom Filter", "halation"))
def glow(
    image: Image,
    *,
    strength: Annotated[float, Slider(0, 2, step=0.05), "How bright the glow is."] = 0.6,
    sigma: Annotated[float, Slider(1, 100), "How far it reaches, in pixels."] = 12.0,
    threshold: Annotated[float, Slider(0, 1, step=0.01), "What is brighter than this glows."] = 0.6,
) -> Image:
    """Let the bright parts of images glow. Transparency stays."""
    from .._colours import recoloured
    from .._pixels import brightness, smoothed

    def glowing(colours: Tensor) -> Tensor:
        light = brightness(colours)[..., None]
        bright = colours * ((light - threshold) / max(1 - threshold, 1e-3)).clamp(0, 1)
        halo = (smoothed(bright.movedim(-1, 1), sigma).movedim(1, -1) * strength).clamp(0, 1)
        return 1 - (1 - colours) * (1 - halo)

    return Image(recoloured(image.pixels, glowing))


@node(version=1, tags=("Chromatic Aberration", "Image Chromatic Aberration", "RGB shift"))
def chromatic_aberration(
    image: Image,
    *,
    amount: Annotated[float, Slider(-20, 20, step=0.1), "How far red and blue part at the edge, in pixels."] = 3.0,
) -> Image:
    """Part the colours towards the edges of images, as a simple lens does. Transparency stays."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    from .._colours import recoloured

    reach = max(image.pixels.shape[1:3]) / 2

    def parted(colours: Tensor) -> Tensor:
        planes = colours.movedim(-1, 1)
        made = [planes[:, 1:2]]
        for place, way in ((0, 1), (2, -1)):
            scale = 1 / max(0.1, 1 + way * amount / 2 / reach)
            turn = torch.tensor([[scale, 0.0, 0.0], [0.0, scale, 0.0]]).expand(len(planes), 2, 3)
            one = planes[:, place : place + 1]
            grid = affine_grid(turn, list(one.shape), align_corners=False)
            made.append(grid_sample(one, grid, padding_mode="border", align_corners=False))
        return torch.cat([made[1], made[0], made[2]], dim=1).movedim(1, -1)

    return Image(recoloured(image.pixels, parted)) if amount else image


_BAYER = (
    (-0.5, 0.0, -0.375, 0.125),
    (0.25, -0.25, 0.375, -0.125),
    (-0.3125, 0.1875, -0.4375, 0.0625),
    (0.4375, -0.0625, 0.3125, -0.1875),
)
"""Thresholds of ordered dithering, 4 x 4. Source: Bayer 1973."""
