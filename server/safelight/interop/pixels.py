"""Pictures between tensors and files, for hosts of a run. Nodes have their own, richer ways."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safelight.sdk.values import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def pictures(image: Image) -> Iterator[Picture]:
    """Each picture of a batch as a Pillow image, RGB or RGBA, rounded to 8 bits."""
    from PIL import Image as pillow

    for pixels in image.pixels:
        yield pillow.fromarray((pixels.clamp(0, 1) * 255).round().byte().cpu().numpy())


def png_files(image: Image) -> Iterator[tuple[bytes, int, int]]:
    """Each picture of a batch as a PNG file, with its width and height."""
    for picture in pictures(image):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        yield buffer.getvalue(), picture.width, picture.height
