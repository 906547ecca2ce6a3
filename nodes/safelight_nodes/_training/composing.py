"""Images of several things, made of images of one: so many of a kind, in a colour, one beside or above another.

A model that learned from single subjects has never seen two; here it is shown what "two", "red" and "above" mean.
Everything is a pure function of the seed and the number of the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import Context, Problem, ProblemError
from safelight_nodes.training_values import ImageSet

from .captions import PALETTE, STYLE_NAMED, STYLES, colour_names, draw_colour, with_article
from .images import WHITE, WHITE_SHARE, Drawer, lay, of_one_size, weighed
from .loop import numpy_generator

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_DARKEST, _LIGHTS = 0.02, 0.3
"""The middle brightness of a thing is taken for this at least. What is brighter by so much, or by all there is, is as
pale as it gets: a white thing becomes the color itself, and not a paler one."""
NUMBERS = ("two", "three", "four")
PAINTS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
"""Colours of the palette that things are painted with."""
_PAINT_NAMES = sorted((name for names in PALETTE for name in names), key=len, reverse=True)
_HEAD = re.compile(r"^(.*?)( (?:of|with|in|on|and|at) .*)?$")
_MANY = re.compile(
    r"(s|jeans|glasses|dice|rice|pasta|fire|corn|cheese|beer|wine|coffee|weather|hair|sushi|bread|money|butter|honey)$"
)
_OWN_WORDS = re.compile(r"^(a|an|the) |[,.;:!?]|[^\x00-\x7f]", re.IGNORECASE)
"""Captions of one's own, and languages whose plurals are made otherwise."""
_IRREGULAR = {
    "mouse": "mice", "wolf": "wolves", "leaf": "leaves", "knife": "knives", "man": "men", "woman": "women",
    "snowman": "snowmen", "tooth": "teeth", "foot": "feet", "goose": "geese", "child": "children", "fish": "fish",
    "sheep": "sheep", "jellyfish": "jellyfish", "tomato": "tomatoes", "potato": "potatoes", "person": "people",
    "bus": "buses", "octopus": "octopuses", "cactus": "cacti", "cross": "crosses", "glass": "glasses",
    "dress": "dresses", "compass": "compasses", "thief": "thieves", "hero": "heroes",
}  # fmt: skip


def plural(name: str) -> str | None:
    """Several of what a name says: "slices of pizza". None for names that are of several, or of what is not counted."""
    if _OWN_WORDS.search(name):
        return None
    match = _HEAD.match(name)
    head, rest = (match[1], match[2] or "") if match else (name, "")
    first, _, last = head.rpartition(" ")
    said = f"{first} " if first else ""
    if last in _IRREGULAR:
        return f"{said}{_IRREGULAR[last]}{rest}"
    if not last.isalpha() or _MANY.search(last):
        return None
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return f"{said}{last[:-1]}ies{rest}"
    ending = "es" if last.endswith(("x", "z", "ch", "sh")) else "s"
    return f"{said}{last}{ending}{rest}"


def bare(name: str) -> str:
    """A name without the color that it begins with: "red apple" is an apple, whatever it is painted with."""
    said = name.casefold()
    found = next((paint for paint in _PAINT_NAMES if said.startswith(f"{paint} ")), None)
    return name[len(found) + 1 :] if found else name


@dataclass(frozen=True)
class Shares:
    """How often an image shows several of a kind, and a pair; the rest shows one thing. `painted` of the things are
    in a colour of their own."""

    counted: float
    paired: float
    painted: float


@dataclass(frozen=True)
class Thing:
    """What stands in one place: an image of the set, its name without a colour, and the paint, if any."""

    image: int
    name: str
    paint: str | None

    @property
    def phrase(self) -> str:
        return f"{self.paint} {self.name}" if self.paint else self.name


def painted(pixels: Tensor, paint: str) -> Tensor:
    """An image (H, W, 4) uint8 whose colours are shades of one: its middle brightness becomes the colour itself."""
    import torch

    rgb, alpha = pixels[..., :3].float() / 255, pixels[..., 3:]
    grey = rgb @ torch.tensor([0.299, 0.587, 0.114])
    seen = grey[alpha[..., 0] > 127]
    if not len(seen):
        return pixels
    middle = max(float(seen.median()), _DARKEST)
    colour = torch.tensor(next(rgb for names, rgb in PALETTE.items() if names[0] == paint)) / 255
    below = (grey / middle).clamp(max=1)[..., None] * colour
    above = ((grey - middle) / max(1 - middle, _LIGHTS)).clamp(0, 1)[..., None]
    # A little of white only: a pale blue is still blue.
    shaded = below + 0.6 * above * (1 - below)
    return torch.cat([(shaded * 255).round().to(torch.uint8), alpha], dim=-1)


