"""An image whose parts are moved about."""

from __future__ import annotations

from typing import Annotated, Any

from safelight.sdk import Context, Image, Number, Seed, node

from .._preprocessing import Resolution, each, scaled, side_of


@node(version=1, title="Shuffle", tags=("ShufflePreprocessor", "ContentShuffleDetector", "shuffle", "T2I style"))
def shuffle(
    image: Image,
    *,
    resolution: Resolution = 512,
    size: Annotated[
        int, Number(16, 2048, step=16), "How far apart the bends are, in pixels of what is looked at."
    ] = 256,
    seed: Annotated[int, Seed(), "Where chance starts; each image of a batch has one more."] = 0,
    ctx: Context,
) -> Image:
    """Bend an image until only its colours and textures are left: for a shuffle ControlNet.

    The same bends as ControlNet's own come of the same numbers of NumPy.
    """
    side = side_of(image, resolution)
    numbers = iter(range(seed, seed + len(image.pixels)))
    return each(image, lambda pixels: _bent(scaled(pixels, side), size, next(numbers)), ctx)


def _bent(pixels: Any, size: int, seed: int) -> Any:
    """Bytes (H, W, 3), each taken from where a smooth field of random places says."""
    import cv2
    import numpy

    height, width = pixels.shape[:2]
    chance = numpy.random.RandomState(seed % 2**32)

    def field(reach: int) -> Any:
        noise = chance.uniform(size=(height // size + 2, width // size + 2, 1))
        noise = cv2.resize(noise, (width + 2 * size, height + 2 * size), interpolation=cv2.INTER_CUBIC)
        noise = noise.reshape(height + 2 * size, width + 2 * size)[size : size + height, size : size + width]
        noise = noise - noise.min()
        return (noise / noise.max() * reach).astype(numpy.float32)

    across = field(width - 1)
    return cv2.remap(pixels, across, field(height - 1), cv2.INTER_LINEAR)
