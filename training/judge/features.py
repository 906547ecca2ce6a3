"""Plain features of images, and distances of colours.

An image is described by its colours on a coarse grid (CIE Lab) and by histograms of its gradients' directions
(Dalal & Triggs, 2005): nothing learned, so nothing that a model could have been trained to please.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float32]

GRID = 16
"""Cells of the colour grid along one side."""
EDGE = 32
"""Side of the grey image whose gradients are counted, in pixels."""
CELLS, BINS = 4, 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CORNER = 4


def lab(rgb: Floats) -> Floats:
    """sRGB (..., 3) in 0..1 to CIE Lab under D65."""
    from skimage.color import rgb2lab

    return rgb2lab(rgb).astype(np.float32)


def delta_e(one: Floats, other: Floats) -> Floats:
    """CIE76 colour difference: the distance in Lab. About 2 is just visible side by side."""
    return np.sqrt(np.square(lab(one) - lab(other)).sum(-1))


def standing_out(image: Floats, least: float = 14.0) -> NDArray[np.bool_]:
    """(H, W): where an image (H, W, 3) in 0..1 differs from the median of its upper and lower rim by more than `least`
    (CIE76). So what stands on a plain ground is found."""
    rim = np.concatenate([image[:3].reshape(-1, 3), image[-3:].reshape(-1, 3)])
    ground = lab(np.median(rim, axis=0).astype(np.float32))
    return np.sqrt(np.square(lab(image) - ground).sum(-1)) > least


def shrink(pixels: Floats, side: int) -> Floats:
    """Box average: (N, H, W, C) to (N, side, side, C); H and W are multiples of `side`."""
    count, height, width, channels = pixels.shape
    return pixels.reshape(count, side, height // side, side, width // side, channels).mean((2, 4))


def describe(coarse: Floats, grey: Floats) -> tuple[Floats, Floats]:
    """The two parts of the plain features.

    Args:
        coarse: (N, GRID, GRID, 3) sRGB in 0..1.
        grey: (N, EDGE, EDGE) luma in 0..1.

    Returns:
        Colours (N, GRID * GRID * 3) in Lab units, and gradient histograms (N, CELLS * CELLS * BINS) of length 1.
    """
    colours = lab(coarse).reshape(len(coarse), -1)
    down = np.diff(grey, axis=1, prepend=grey[:, :1])
    across = np.diff(grey, axis=2, prepend=grey[:, :, :1])
    strength = np.hypot(down, across)
    # Directions without sign: a dark thing on light ground and the reverse have the same edges.
    turn = (np.arctan2(down, across) / np.pi) % 1 * BINS
    low = np.floor(turn).astype(np.int64)
    part = turn - low
    count, side = len(grey), EDGE // CELLS
    histogram = np.zeros((count, CELLS, CELLS, BINS), np.float32)
    for number in range(BINS):
        share = np.where(low % BINS == number, 1 - part, 0) + np.where((low + 1) % BINS == number, part, 0)
        histogram[..., number] = (share * strength).reshape(count, CELLS, side, CELLS, side).sum((2, 4))
    flat = np.sqrt(histogram.reshape(count, -1))  # the root, so that one strong outline does not drown the rest
    return colours, flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def describe_images(pixels: Floats) -> tuple[Floats, Floats]:
    """`describe` for whole images (N, H, W, 3) in 0..1."""
    return describe(shrink(pixels, GRID), shrink(pixels, EDGE) @ _LUMA)


class Clear:
    """Images with transparency (N, H, W, 4 uint8, straight alpha), laid over any colour quickly.

    Averaging and laying over a colour may be done in either order, so the averages are made once.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        fine = np.concatenate([self._shrunk(images[i : i + 100]) for i in range(0, len(images), 100)])
        self._coarse = shrink(fine, GRID)
        self._grey, self._open = fine[..., :3] @ _LUMA, fine[..., 3]

    @staticmethod
    def _shrunk(images: NDArray[np.uint8]) -> Floats:
        rgba = images.astype(np.float32) / 255
        alpha = rgba[..., 3:]
        return shrink(np.concatenate([rgba[..., :3] * alpha, 1 - alpha], -1), EDGE)

    def describe(self, rgb: Sequence[float]) -> tuple[Floats, Floats]:
        """`describe` of all images over a colour (0..1)."""
        ground = np.array(rgb, np.float32)
        coarse = self._coarse[..., :3] + self._coarse[..., 3:] * ground
        return describe(coarse, self._grey + self._open * float(ground @ _LUMA))


def plain_order(wanted: tuple[Floats, Floats], gallery: tuple[Floats, Floats]) -> NDArray[np.int64]:
    """Gallery places from nearest to farthest. Each part's squared distance counts in units of its own mean."""
    total = np.zeros(len(gallery[0]), np.float32)
    for one, many in zip(wanted, gallery, strict=True):
        square = np.square(many - one).sum(1)
        total += square / max(float(square.mean()), 1e-12)
    return np.argsort(total, kind="stable")


def cosine_order(wanted: Floats, gallery: Floats) -> NDArray[np.int64]:
    """Gallery places from the most to the least similar direction."""
    scale = np.linalg.norm(gallery, axis=1) * max(float(np.linalg.norm(wanted)), 1e-12)
    return np.argsort(-(gallery @ wanted) / np.maximum(scale, 1e-12), kind="stable")


def corner_distance(pixels: Floats, rgb: Sequence[float]) -> float:
    """The largest ΔE to a colour among the four corners of an image (H, W, 3) in 0..1, each 4 x 4 pixels."""
    c = _CORNER
    corners = [pixels[:c, :c], pixels[:c, -c:], pixels[-c:, :c], pixels[-c:, -c:]]
    means = np.stack([corner.mean((0, 1)) for corner in corners])
    return float(delta_e(means, np.array(rgb, np.float32)).max())
