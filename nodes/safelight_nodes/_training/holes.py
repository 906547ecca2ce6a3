"""Holes in images, drawn at random, for a denoiser to learn to fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["mixed", "boxes", "ellipses", "strokes"]
_CORNERS = (2, 5)
"""Of a stroke: at least so many, and fewer than so many, beside its ends."""
_BRUSH = 0.3
"""Width of a stroke, as a part of the hole's shorter side."""


@dataclass(frozen=True)
class Holes:
    """How they are drawn.

    `kind`: what they look like. `smallest` and `largest` (0..1): their sides are at least, and at most, this part of
    the image's. `whole` (0..1): the part of all examples of which nothing is left.
    """

    kind: Kind = "mixed"
    smallest: float = 0.2
    largest: float = 0.9
    whole: float = 0.1

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Tensor:
        """(H, W) float32, 1 in the hole and 0 around it. No hole is empty."""
        import torch

        if rng.random() < self.whole:
            return torch.ones(height, width)
        kind = self.kind if self.kind != "mixed" else _KINDS[int(rng.integers(len(_KINDS)))]
        sides = [max(1, round(side * float(rng.uniform(self.smallest, self.largest)))) for side in (height, width)]
        top, left = (int(rng.integers(most - side + 1)) for most, side in zip((height, width), sides, strict=True))
        found = np.zeros((height, width), np.float32)
        found[top : top + sides[0], left : left + sides[1]] = _SHAPES[kind](rng, sides[0], sides[1])
        return torch.from_numpy(found)


def _box(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    del rng
    return np.ones((height, width), bool)


def _ellipse(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The one that touches all four sides."""
    del rng
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1 for side in (height, width))
    return np.square(y)[:, None] + np.square(x)[None] <= 1


def _stroke(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A round brush moved from corner to corner, in straight lines."""
    count = int(rng.integers(*_CORNERS)) + 2
    corners = rng.random((count, 2)) * (height - 1, width - 1)
    radius = max(1.0, _BRUSH * min(height, width) / 2)
    places = np.moveaxis(np.indices((height, width)), 0, -1).astype(np.float64)
    found = np.zeros((height, width), bool)
    for start, end in pairwise(corners):
        way = end - start
        along = ((places - start) @ way / max(float(way @ way), 1e-9)).clip(0, 1)
        found |= np.square(places - start - along[..., None] * way).sum(-1) <= radius**2
    return found


_KINDS = ("boxes", "ellipses", "strokes")
_SHAPES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "boxes": _box,
    "ellipses": _ellipse,
    "strokes": _stroke,
}