def composed(images: ImageSet, count: int, shares: Shares, seed: int, ctx: Context, *, grow: bool = False) -> ImageSet:
    """A set of `count` opaque images, each with captions of its own. They have the size of those given, or, where they
    `grow`, as many times that as the things need which keep theirs.

    Raises:
        ProblemError: `wrong_size` where images have sizes of their own; `nothing_transparent` where no image has a
            transparent part, for then there is no subject to set elsewhere; `no_captions` where a subject has no name;
            `too_few_images` where pairs are wanted of a single one.
    """
    import torch

    if bool((of_one_size(images).pixels[..., 3] == 255).all()):
        message = "No image of this set has a transparent part, so its subject cannot be set beside another."
        hint = "Take a set of images with transparent ground, such as that of `python -m training.fetch`."
        raise ProblemError(Problem(code="nothing_transparent", message=message, hint=hint, port="images"))
    _check_names(images, shares)
    drawer = Drawer(images, seed)
    whole = [side * (2 if grow else 1) for side in images.pixels.shape[1:3]]
    made = torch.zeros((count, *whole, 4), dtype=torch.uint8)
    sizes: list[tuple[int, int]] = []
    subjects: dict[str, dict[str, Any]] = {}
    for number in range(count):
        ctx.check_cancelled()
        rng = numpy_generator(seed, number)
        things, words, rank = _scene(drawer, rng, shares)
        places = [] if grow else _moved(RANKS[rank], rng)
        colour, ground = draw_colour(rng, WHITE if rng.random() < WHITE_SHARE else int(rng.integers(len(PALETTE))))
        if colour_names(colour)[0] in {thing.paint for thing in things}:
            colour, ground = draw_colour(rng, WHITE)
        style = images.entries[things[0].image]["style"]
        subjects[str(number)] = {"names": ways_to_ask(words, style, colour, rng), "keywords": []}
        image = side_by_side(images, things, rank, ground) if grow else laid_out(images, things, places, ground)
        height, width = image.shape[:2]
        made[number, :height, :width] = image
        sizes.append((height, width))
        ctx.progress(number + 1, count)
    entries = tuple({"subject": str(number), "style": -1} for number in range(count))
    probability = torch.full((count,), 1 / count, dtype=torch.float64)
    return ImageSet(made, entries, subjects, probability, tuple(sizes) if grow else ())


_TRIES = 50
"""So often another subject is drawn, where one does not fit."""
Rank = Literal["one", "beside", "above", "three", "four"]
NUMBERED: tuple[Rank, ...] = ("one", "beside", "three", "four")
"""How one, two, three and four of a kind stand."""
STYLE_PLACE = "~"
"""Stands in what is said where a style may be named."""
Place = tuple[float, float, float]
"""Middle (right, down) and side of a thing, in 0..1 of the image."""


def _scene(drawer: Drawer, rng: np.random.Generator, shares: Shares) -> tuple[list[Thing], str, Rank]:
    """What is shown, how it is said, and how things stand."""
    kind = rng.random()
    first = thing(drawer, rng, shares.painted)
    several = plural(first.name)
    for _ in range(_TRIES):
        if kind >= shares.counted or several:
            break
        first = thing(drawer, rng, shares.painted)
        several = plural(first.name)
    if kind < shares.counted and several:
        number = int(rng.integers(2, 2 + len(NUMBERS)))
        said = f"{first.paint} {several}" if first.paint else several
        return [first] * number, f"{NUMBERS[number - 2]} {STYLE_PLACE}{said}", NUMBERED[number - 1]
    if shares.counted <= kind < shares.counted + shares.paired:
        style = drawer.images.entries[first.image]["style"]
        other = first
        for tries in range(2 * _TRIES):
            other = thing(drawer, rng, shares.painted)
            alike = drawer.images.entries[other.image]["style"] == style
            # Where each subject has a style of its own, none can be alike.
            if other.name != first.name and (alike or tries >= _TRIES):
                break
        one, two = with_article(first.phrase), with_article(other.phrase)
        way = rng.random()
        if way < 0.25:
            return [first, other], f"{one} above {two}", "above"
        words = "and" if way < 0.7 else ("next to", "left of", "beside")[int(rng.integers(3))]
        return [first, other], f"{one} {words} {two}", "beside"
    return [first], f"{STYLE_PLACE}{first.phrase}", "one"


RANKS: Mapping[Rank, list[Place]] = {
    "one": [(0.5, 0.5, 0.95)],
    "beside": [(0.26, 0.5, 0.48), (0.74, 0.5, 0.48)],
    "above": [(0.5, 0.26, 0.48), (0.5, 0.75, 0.48)],
    "three": [(0.5, 0.27, 0.46), (0.26, 0.73, 0.46), (0.74, 0.73, 0.46)],
    "four": [(0.26, 0.27, 0.45), (0.74, 0.27, 0.45), (0.26, 0.73, 0.45), (0.74, 0.73, 0.45)],
}
"""Where things stand."""
CORNERS: Mapping[Rank, list[tuple[float, float]]] = {
    "one": [(0, 0)],
    "beside": [(0, 0), (1, 0)],
    "above": [(0, 0), (0, 1)],
    "three": [(0.5, 0), (0, 1), (1, 1)],
    "four": [(0, 0), (1, 0), (0, 1), (1, 1)],
}
"""The upper left corners (right, down) of things that keep their size, in sides of a thing."""


