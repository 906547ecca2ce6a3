"""Widths and heights."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Number, Slider, node


class Size(NamedTuple):
    width: int
    height: int


@node(
    version=1,
    title="Size by aspect ratio",
    tags=("SDXL Empty Latent Size Picker", "aspect ratio", "resolution", "megapixels", "CR Aspect Ratio"),
)
def size(
    *,
    across: Annotated[float, Number(0.01, 1000), "First part of the aspect ratio: 16 of 16:9."] = 1.0,
    down: Annotated[float, Number(0.01, 1000), "Second part of the aspect ratio: 9 of 16:9."] = 1.0,
    megapixels: Annotated[
        float, Slider(0.01, 64, step=0.01), "Area in units of 1024 x 1024 pixels: 1 suits Stable Diffusion XL."
    ] = 1.0,
    multiple_of: Annotated[int, Number(1, 512), "Both sides are multiples of this many pixels."] = 64,
) -> Size:
    """Width and height of an image by its shape and area, rounded to what a model takes."""
    area = megapixels * 1024 * 1024
    sides = ((area * across / down) ** 0.5, (area * down / across) ** 0.5)
    width, height = (max(multiple_of, round(side / multiple_of) * multiple_of) for side in sides)
    return Size(width, height)
