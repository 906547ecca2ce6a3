"""Distances within sets of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from safelight.sdk import Image

if TYPE_CHECKING:
    from torch import Tensor

_SIDE = 16
"""Pixels a side that images are compared at: what is finer would drown in where an edge happens to lie."""


def rows(images: Sequence[Image]) -> Tensor:
    """(N, 16 * 16 * 3) in 0..1, of each image of each batch; what is transparent lies on white."""
    import torch
    from torch.nn.functional import interpolate

    from ._pixels import flattened

    found: list[Tensor] = []
    for image in images:
        pixels = flattened(image.pixels, 1.0).movedim(-1, 1)
        found.append(interpolate(pixels, (_SIDE, _SIDE), mode="bilinear", antialias=True).flatten(1))
    return torch.cat(found) if found else torch.empty(0, _SIDE * _SIDE * 3)


def apart(some: Tensor) -> float:
    """The mean distance of two different rows."""
    import torch

    return float(torch.nn.functional.pdist(some).mean())


def duplicates(some: Tensor, within: float) -> float:
    """The share of rows that have another one within a distance."""
    return float((_to_others(some).min(1).values <= within).float().mean())


def others_reached(some: Tensor) -> int:
    """How many different rows are the nearest other one to a row."""
    return len(_to_others(some).argmin(1).unique())


def _to_others(some: Tensor) -> Tensor:
    """(N, N) distances, with none of a row to itself."""
    import torch

    # By differences: rows that are equal are to be 0 apart, and not what rounding leaves.
    distances = torch.cdist(some, some, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.fill_diagonal_(float("inf"))


def mean_colors(some: Tensor) -> int:
    """How many colours of the palette are the nearest one to the mean of an image."""
    import torch

    from ._training.captions import PALETTE

    if not len(some):
        return 0
    palette = torch.tensor(list(PALETTE.values()), dtype=torch.float32) / 255
    means = some.unflatten(1, (3, -1)).mean(2)
    return len(torch.cdist(means, palette).argmin(1).unique())
