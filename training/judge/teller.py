"""What tells images of one kind from those of another, and whether they show what they are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .features import describe_images, plain_order
from .gallery import Tower
from .scores import NEAREST

_RIDGE = 1e-2
Images = NDArray[np.float32]


class Teller:
    """Tells images like the `wanted` from images like the `others`.

    It is a linear classifier over an image encoder's summaries, fitted by least squares.
    """

    def __init__(self, tower: Tower, others: Images, wanted: Images) -> None:
        self._tower = tower
        seen = np.concatenate([self._seen(others), self._seen(wanted)])
        sides = np.repeat(np.array([-1, 1], np.float32), [len(others), len(wanted)])
        self._weights = np.linalg.solve(seen.T @ seen + _RIDGE * np.eye(seen.shape[1]), seen.T @ sides)

    def _seen(self, images: Images) -> Images:
        found = self._tower(images)
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        return np.concatenate([found, np.ones((len(found), 1), np.float32)], axis=1)

    def share(self, images: Images) -> float:
        """What part of images (N, H, W, 3) it takes for what was wanted."""
        return float((self._seen(images) @ self._weights > 0).mean())


def named(images: Images, names: list[str], gallery: Images, owners: list[set[str]]) -> float:
    """The share of images among whose nearest ones in the gallery is one that bears the name."""
    described = describe_images(gallery)
    found = 0
    for image, name in zip(images, names, strict=True):
        order = plain_order(describe_images(image[None]), described)[:NEAREST]
        found += any(name in owners[at] for at in order)
    return found / len(images)
