"""Which prompts the judge asks for: fixed, whatever the model, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.captions import COLOURS, STYLES
from training.everyday import EVERYDAY

COUNT = 200
_ORDER = 2026  # seeds the order of prompts; a new value starts a new history


@dataclass(frozen=True)
class Asked:
    """One prompt: `style` and `colour` are numbers, `right` the subjects (keys) that bear the prompt's name."""

    text: str
    name: str
    style: int
    colour: int
    right: frozenset[str]


def frequent(subjects: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Key -> name of the subjects that training draws most often.

    Those are the 134 with a name of everyday speech: they weigh 2 and more, all others at most 1.2. No flag, letter or
    sign is among them. The name is the everyday one, as a person would type it.
    """
    return {key: entry["names"][1] for key, entry in subjects.items() if entry["slug"] in EVERYDAY}


def every(subjects: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Key -> official name of all subjects but flags and symbols, to see what is known beyond the frequent ones."""
    return {k: v["names"][0] for k, v in subjects.items() if v["group"] not in ("Flags", "Symbols")}


def often(index: Mapping[str, Any]) -> NDArray[np.float64]:
    """The probability of each image (N,): as often as its subject weighs."""
    weights = np.array([index["subjects"][entry["subject"]]["weight"] for entry in index["images"]])
    return weights / weights.sum()


def prompts(
    subjects: Mapping[str, Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    count: int = COUNT,
) -> list[Asked]:
    """Up to `count` different prompts "<style> <name>, <colour> background", styles and colours evenly spread.

    A subject is asked for only in styles it has an image in. Fewer prompts are the first of more. An image shows the
    named subject when its subject bears that name, whichever of its names that is: "cat" is the cat and the cat's face.
    """
    bearers, pairs = _bearers(subjects), _pairs(images, names)
    rng = np.random.default_rng(_ORDER)
    by_style: list[list[str]] = []
    for style in range(len(STYLES)):
        own = sorted(name for s, name in pairs if s == style)
        by_style.append([own[place] for place in rng.permutation(len(own))])
    asked: list[Asked] = []
    colours: list[int] = []
    place = 0
    while len(asked) < count and place < len(STYLES) * max(len(own) for own in by_style):
        style, number = place % len(STYLES), place // len(STYLES)
        place += 1
        if number >= len(by_style[style]):
            continue
        if not colours:
            colours = rng.permutation(len(COLOURS)).tolist()
        asked.append(_asked(bearers, style, by_style[style][number], colours.pop()))
    return asked


def at_random(
    subjects: Mapping[str, Mapping[str, Any]],
    images: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
    count: int,
    seed: int,
) -> list[Asked]:
    """Up to `count` different subjects in a style, in the same form, each over a colour; all of it drawn at random."""
    bearers, pairs = _bearers(subjects), sorted(_pairs(images, names))
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(pairs), min(count, len(pairs)), replace=False)
    return [_asked(bearers, *pairs[at], int(rng.integers(len(COLOURS)))) for at in chosen]


def _asked(bearers: Mapping[str, set[str]], style: int, name: str, colour: int) -> Asked:
    text = f"{STYLES[style]} {name}, {COLOURS[colour]} background"
    return Asked(text, name, style, colour, frozenset(bearers[name]))


def _bearers(subjects: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    """Name -> subjects (keys) that bear it."""
    found: dict[str, set[str]] = {}
    for key, entry in subjects.items():
        for name in entry["names"]:
            found.setdefault(name, set()).add(key)
    return found


def _pairs(images: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> set[tuple[int, str]]:
    """Style and name of all images of these subjects (key -> name)."""
    return {(entry["style"], names[entry["subject"]]) for entry in images if entry["subject"] in names}
