"""Scans that nobody had: heads of ellipses, for trying what is done to medical images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from safelight.sdk import Image, Mask, Number, Seed, Slider, node

if TYPE_CHECKING:
    from torch import Generator, Tensor

_HEAD = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)
"""What each ellipse adds, its half axes, its middle, from -1 to 1 to the right and upwards, and the degrees by which it
is turned counter-clockwise. Shepp and Logan 1974, with the contrast of Toft 1996."""
_WHOLE = 2
"""So many of them, skull and brain, move as one."""
_TURN, _FINE = 12.0, 4
_LABELS = ("clear", "lesions")
_FAINTEST = 0.5
"""The least bright lesion; the matter around it has 0.2."""


class Phantoms(NamedTuple):
    """Scans, and what is known of them."""

    image: Annotated[Image, "Grey images, as many as were asked for."]
    lesions: Annotated[Mask, "White where they are: one mask an image."]
    counts: Annotated[list[int], "How many lesions each image has."]
    labels: Annotated[list[str], "What a classifier is to say of each: lesions, or clear."]


@node(
    version=1,
    title="Phantom scans",
    tags=("Shepp-Logan", "medical", "MRI", "CT", "tomography", "lesions", "synthetic data", "test image"),
)
def phantom(
    *,
    count: Annotated[int, Number(1, 4096), "Images in the batch."] = 4,
    size: Annotated[int, Number(16, 1024, step=16), "Of a side, in pixels."] = 128,
    variation: Annotated[
        float, Slider(0, 1, step=0.05), "How much one differs from the next. 0: all are the head of Shepp and Logan."
    ] = 0.5,
    lesions: Annotated[
        float, Slider(0, 1, step=0.05), "How likely an image has lesions: one, two or three of them."
    ] = 0.5,
    seed: Annotated[int, Seed(), "Image k of a batch uses seed + k, as samplers do."] = 0,
) -> Phantoms:
    """Draw synthetic scans of a head: a phantom of ellipses, with or without bright spots in the place of lesions.

    Nobody was scanned: it is the phantom of Shepp and Logan, whose ellipses are moved, turned and shaded by chance. It
    shows what noise, denoising and learning do to such images, and says nothing about patients. Sources: L. Shepp and
    B. Logan, "The Fourier Reconstruction of a Head Section", 1974; P. Toft, "The Radon Transform", 1996.
    """
    import torch

    from .._pixels import check_size

    check_size(size * count, size, "size")
    made = [_one(size, variation, lesions, torch.Generator().manual_seed(seed + number)) for number in range(count)]
    grey = torch.stack([head for head, _, _ in made])
    counts = [number for _, _, number in made]
    return Phantoms(
        Image(grey[..., None].expand(-1, -1, -1, 3).contiguous()),
        Mask(torch.stack([spots for _, spots, _ in made])),
        counts,
        [_LABELS[number > 0] for number in counts],
    )


def _one(size: int, variation: float, lesions: float, source: Generator) -> tuple[Tensor, Tensor, int]:
    """(size, size) of a head in 0..1, of its lesions, and how many there are."""
    import math

    import torch

    def drawn() -> float:
        return float(torch.rand((), generator=source))

    def chance(reach: float) -> float:
        return (drawn() * 2 - 1) * reach * variation

    turn, wide, tall = chance(_TURN), 1 + chance(0.08), 1 + chance(0.06)
    head = torch.zeros(size, size)
    inside = torch.zeros(size, size)
    for number, (adds, *axes, right, up, angle) in enumerate(_HEAD):
        own, longer, shorter, aside, above, tilt = (chance(1) if number >= _WHOLE else 0.0 for _ in range(6))
        half = axes[0] * (1 + 0.3 * longer) * wide, axes[1] * (1 + 0.25 * shorter) * tall
        middle = (right + 0.06 * aside) * wide, (up + 0.05 * above) * tall
        cover = _ellipse(size, half, middle, angle + 15 * tilt, turn)
        head = head + adds * (1 + 0.5 * own) * cover
        if number == _WHOLE - 1:
            inside = cover
    head = head.clamp(0, 1)
    spots, several = torch.zeros(size, size), 0
    if drawn() < lesions:
        several = 1 + int(3 * drawn())
    for _ in range(several):
        way, far = drawn() * math.tau, drawn() ** 0.5 * 0.72
        half = 0.05 + 0.06 * drawn(), 0.05 + 0.06 * drawn()
        middle = math.cos(way) * far * 0.66 * wide, math.sin(way) * far * 0.87 * tall
        spot = _ellipse(size, half, middle, 180 * drawn(), turn) * inside
        head = head + (_FAINTEST + 0.25 * drawn() - head) * spot
        spots = torch.maximum(spots, spot)
    return head, spots, several


def _ellipse(size: int, half: tuple[float, float], middle: tuple[float, float], angle: float, turn: float) -> Tensor:
    """(size, size) of how much of each pixel an ellipse covers; `turn` is that of the head as a whole, in degrees."""
    import math

    import torch
    from torch.nn.functional import avg_pool2d

    line = (torch.arange(size * _FINE) + 0.5) / (size * _FINE) * 2 - 1
    x, y = line[None, :], -line[:, None]
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    x, y = x * cos + y * sin - middle[0], y * cos - x * sin - middle[1]
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    inside = ((x * cos + y * sin) / half[0]) ** 2 + ((y * cos - x * sin) / half[1]) ** 2 <= 1
    return avg_pool2d(inside.float()[None, None], _FINE)[0, 0]
