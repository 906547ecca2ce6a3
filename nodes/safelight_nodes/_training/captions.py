"""The caption language: style, subject and background as a person would type them, drawn at random.

A prompt that names no background means a white one; a prompt that names no style is mostly a 3d image.
Everything is a pure function of the random generator it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

STYLES = ("3d", "flat", "drawn")
"""Index = style number: Fluent 3D, Fluent flat, Noto."""

# How often a caption says its style. The one that is rarely said becomes what an unmarked prompt means.
STYLE_NAMED = (0.45, 0.85, 0.85)

STYLE_WORDS: tuple[tuple[str, ...], ...] = (
    ("3d", "3d", "3d", "glossy 3d", "3d render of", "3d icon of"),
    ("flat", "flat", "flat", "flat icon of", "vector", "flat design"),
    ("drawn", "drawn", "drawn", "drawing of", "cartoon", "hand drawn"),
)

# Name -> red, green, blue in 0..255. The first of the synonyms is the canonical name.
PALETTE: dict[tuple[str, ...], tuple[int, int, int]] = {
    ("white",): (252, 252, 252),
    ("black",): (18, 18, 20),
    ("grey", "gray"): (130, 130, 132),
    ("light grey", "light gray"): (205, 205, 208),
    ("red",): (220, 40, 40),
    ("dark red", "maroon"): (122, 20, 35),
    ("orange",): (245, 140, 30),
    ("yellow",): (250, 215, 50),
    ("gold", "golden"): (212, 165, 40),
    ("beige", "cream"): (240, 225, 190),
    ("brown",): (130, 85, 50),
    ("green",): (55, 165, 70),
    ("light green", "mint"): (160, 228, 160),
    ("dark green",): (18, 80, 45),
    ("teal", "turquoise"): (20, 150, 145),
    ("cyan", "aqua"): (70, 212, 232),
    ("light blue", "sky blue"): (150, 205, 245),
    ("blue",): (45, 100, 220),
    ("dark blue", "navy", "navy blue"): (22, 34, 95),
    ("purple", "violet"): (125, 55, 178),
    ("lavender", "light purple"): (200, 180, 240),
    ("pink",): (250, 150, 190),
    ("magenta", "hot pink"): (218, 40, 150),
}
COLOURS = tuple(names[0] for names in PALETTE)

_PLURAL = re.compile(r"(s|jeans|glasses|dice)$")


def colour_names(colour: int) -> tuple[str, ...]:
    return list(PALETTE)[colour]


def draw_colour(rng: np.random.Generator, colour: int | None = None) -> tuple[int, tuple[int, int, int]]:
    """A palette number and its colour moved a little (at most 7 of 255 a channel; white stays light)."""
    if colour is None:
        colour = int(rng.integers(len(PALETTE)))
    base = np.array(list(PALETTE.values())[colour])
    moved = np.clip(base + rng.integers(-7, 8, 3), 0, 255) if colour else base + int(rng.integers(-2, 4))
    return colour, (int(moved[0]), int(moved[1]), int(moved[2]))


def nearest_colour(rgb: Sequence[int]) -> int:
    """The palette number whose colour is nearest to one of 0..255 a channel."""
    away = [sum((one - other) ** 2 for one, other in zip(rgb, colour, strict=True)) for colour in PALETTE.values()]
    return int(np.argmin(away))


def with_article(phrase: str) -> str:
    """ "an apple"; what is several, or has an article, gets none."""
    if not phrase or _PLURAL.search(phrase) or phrase.casefold().startswith(("a ", "an ", "the ")):
        return phrase
    return ("an " if phrase[0] in "aeiouAEIOU" else "a ") + phrase


def _article(phrase: str, rng: np.random.Generator) -> str:
    return phrase if rng.random() < 0.5 else with_article(phrase)


def caption(
    rng: np.random.Generator,
    subject: Mapping[str, Sequence[str]],
    style: int,
    colour: int,
    explicit: bool = False,
) -> str:
    """One way of asking for the image.

    ``subject`` holds ``names`` (official first) and ``keywords``; ``style`` and ``colour`` are numbers.
    With ``explicit`` the style and the background are both said. White is said one time in four. A negative style
    means an image with captions of its own: one of its names, as it stands.
    """
    names, keywords = subject["names"], subject["keywords"]
    if style < 0:
        return names[int(rng.integers(len(names)))]
    if keywords and rng.random() < 0.15:
        phrase = keywords[int(rng.integers(len(keywords)))]
    elif len(names) > 1 and rng.random() < 0.5:
        phrase = names[1 + int(rng.integers(len(names) - 1))]
    else:
        phrase = names[0]

    if explicit or rng.random() < STYLE_NAMED[style]:
        words = STYLE_WORDS[style]
        word = words[int(rng.integers(len(words)))]
        phrase = f"{word} {_article(phrase, rng)}" if word.endswith(" of") else f"{word} {phrase}"
        said_style = True
    else:
        said_style = False
    phrase = _article(phrase, rng)
    if not said_style and rng.random() < 0.1:
        phrase = ("picture of ", "an image of ", "icon of ", "emoji of ")[int(rng.integers(4))] + phrase

    if explicit or colour != 0 or rng.random() < 0.25:
        options = colour_names(colour)
        said = options[0] if rng.random() < 0.6 else options[int(rng.integers(len(options)))]
        article = "an " if said[0] in "aeiou" else "a "
        forms = (
            f"{phrase}, {said} background",
            f"{phrase}, {said} background",
            f"{phrase} on {said}",
            f"{phrase} on {article}{said} background",
            f"{phrase}, {said} backdrop",
            f"{phrase} {said} background",
        )
        phrase = forms[int(rng.integers(len(forms)))]
    if rng.random() < 0.1:
        phrase = phrase[0].upper() + phrase[1:]
    return phrase
