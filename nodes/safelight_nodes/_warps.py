"""Images turned, scaled and seen in perspective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

Around = Literal["transparent", "edge", "reflect", "wrap"]
"""What is seen beyond the edge of an image."""


def similar(middle: tuple[float, float], to: tuple[float, float], scale: float, angle: float) -> ndarray:
    """(3, 3) that scales, turns by degrees counter-clockwise, and brings the point `middle` (x, y) to `to`.

    Points are in pixels from the upper left corner of the image, not from the middle of its first pixel.
    """
    import numpy

    turn = numpy.radians(angle)
    cos, sin = scale * numpy.cos(turn), scale * numpy.sin(turn)
    matrix = numpy.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    matrix[:2, 2] = numpy.array(to) - matrix[:2, :2] @ numpy.array(middle)
    return matrix


def warped(pixels: Tensor, matrix: ndarray, height: int, width: int, around: Around) -> Tensor:
    """(B, height, width, C) of images (B, H, W, C) moved by `matrix` (3, 3), which takes points of the image to new
    ones. Between pixels it is cubic, and averages where the image gets smaller.

    Around transparent gives four channels. Colours are weighed by their opacity.
    """
    import cv2
    import numpy
    import torch

    from ._pixels import opaque

    if around == "transparent":
        pixels = opaque(pixels)
    scale = float(numpy.sqrt(abs(numpy.linalg.det(matrix[:2, :2]))))
    if 0 < scale < 0.75:
        # Cubic looks at 4 x 4 pixels: what shrinks more is made smaller by averages first.
        small = [max(1, round(side * scale)) for side in pixels.shape[1:3]]
        ratio = [small[1] / pixels.shape[2], small[0] / pixels.shape[1]]
        matrix = matrix @ numpy.diag([1 / ratio[0], 1 / ratio[1], 1.0])
        from ._pixels import resized

        pixels = resized(pixels, small[0], small[1], "stretch", "bilinear")
    # OpenCV counts from the middle of the first pixel.
    half = numpy.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    matrix = numpy.linalg.inv(half) @ matrix @ half
    border: dict[Around, int] = {
        "transparent": cv2.BORDER_CONSTANT,
        "edge": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT,
        "wrap": cv2.BORDER_WRAP,
    }
    alpha = pixels.shape[-1] == 4

    def one(image: Tensor) -> Any:
        given = torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], dim=-1) if alpha else image
        found = cv2.warpPerspective(
            given.contiguous().numpy(), matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=border[around]
        )
        return torch.from_numpy(found).clamp(0, 1)

    made = torch.stack([one(image) for image in pixels])
    if not alpha:
        return made
    cover = made[..., 3:]
    colours = (made[..., :3] / cover.where(cover > 1 / 512, 1.0)).clamp(0, 1)
    return torch.cat([colours, cover], dim=-1)


def from_corners(source: list[tuple[float, float]], target: list[tuple[float, float]]) -> ndarray:
    """(3, 3) of the perspective that takes four points (x, y) to four others."""
    import cv2
    import numpy

    first, second = (numpy.array(corners, numpy.float32) for corners in (source, target))
    return cv2.getPerspectiveTransform(first, second).astype(numpy.float64)