def thing(drawer: Drawer, rng: np.random.Generator, share: float) -> Thing:
    """One of a set by one of its names, `share` of them in a paint."""
    image = int(drawer.numbers(rng, 1)[0])
    names = drawer.images.subjects[drawer.images.entries[image]["subject"]]["names"]
    name = names[1 + int(rng.integers(len(names) - 1))] if len(names) > 1 and rng.random() < 0.7 else names[0]
    paint = PAINTS[int(rng.integers(len(PAINTS)))] if rng.random() < share else None
    return Thing(image, bare(name) if paint else name, paint)


def _check_names(images: ImageSet, shares: Shares) -> None:
    names = [subject["names"] for subject in images.subjects.values()]
    if not all(said and all(name.strip() for name in said) for said in names):
        message = "Some images of this set have no caption, so nothing can be said of what they show."
        hint = "Give each image its name as the caption, such as: cat."
        raise ProblemError(Problem(code="no_captions", message=message, hint=hint, port="images"))
    if shares.paired and len({name for said in names for name in said}) < 2:
        message, hint = "All images of this set bear one name, so there are no pairs.", "Set paired to 0."
        raise ProblemError(Problem(code="too_few_images", message=message, hint=hint, port="paired"))


def _moved(places: Sequence[Place], rng: np.random.Generator) -> list[Place]:
    """Each a little elsewhere and a little smaller, but within the image."""
    found: list[Place] = []
    for right, down, side in places:
        small = side * float(rng.uniform(0.88, 1.0))
        room = min(0.025, max(0.0, (1 - small) / 2))
        found.append((right + float(rng.uniform(-room, room)), down + float(rng.uniform(-room, room)), small))
    return found


def ways_to_ask(words: str, style: int, colour: int, rng: np.random.Generator) -> list[str]:
    """Three ways to ask for it; what is said of style and ground is said as for single subjects. `words` have
    STYLE_PLACE where a style may be named."""
    found: list[str] = []
    for _ in range(3):
        named = 0 <= style < len(STYLES) and rng.random() < STYLE_NAMED[style]
        said = words.replace(STYLE_PLACE, f"{STYLES[style]} " if named else "")
        if words.startswith(STYLE_PLACE) and rng.random() < 0.5:
            said = with_article(said)
        if named and STYLE_PLACE not in words:
            said = f"{said}, {STYLES[style]}"
        if colour != WHITE or rng.random() < 0.25:
            names = colour_names(colour)
            ground = names[0] if rng.random() < 0.6 else names[int(rng.integers(len(names)))]
            said = f"{said}, {ground} background"
        found.append(said)
    return found


def laid_out(images: ImageSet, things: Sequence[Thing], places: Sequence[Place], ground: Sequence[int]) -> Tensor:
    """The image (H, W, 4) uint8: each thing in its place, over the ground."""
    from torch.nn.functional import interpolate

    height, width = images.pixels.shape[1:3]
    canvas = _empty(height, width, ground)
    for thing, (right, down, part) in zip(things, places, strict=True):
        tall, wide = max(1, round(height * part)), max(1, round(width * part))
        rgba = interpolate(_weighed(images, thing), (tall, wide), mode="bilinear", antialias=True)[0].clamp(0, 1)
        top = min(max(round(down * height - tall / 2), 0), height - tall)
        left = min(max(round(right * width - wide / 2), 0), width - wide)
        lay(canvas, rgba, top, left)
    return _opaque(canvas)


def side_by_side(images: ImageSet, things: Sequence[Thing], rank: Rank, ground: Sequence[int]) -> Tensor:
    """The image (h, w, 4) uint8, as large as it has to be: each thing as large as it is, over the ground."""
    height, width = images.pixels.shape[1:3]
    corners = [(round(down * height), round(right * width)) for right, down in CORNERS[rank]]
    canvas = _empty(height + max(top for top, _ in corners), width + max(left for _, left in corners), ground)
    for thing, (top, left) in zip(things, corners, strict=True):
        lay(canvas, _weighed(images, thing)[0], top, left)
    return _opaque(canvas)


def _empty(height: int, width: int, ground: Sequence[int]) -> Tensor:
    import torch

    return (torch.tensor(ground, dtype=torch.float32) / 255)[:, None, None].repeat(1, height, width)


def _weighed(images: ImageSet, thing: Thing) -> Tensor:
    """(1, 4, H, W) in 0..1: a thing in its paint, colours weighed by alpha."""
    pixels = images.pixels[thing.image]
    return weighed((painted(pixels, thing.paint) if thing.paint else pixels)[None])


def _opaque(canvas: Tensor) -> Tensor:
    """A canvas (3, H, W) in 0..1 as (H, W, 4) uint8."""
    import torch

    made = torch.cat([canvas.clamp(0, 1), torch.ones_like(canvas[:1])])
    return (made * 255).round().to(torch.uint8).movedim(0, -1).contiguous()
