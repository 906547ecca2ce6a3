"""Blurs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from safelight.sdk import Image, Mask, Slider, node

if TYPE_CHECKING:
    from torch import Tensor


@node(version=1, tags=("Gaussian Blur", "ImageBlur", "blur", "Image Gaussian Blur", "soften"))
def gaussian_blur(
    image: Image,
    *,
    sigma: Annotated[float, Slider(0, 100, step=0.1), "Standard deviation in pixels."] = 3.0,
) -> Image:
    """Soften images by a Gaussian."""
    from .._pixels import filtered, smoothed

    return Image(filtered(image.pixels, lambda planes: smoothed(planes, sigma))) if sigma else image


@node(version=1, tags=("Box Blur", "Image Blur", "mean filter"))
def box_blur(
    image: Image,
    *,
    radius: Annotated[int, Slider(0, 200), "Pixels to each side that count alike."] = 4,
) -> Image:
    """Soften images by the average of a square around each pixel."""
    from torch.nn.functional import avg_pool2d, pad

    from .._pixels import filtered

    side = 2 * radius + 1

    def change(planes: Tensor) -> Tensor:
        planes = avg_pool2d(pad(planes, (radius, radius, 0, 0), mode="replicate"), (1, side), 1)
        return avg_pool2d(pad(planes, (0, 0, radius, radius), mode="replicate"), (side, 1), 1)

    return Image(filtered(image.pixels, change)) if radius else image


@node(version=1, tags=("Lens Blur", "bokeh", "Image Lucy Sharpen", "defocus", "depth of field"))
def lens_blur(
    image: Image,
    depth: Annotated[Mask | None, "How much each part is blurred: white fully, black not at all."] = None,
    *,
    radius: Annotated[int, Slider(1, 64), "Of the circle that a point of light becomes, in pixels."] = 8,
    blades: Annotated[
        int, Slider(0, 12, zero="round"), "Of the aperture: 3 or more make discs with corners. 0: round."
    ] = 0,
    highlights: Annotated[float, Slider(0, 4, step=0.05), "How much bright points stand out as discs."] = 1.0,
) -> Image:
    """Blur images as a lens that is out of focus does: points of light become discs.

    It is reckoned in linear light.
    """
    import torch
    from torch.nn.functional import pad

    from .._colours import from_linear, to_linear
    from .._pixels import blended, common_batch, filtered, mask_like

    kernel = _aperture(radius, blades)

    def change(planes: Tensor) -> Tensor:
        light = to_linear(planes)
        weight = 1 + highlights * light.amax(dim=1, keepdim=True) ** 4
        both = pad(torch.cat([light * weight, weight], dim=1), (radius,) * 4, mode="replicate")
        found = _convolved(both, kernel)
        return from_linear((found[:, :-1] / found[:, -1:]).clamp(0, 1))

    blurred = filtered(image.pixels, change)
    if depth is None:
        return Image(blurred)
    count = common_batch(image=len(image.pixels), depth=len(depth.coverage))
    below = image.pixels.expand(count, -1, -1, -1)
    return Image(blended(below, blurred, mask_like(depth.coverage, below)[..., None]))


@node(version=1, tags=("Motion Blur", "directional blur"))
def motion_blur(
    image: Image,
    *,
    length: Annotated[int, Slider(1, 128), "Of the movement, in pixels."] = 16,
    angle: Annotated[float, Slider(-180, 180), "Of the movement in degrees, counter-clockwise from the right."] = 0.0,
) -> Image:
    """Blur images in one direction, as a camera that moved does."""
    from torch.nn.functional import pad

    from .._pixels import filtered

    kernel = _streak(length, angle)
    reach = len(kernel) // 2
    return Image(filtered(image.pixels, lambda planes: _convolved(pad(planes, (reach,) * 4, mode="replicate"), kernel)))


@node(version=1, tags=("Bilateral Filter", "surface blur", "edge preserving", "ImageFilterBilateral"))
def bilateral_blur(
    image: Image,
    *,
    reach: Annotated[float, Slider(0.5, 20, step=0.5), "Standard deviation of the distance, in pixels."] = 4.0,
    tolerance: Annotated[
        float, Slider(0.01, 1, step=0.01), "Standard deviation of the colour's difference, in 0 to 1."
    ] = 0.1,
) -> Image:
    """Smooth even parts of images and keep their edges. Transparency stays.

    Source: Tomasi and Manduchi 1998, in OpenCV's implementation.
    """
    import cv2

    from .._colours import each_recoloured

    # Its working colour space has a distance that adds up over three channels.
    return Image(
        each_recoloured(image.pixels, lambda pixels: cv2.bilateralFilter(pixels, 0, tolerance * 3**0.5, reach))
    )


def _convolved(planes: Tensor, kernel: Tensor) -> Tensor:
    """(B, C, H, W) convolved with (K, K), without padding. OpenCV takes the Fourier transform for large kernels."""
    import cv2
    import torch

    reach = len(kernel) // 2
    turned = kernel.flip(0, 1).numpy()  # it correlates
    made = [torch.from_numpy(cv2.filter2D(plane.numpy(), -1, turned)) for plane in planes.flatten(0, 1).contiguous()]
    whole = torch.stack(made).view(planes.shape)
    return whole[:, :, reach : whole.shape[2] - reach, reach : whole.shape[3] - reach]


def _aperture(radius: int, blades: int) -> Tensor:
    """(K, K) that adds up to 1: the opening of a lens, round or with this many blades, smooth at its edge."""
    import math

    import torch

    place = torch.arange(-radius, radius + 1).float()
    far = (place[:, None].square() + place.square()).sqrt()
    edge = torch.full_like(far, float(radius))
    if blades >= 3:
        angle = torch.atan2(place[:, None].expand_as(far), place.expand_as(far)) % (math.tau / blades)
        edge = radius * math.cos(math.pi / blades) / torch.cos(angle - math.pi / blades)
    kernel = (edge - far + 0.5).clamp(0, 1)
    return kernel / kernel.sum()


def _streak(length: int, angle: float) -> Tensor:
    """(K, K) that adds up to 1: a line of this length through the middle."""
    import math

    import torch

    reach = length // 2 + 1
    turn = math.radians(angle)
    place = torch.arange(-reach, reach + 1).float()
    along = place * math.cos(turn) - place[:, None] * math.sin(turn)
    aside = place * math.sin(turn) + place[:, None] * math.cos(turn)
    kernel = (1 - aside.abs()).clamp(min=0) * (length / 2 - along.abs() + 0.5).clamp(0, 1)
    return kernel / kernel.sum()
