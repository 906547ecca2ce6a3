"""The scores: what share of the images show what was asked for, and how well the autoencoder keeps an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import corner_distance, cosine_order, delta_e, describe_images, plain_order
from .gallery import GROUNDS, Gallery, Tower, ground, over
from .painter import Painter, Settings
from .prompts import Asked

NEAREST = 5
FARTHEST_CORNER = 15.0
FIRST_SEED = 1000
_UNSEEN_SEED = 12345


@dataclass(frozen=True)
class Judged:
    """What was found about one image. Ranks count from 1; `clip_rank` is None without a tower."""

    asked: Asked
    plain_rank: int
    clip_rank: int | None
    corner: float


@dataclass(frozen=True)
class Scores:
    """Shares in 0..1 over the judged images; `clip` is None without a tower."""

    count: int
    clip: float | None
    plain: float
    background: float

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Scores:
        ranks = [one.clip_rank for one in judged if one.clip_rank is not None]
        return cls(
            count=len(judged),
            clip=_share([rank <= NEAREST for rank in ranks]) if ranks else None,
            plain=_share([one.plain_rank <= NEAREST for one in judged]),
            background=_share([one.corner <= FARTHEST_CORNER for one in judged]),
        )


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)


def painted(
    painter: Painter, asked: Sequence[Asked], settings: Settings, batch: int = 20
) -> Iterator[NDArray[np.float32]]:
    """An image (H, W, 3) in 0..1 for each prompt, in order. Prompt k always has seed 1000 + k."""
    for start in range(0, len(asked), batch):
        texts = [one.text for one in asked[start : start + batch]]
        yield from painter.paint(texts, FIRST_SEED + start, settings)


def judge(
    images: Sequence[NDArray[np.float32]], asked: Sequence[Asked], gallery: Gallery, tower: Tower | None
) -> list[Judged]:
    """Ranks the named subject among all images of the style over the colour that was asked for."""
    plain = [describe_images(image[None]) for image in images]
    seen = tower(np.stack(images)) if tower else None
    found: list[Judged] = []
    for place, one in enumerate(asked):
        subjects = gallery.subjects(one.style)

        def rank(order: NDArray[np.int64], subjects: list[str] = subjects, right: frozenset[str] = one.right) -> int:
            return next(number for number, at in enumerate(order, 1) if subjects[at] in right)

        plain_rank = rank(plain_order(plain[place], gallery.plain(one.style, one.colour)))
        clip_rank = None
        if seen is not None:
            clip_rank = rank(cosine_order(seen[place], gallery.seen(one.style, one.colour)))
        corner = corner_distance(images[place], ground(one.colour))
        found.append(Judged(one, plain_rank, clip_rank, corner))
    return found


def sharpness(images: Sequence[NDArray[np.float32]]) -> float:
    """Mean difference of neighbouring pixels, across plus down, of images (H, W, 3) in 0..1. Blur lowers it, noise and
    contrast raise it: it says something beside the scores, not alone."""
    found = [np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean() for image in images]
    return float(np.mean(found))


def unseen_grounds(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Background colours (count, 3) from the whole cube, each more than ΔE 10 away from every colour of the palette."""
    palette = np.array(GROUNDS, np.float32) / 255
    found: list[Any] = []
    while len(found) < count:
        colour = rng.integers(0, 256, 3, dtype=np.uint8)
        if delta_e(palette, colour.astype(np.float32) / 255).min() > 10:
            found.append(colour)
    return np.stack(found)


def reconstruction(painter: Painter, images: NDArray[np.uint8], weights: NDArray[np.float64], count: int) -> float:
    """Mean PSNR in dB of whole images over unseen backgrounds, peak 1. Images come as often as in training."""
    rng = np.random.default_rng(_UNSEEN_SEED)
    numbers = rng.choice(len(images), count, replace=False, p=weights)
    grounds = unseen_grounds(count, rng)
    values: list[float] = []
    for start in range(0, count, 20):
        colour = grounds[start : start + 20, None, None].astype(np.float32) / 255
        given = over(images[np.sort(numbers[start : start + 20])], colour)
        error = np.square(painter.reconstruct(given) - given).mean((1, 2, 3))
        values += (-10 * np.log10(np.maximum(error, 1e-10))).tolist()
    return float(np.mean(values))


__all__ = ["Judged", "Scores", "Settings", "judge", "painted", "reconstruction", "sharpness"]
