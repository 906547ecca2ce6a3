"""Calling networks that cut out a subject, and the colours of what is half transparent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Values = Literal["auto", "imagenet", "around_zero", "minus_one_to_one"]
_SCALES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "around_zero": ((0.5,) * 3, (1.0,) * 3),
    "minus_one_to_one": ((0.5,) * 3, (0.5,) * 3),
}
"""What is taken off colours in 0..1, and what they are divided by."""
_FAR, _NEAR = 181, 13
"""Over how many pixels colours are estimated, first and then more closely: those of the paper."""


def usual_values(network: Any) -> str:
    """How a network was trained to see colours, by what its file tells.

    One for images of any size is as MODNet is; one with attention as BiRefNet and RMBG 2.0; others are U2-Net where
    they are small, and else IS-Net or RMBG 1.4.
    """
    if "Softmax" in network.operators:
        return "imagenet"
    if not network.height or not network.width:
        return "minus_one_to_one"
    return "imagenet" if max(network.height, network.width) <= 512 else "around_zero"


def size_for(network: Any, height: int, width: int, resolution: int) -> tuple[int, int]:
    """Height and width that an image is brought to: the network's own, or multiples of 32 near the resolution."""
    factor = (resolution or min(height, width)) / min(height, width)
    free = [max(1, round(side * factor / 32)) * 32 for side in (height, width)]
    return network.height or free[0], network.width or free[1]


def matte_of(network: Any, pixels: Tensor, values: str, resolution: int) -> Tensor:
    """How much each pixel (H, W) of an image (H, W, 3) in 0..1 belongs to the subject, 0..1.

    A network that gives numbers beyond 0 and 1 gives logits.

    Raises:
        ValueError: it gave no map.
    """
    import torch

    from ._pixels import mask_like, resized

    height, width = pixels.shape[:2]
    mean, deviation = (pixels.new_tensor(one) for one in _SCALES[usual_values(network) if values == "auto" else values])
    given = resized(pixels[None], *size_for(network, height, width, resolution), "stretch", "bilinear")
    found = network(((given - mean) / deviation).movedim(-1, 1).contiguous())[0]
    if found.ndim != 4 or found.shape[:2] != (1, 1) or not found.numel():
        raise ValueError(f"a result of {tuple(found.shape)}")
    found = found.nan_to_num(0.0)
    if found.min() < -1e-3 or found.max() > 1 + 1e-3:
        found = torch.sigmoid(found)
    return mask_like(found[:, 0].clamp(0, 1), pixels[None])[0]


def subject_colours(pixels: Tensor, matte: Tensor) -> Tensor:
    """Colours (H, W, 3) of the subject alone, from an image of it before a background. Where the matte is 1 they are
    those of the image.

    Source: M. Forté, "Approximate Fast Foreground Colour Estimation", 2021: what is seen is a mixture of two colours,
    each first taken from around; what the mixture is off is then put onto the subject's.
    """
    import torch

    image, alpha = pixels.double().numpy(), matte.double().numpy()[..., None]
    subject = ground = image
    for across in (_FAR, _NEAR):
        subject, ground = _around(image, subject, ground, alpha, across)
    made = torch.from_numpy(subject).float().clamp(0, 1)
    return torch.where(matte[..., None] >= 1, pixels, made)


def _around(image: Any, subject: Any, ground: Any, alpha: Any, across: int) -> tuple[Any, Any]:
    from scipy.ndimage import uniform_filter

    def mean(planes: Any) -> Any:
        return uniform_filter(planes, across, mode="nearest", axes=(0, 1))

    near, far = mean(alpha), mean(1 - alpha)
    subject = mean(subject * alpha) / (near + 1e-5)
    ground = mean(ground * (1 - alpha)) / (far + 1e-5)
    off = image - alpha * subject - (1 - alpha) * ground
    return (subject + alpha * off).clip(0, 1), ground.clip(0, 1)
