"""What a captioner learns from: images over a colour, moved about, and one caption for all there is to say of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from safelight.sdk import Problem, ProblemError
from safelight_nodes._ramps import ramp
from safelight_nodes.training_values import ImageSet

from .augment import warped, way
from .captions import COLOURS, PALETTE, STYLES, draw_colour, nearest_colour
from .images import Drawer, of_one_size, over, scaled, some_of
from .loop import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

_FAR, _UNEVEN = 0.3, 0.03
"""How far apart the ends of a ramp are in some channel, and what spots of plain grounds deviate by, at most."""
_TURN = 60.0
"""Degrees of a turn where images are moved by their whole side."""


class Drawn(NamedTuple):
    """Images (B, 3, H, W) in -1..1, a caption for each, and which images of the set they are."""

    pixels: Tensor
    texts: list[str]
    numbers: list[int]


class Pictures:
    """Draws images of a set at `side` pixels, each moved, scaled and turned by up to `moved` of its side."""

    def __init__(self, images: ImageSet, seed: int, side: int, moved: float) -> None:
        self.images = of_one_size(images)
        self._seed, self._side, self._moved = seed, side, moved
        self._drawer = Drawer(images, seed)
        self._opaque = (images.pixels[..., 3] == 255).all(dim=-1).all(dim=-1)

    def draw(self, step: int, count: int, anywhere: float, ramps: float = 0.0) -> Drawn:
        """Images as often as they weigh: the part `ramps` over a ramp of two colours, of the rest the part `anywhere`
        over any colour, what is left over colours with a name."""
        import torch

        rng = numpy_generator(self._seed, step)
        numbers = [int(number) for number in self._drawer.numbers(rng, count)]
        height, width = self.images.pixels.shape[1:3]
        grounds: list[Tensor] = []
        texts: list[str] = []
        ways: list[Tensor] = []
        for number in numbers:
            entry = self.images.entries[number]
            subject = self.images.subjects[entry["subject"]]
            colour, rgb = draw_colour(rng)
            if rng.random() < anywhere:
                red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
                rgb = (red, green, blue)
                colour = nearest_colour(rgb)
            ground = torch.tensor(rgb, dtype=torch.float32)[:, None, None].expand(3, height, width) / 255
            if ramps:
                # A ground that a model has drawn is never quite even: two colours tell a ramp, not any unevenness.
                ramped = rng.random() < ramps
                ground, colour = (_ramp(rng, ground), None) if ramped else (_uneven(rng, ground), colour)
            grounds.append(ground)
            texts.append(said(subject, entry["style"], None if self._opaque[number] else colour, rng))
            ways.append(_way(rng, self._moved, bool(subject.get("mirror"))))
        pixels = self.images.pixels[numbers]
        if self._moved:
            pixels = warped(pixels, torch.stack(ways))
        return Drawn(scaled(over(pixels, torch.stack(grounds)), self._side), texts, numbers)


def _ramp(rng: np.random.Generator, ground: Tensor) -> Tensor:
    """(3, H, W) in 0..1 from one colour to another far from it, which no word names; of the size of `ground`."""
    import torch

    first, last = rng.random((2, 3), dtype=np.float32)
    if np.abs(first - last).max() < _FAR:
        last = (first + 0.5) % 1
    kind = "radial" if rng.random() < 0.2 else "linear"
    _, height, width = ground.shape
    share = ramp(height, width, kind, float(rng.uniform(0, 360)))
    return torch.lerp(torch.from_numpy(first)[:, None, None], torch.from_numpy(last)[:, None, None], share)


def _uneven(rng: np.random.Generator, ground: Tensor) -> Tensor:
    """A ground with broad, faint spots."""
    import torch

    spots = torch.from_numpy(rng.normal(0, _UNEVEN * rng.random(), (1, 3, 4, 4)).astype(np.float32))
    return (ground + torch.nn.functional.interpolate(spots, ground.shape[1:], mode="bicubic")[0]).clamp(0, 1)


def _way(rng: np.random.Generator, moved: float, mirror: bool) -> Tensor:
    size = 1 + 2 * moved * rng.uniform(-0.25, 1)
    # As far as there is room beside it: what is cut off cannot be named.
    room = max(0.0, size - 1) + moved / 2
    shift = (room * rng.uniform(-1, 1), room * rng.uniform(-1, 1))
    return way(np.deg2rad(_TURN * moved) * rng.uniform(-1, 1), size, shift, mirror and rng.random() < 0.5)


def said(subject: Mapping[str, Any], style: int, colour: int | None, rng: np.random.Generator) -> str:
    """The caption: always in these words, so that the likeliest word after another is the right one.

    It says the style, the name of everyday speech (the official one where there is no other) and the background, where
    there is one. Images with captions of their own (a negative style) are said by one of those.
    """
    names: Sequence[str] = subject["names"]
    if style < 0:
        return names[int(rng.integers(len(names)))]
    told = f"{STYLES[style]} {names[min(1, len(names) - 1)]}"
    return told if colour is None else f"{told}, {COLOURS[colour]} background"


def subject_of(text: str) -> str:
    """The name in a caption of `said`: what lies between the style and the background."""
    name = text.partition(",")[0]
    first, _, rest = name.partition(" ")
    return rest if first in STYLES else name


def names_subject(text: str, subject: Mapping[str, Any], style: int) -> bool:
    """Whether a caption says one of the names of a subject, the whole name and no more."""
    return (text if style < 0 else subject_of(text)) in subject["names"]


def sentences(images: ImageSet, seed: int) -> Iterator[str]:
    """Captions of each image that is drawn at all, over some colours: what a tokenizer learns from."""
    for number, entry in enumerate(images.entries):
        if images.weights[number] > 0:
            rng = numpy_generator(seed, number)
            for colour in rng.integers(0, len(PALETTE), 4):
                yield said(images.subjects[entry["subject"]], entry["style"], int(colour), rng)


def held_apart(images: ImageSet, share: float, seed: int, kinds: Sequence[object] = ()) -> tuple[ImageSet, ImageSet]:
    """What is learned from, and what is only judged by: `share` of the images, but the last one of no kind.

    Without a share, all are learned from, and judged by. The kind of each image is its subject, if none is given.

    Raises:
        ProblemError: `too_few_images`, when none can be held out.
    """
    if not share:
        return images, images
    drawn = [number for number in range(len(images.entries)) if images.weights[number] > 0]
    kinds = kinds or [_kind(images, number) for number in range(len(images.entries))]
    left: dict[object, int] = {}
    for number in drawn:
        left[kinds[number]] = left.get(kinds[number], 0) + 1
    held: set[int] = set()
    for number in np.random.default_rng(seed).permutation(drawn).tolist():
        if len(held) >= share * len(drawn):
            break
        if left[kinds[number]] > 1:
            left[kinds[number]] -= 1
            held.add(number)
    if not held:
        message = "No image can be held out: there is one of each kind."
        hint = "Set held_out to 0, or take a set with several images of a subject."
        raise ProblemError(Problem(code="too_few_images", message=message, hint=hint, port="held_out", value=share))
    return some_of(images, [n for n in drawn if n not in held]), some_of(images, sorted(held))


def _kind(images: ImageSet, number: int) -> object:
    """What another image must share to be one of the same: all images with own captions are."""
    entry = images.entries[number]
    return entry["subject"] if entry["style"] >= 0 else -1


__all__ = ["Drawn", "Pictures", "held_apart", "names_subject", "said", "sentences", "subject_of"]
