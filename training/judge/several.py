"""Judge a LoRA for several things: whether there are as many as asked for, in the colours asked for, where asked for.

    python -m training.judge.several --lora FILE [--grow] [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

Prompts name everyday subjects, on white: some of a kind ("two apples"), one in a colour ("a blue cup"), a pair ("an
apple and a cup"), a pair in colours. *Number*: as many spots stand out of the ground. *Colour*: the median of a spot is
nearest to that of the palette, among those that things are painted with. *All are it*: the number is right, and each
spot is the named subject, as below. *Subject*: what stands in its half of the image, framed, is among the five nearest
images of everyday subjects by plain features, framed and painted alike. The same is asked of images that
`dataset.compose` makes for the same prompts: no model can pass that by much. With `--grow` images are as large as that
node makes them where things keep their size. A full run adds a line to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.captions import PALETTE, with_article
from safelight_nodes._training.composing import (
    NUMBERED,
    NUMBERS,
    PAINTS,
    RANKS,
    Rank,
    Thing,
    bare,
    laid_out,
    painted,
    plural,
    side_by_side,
)
from safelight_nodes._training.images import opened
from safelight_nodes.training_values import ImageSet
from training.export import SHIPPED
from training.fetch import default_target

from . import report
from .control import FIRST_SEED, draw
from .features import describe_images, lab, plain_order, standing_out
from .painter import Painter, Settings
from .prompts import frequent
from .scores import NEAREST

COUNT = 40
"""Prompts of each of the four kinds."""
HEAD = "| date | by | number; and all are it | colour, subject | pair | colours of a pair, all of it | what |\n"
SIDE = 128
_LEAST = 0.006
"""A spot has at least this part of the image."""
_WHITE = (252, 252, 252)
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Wanted:
    """What a prompt asks for: each thing by key of its subject, everyday name and paint; `number` of the first."""

    text: str
    keys: tuple[str, ...]
    paints: tuple[str | None, ...]
    number: int = 1

    @property
    def rank(self) -> Rank:
        """How what is asked for stands."""
        return NUMBERED[max(self.number, len(self.keys)) - 1]


def asked(subjects: Mapping[str, Mapping[str, Any]], count: int, *, singular: bool = False) -> dict[str, list[Wanted]]:
    """Prompts by kind: `counted`, `painted`, `paired`, `both`. `singular`: numbers with the name of one."""
    names = frequent(subjects)
    keys = [key for key in names if subjects[key]["group"] not in ("People & Body", "Flags")]
    several = [key for key in keys if plural(names[key])]
    rng = np.random.default_rng(FIRST_SEED)
    found: dict[str, list[Wanted]] = {"counted": [], "painted": [], "paired": [], "both": []}
    for place in range(count):
        key = several[int(rng.integers(len(several)))]
        number = 2 + place % len(NUMBERS)
        said = names[key] if singular else plural(names[key])
        found["counted"].append(Wanted(f"{NUMBERS[number - 2]} {said}", (key,), (None,), number))
        one, two, three = (keys[int(at)] for at in rng.choice(len(keys), 3, replace=False))
        first, second = (PAINTS[int(at)] for at in rng.choice(len(PAINTS), 2, replace=False))
        plain_names = {key: bare(names[key]) for key in (one, two, three)}
        found["painted"].append(Wanted(with_article(f"{first} {plain_names[three]}"), (three,), (first,)))
        plain = f"{with_article(names[one])} and {with_article(names[two])}"
        found["paired"].append(Wanted(plain, (one, two), (None, None)))
        text = f"{with_article(f'{first} {plain_names[one]}')} and {with_article(f'{second} {plain_names[two]}')}"
        found["both"].append(Wanted(text, (one, two), (first, second)))
    return found


def spots(image: Images) -> list[NDArray[np.bool_]]:
    """What stands out of the ground of an image (H, W, 3) in 0..1, as masks (H, W), what nearly touches as one."""
    import cv2

    joined = cv2.morphologyEx(standing_out(image).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    count, marks, stats, _ = cv2.connectedComponentsWithStats(joined)
    large = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] > _LEAST * joined.size]
    # What is much smaller than the largest is a part of it that came loose: an apple's leaf, a spark.
    most = max((stats[n, cv2.CC_STAT_AREA] for n in large), default=0)
    return [marks == n for n in large if stats[n, cv2.CC_STAT_AREA] > most / 5]


def halves(image: Images) -> list[Images]:
    """The left half and the right one, each (H, W, 3) on a ground of its first corner's colour."""
    side = image.shape[1]
    found: list[Images] = []
    for part in (image[:, : side // 2], image[:, side // 2 :]):
        whole = np.broadcast_to(image[0, 0], image.shape).copy()
        whole[:, side // 4 : side // 4 + part.shape[1]] = part
        found.append(whole)
    return found


def alone(image: Images) -> list[Images]:
    """Each spot by itself, (H, W, 3) on the ground's colour."""
    found: list[Images] = []
    for spot in spots(image):
        down, across = (np.flatnonzero(spot.any(axis)) for axis in (1, 0))
        part = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        whole = np.broadcast_to(image[0, 0], image.shape).copy()
        whole[part] = image[part]
        found.append(whole)
    return found


def framed(image: Images) -> Images:
    """What stands out, as large as it can be in the middle of a square of SIDE pixels on the ground's colour."""
    import cv2

    seen = np.any(spots(image) or [np.ones(image.shape[:2], bool)], axis=0)
    down, across = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    cut = image[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    height, width = cut.shape[:2]
    most = max(height, width)
    square = np.broadcast_to(image[0, 0], (most, most, 3)).copy()
    top, left = (most - height) // 2, (most - width) // 2
    square[top : top + height, left : left + width] = cut
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA if most > SIDE else cv2.INTER_LINEAR)


def colour_of(image: Images) -> str:
    """The paint that is nearest to the median colour of what stands out of an image (H, W, 3) in 0..1."""
    seen = np.any(spots(image) or [np.ones(image.shape[:2], bool)], axis=0)
    middle = lab(np.median(image[seen], axis=0).astype(np.float32))
    rgb = {names[0]: np.array(value, np.float32) / 255 for names, value in PALETTE.items() if names[0] in PAINTS}
    return min(rgb, key=lambda name: float(np.square(lab(rgb[name]) - middle).sum()))


class Gallery:
    """All everyday subjects in every style, framed, plain or in a paint."""

    def __init__(self, images: ImageSet) -> None:
        names = frequent(images.subjects)
        numbers = [n for n, entry in enumerate(images.entries) if entry["subject"] in names]
        self._pixels = images.pixels[numbers]
        self._bearers = [frozenset(images.subjects[images.entries[n]["subject"]]["names"]) for n in numbers]
        self._names = names
        self._described = cache(self._describe)

    def shows(self, image: Images, key: str, paint: str | None) -> bool:
        """Whether one of the five nearest to an image (H, W, 3) bears the subject's name."""
        order = plain_order(describe_images(framed(image)[None]), self._described(paint))[:NEAREST]
        return any(self._names[key] in self._bearers[at] for at in order)

    def _describe(self, paint: str | None) -> tuple[Images, Images]:
        import torch

        from safelight_nodes._training.images import composited

        all_of_it: list[Images] = []
        for pixels in self._pixels:
            laid = composited((painted(pixels, paint) if paint else pixels)[None], [_WHITE])[0]
            all_of_it.append(framed((laid.movedim(0, -1) / 2 + 0.5).clamp(0, 1).to(torch.float32).numpy()))
        return describe_images(np.stack(all_of_it))


def scores(
    made: Mapping[str, Sequence[Images]], wanted: Mapping[str, Sequence[Wanted]], gallery: Gallery
) -> list[float]:
    """Shares: the number, and all of them it; the colour and the subject of one; both of a pair; both colours of a
    pair, and all of it."""
    several = list(zip(map(alone, made["counted"]), wanted["counted"], strict=True))
    number = [len(things) == one.number for things, one in several]
    named = [
        right and all(gallery.shows(thing, one.keys[0], None) for thing in things)
        for right, (things, one) in zip(number, several, strict=True)
    ]
    single = list(zip(made["painted"], wanted["painted"], strict=True))
    colour = [colour_of(image) == one.paints[0] for image, one in single]
    subject = [gallery.shows(image, one.keys[0], one.paints[0]) for image, one in single]
    pair = [_both(image, one, gallery) for image, one in zip(made["paired"], wanted["paired"], strict=True)]
    last = list(zip(made["both"], wanted["both"], strict=True))
    colours = [tuple(colour_of(half) for half in halves(image)) == one.paints for image, one in last]
    whole = [right and _both(image, one, gallery) for right, (image, one) in zip(colours, last, strict=True)]
    return [float(np.mean(each)) for each in (number, named, colour, subject, pair, colours, whole)]


def _both(image: Images, wanted: Wanted, gallery: Gallery) -> bool:
    parts = zip(halves(image), wanted.keys, wanted.paints, strict=True)
    return all(gallery.shows(half, key, paint) for half, key, paint in parts)


def composed(images: ImageSet, wanted: Sequence[Wanted], grow: bool = False) -> list[Images]:
    """(H, W, 3) each: what was asked for, composed of the images themselves, in the first style."""
    first = {entry["subject"]: n for n, entry in reversed(list(enumerate(images.entries)))}
    made: list[Images] = []
    for one in wanted:
        things = [Thing(first[key], "", paint) for key, paint in zip(one.keys, one.paints, strict=True)]
        things = things * one.number
        if grow:
            laid = side_by_side(images, things, one.rank, _WHITE)
        else:
            laid = laid_out(images, things, RANKS[one.rank], _WHITE)
        made.append(laid[..., :3].numpy().astype(np.float32) / 255)
    return made


def drawn(
    painter: Painter, wanted: Sequence[Wanted], sizes: Sequence[tuple[int, int]], guidance: float
) -> list[Images]:
    """(H, W, 3) each: what the model draws. Prompts for images of one size are drawn together."""
    found: dict[int, Images] = {}
    for size in sorted(set(sizes)):
        places = [place for place, own in enumerate(sizes) if own == size]
        texts = [wanted[place].text for place in places]
        found.update(
            zip(places, painter.series(texts, FIRST_SEED, Settings(guidance=guidance), size=size), strict=True)
        )
    return [found[place] for place in range(len(wanted))]


def framed_alike(images: Sequence[Images]) -> Images:
    """(N, H, W, 3): all on white, as large as the largest."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    sheet = np.ones((len(images), height, width, 3), np.float32)
    for place, image in zip(sheet, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lora", type=Path, default=SHIPPED / "colors" / "pytorch_lora_weights.safetensors")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--prompts", type=int, default=COUNT, help="of each kind; fewer leave no history")
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument("--grow", action="store_true", help="images of several are larger, and things as large as ever")
    parser.add_argument("--singular", action="store_true", help="numbers with the name of one: 'three apple'")
    parser.add_argument("--sheet", type=Path, help="write images without it and with it as PNGs, one for each kind")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    images = opened(args.cache / "images.json", args.cache / "images.npy")
    wanted = asked(images.subjects, args.prompts, singular=args.singular)
    gallery = Gallery(images)
    rows = {"composed": {kind: composed(images, ones, args.grow) for kind, ones in wanted.items()}}
    sizes = {kind: [image.shape[:2] for image in made] for kind, made in rows["composed"].items()}
    for name, lora in (("without", None), ("with", args.lora)):
        with Painter(args.model, lora) as painter:
            rows[name] = {kind: drawn(painter, ones, sizes[kind], args.guidance) for kind, ones in wanted.items()}
    for name, made in rows.items():
        found = [f"{share:.1%}".replace("%", " %") for share in scores(made, wanted, gallery)]
        number, named, colour, subject, pair, colours, whole = found
        print(
            f"{name}: number {number}, all are it {named}, colour {colour}, subject {subject}, pair {pair}, "
            f"colours {colours}, all {whole}"
        )
        if args.prompts >= COUNT:
            row = f"| {time.strftime('%Y-%m-%d %H:%M')} | {name} | {number}; {named} | {colour}, {subject} | {pair} | "
            report.remember(args.history, f"{row}{colours}, {whole} | {args.note.replace('|', '/')} |\n", HEAD)
    if args.sheet:
        for kind in wanted:
            draw(
                [framed_alike(made[kind]) for made in rows.values()], args.sheet.with_stem(f"{args.sheet.stem}-{kind}")
            )


if __name__ == "__main__":
    main()
