"""Small copies of images, as an upscaler is to meet them: bicubic, and some of them spoiled.

The order is that of the first round of X. Wang et al., "Real-ESRGAN", 2021: blur, scaling, noise, JPEG. Between scaling
and noise an autoencoder may spoil a copy, for an upscaler of images that a model drew.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

BEST_JPEG = 95


@dataclass(frozen=True)
class Degradation:
    """`share` of the copies are spoiled: blurred by a Gaussian of up to `blur` pixels of the large image, with noise of
    a deviation up to `noise` (0..1), and packed as JPEG of a quality from `jpeg` to 95; 0 leaves each out.
    `coded` of all copies go through the autoencoder."""

    share: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: int = 0
    coded: float = 0.0


def shrunk(images: Tensor, scale: int) -> Tensor:
    """Images (B, C, H, W) in 0..1, so many times smaller by bicubic interpolation over all pixels."""
    from torch.nn.functional import interpolate

    size = images.shape[-2] // scale, images.shape[-1] // scale
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)


def enlarged(images: Tensor, scale: int) -> Tensor:
    """Images (B, C, H, W) in 0..1, so many times larger by bicubic interpolation: what an upscaler is to beat."""
    from torch.nn.functional import interpolate

    size = images.shape[-2] * scale, images.shape[-1] * scale
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(0, 1)


def spoiled(
    images: Tensor,
    scale: int,
    how: Degradation,
    rng: np.random.Generator,
    coded: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Small copies (B, 3, H / scale, W / scale) in 0..1 of images (B, 3, H, W). `coded` sends (B, 3, h, w) through an
    autoencoder. What is drawn at random is the same whatever is left out."""
    import torch

    from safelight_nodes._pixels import smoothed

    count = len(images)
    chosen, through = rng.random(count) < how.share, rng.random(count) < how.coded
    sigma, deviation, quality = (rng.random(count) for _ in range(3))
    numbers = [number for number in range(count) if chosen[number] and how.blur]
    if numbers:
        images = images.clone()
        for number in numbers:
            images[number] = smoothed(images[number][None], float(sigma[number]) * how.blur)[0]
    small = shrunk(images, scale)
    if coded is not None and through.any():
        rows = torch.from_numpy(through)
        small[rows] = coded(small[rows])
    noise = torch.from_numpy(rng.standard_normal(tuple(small.shape), "float32"))
    for number in range(count):
        if chosen[number]:
            small[number] += noise[number] * (float(deviation[number]) * how.noise)
            if how.jpeg:
                small[number] = packed(small[number], how.jpeg + round(float(quality[number]) * (BEST_JPEG - how.jpeg)))
    return small.clamp(0, 1)


def packed(image: Tensor, quality: int) -> Tensor:
    """An image (3, H, W) in 0..1, as JPEG of this quality gives it back."""
    import numpy as np
    import torch
    from PIL import Image

    from safelight_nodes._pixels import to_bytes

    file = io.BytesIO()
    Image.fromarray(to_bytes(image.movedim(0, -1))).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.asarray(Image.open(file), np.float32) / 255).movedim(-1, 0)
