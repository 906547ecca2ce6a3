"""How figures look: what chance chooses."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Garment = Literal["upper_body", "lower_body", "dress"]

_SKIN = ("#ffe0c7", "#f6c9a5", "#e8b088", "#cf9265", "#b0744a", "#8a5636", "#643c28")
_HAIR = ("#2b2226", "#46302a", "#6e4630", "#a0683a", "#d9a653", "#b8512f", "#8d8d96", "#3a2a4d")
_CLOTH = (
    "#e4574f",
    "#f2994a",
    "#f4c650",
    "#5fb57a",
    "#3f9c9c",
    "#4a8fd6",
    "#5668c4",
    "#9a6bc0",
    "#e07aa4",
    "#f4f1ea",
    "#c8ccd6",
)
_BELOW = ("#3d4f78", "#56657f", "#4b4a52", "#7a5d48", "#c2a679", "#5f7d6a", "#8a93a6")
_SHOES = ("#f7f7f7", "#43434e", "#b5523f", "#e9c46a", "#5a7fb0")
_WALL = ("#dfeaf5", "#f7e6dc", "#e6f1e1", "#f3e3ef", "#fdf3d6", "#e3e5f6", "#dff1f0")
_HAIRCUTS = ("short", "bob", "long", "bun", "curls", "ponytail")
_ARMS = ("down", "down", "hip", "wave")


@dataclass(frozen=True)
class Look:
    """How a figure looks: what chance chose."""

    skin: str
    hair: str
    haircut: str
    cloth: str
    below: str
    legs: str
    shoes: str
    wall: str
    sleeves: str
    neck: str
    arms: tuple[str, str]
    broad: float
    glasses: bool


def looked(seed: int, garment: Garment) -> Look:
    """What a seed looks like. All but the garment is the same for all three."""
    source = random.Random(seed)

    def one(of: Sequence[str]) -> str:
        return of[int(source.random() * len(of))]

    cloth = one(_CLOTH)
    legs = one(("trousers", "trousers", "shorts", "skirt"))
    skin, wall = one(_SKIN), one(_WALL)
    left, right = one(_ARMS), one(_ARMS)
    return Look(
        skin=skin,
        hair=one(_HAIR),
        haircut=one(_HAIRCUTS),
        cloth=cloth,
        below=one(_BELOW),
        legs="dress" if garment == "dress" else legs,
        shoes=one(_SHOES),
        wall=wall,
        sleeves=one(("short", "short", "long")),
        neck=one(("round", "wide", "v")),
        arms=(left, "down" if left == right == "wave" else right),
        broad=0.94 + 0.14 * source.random(),
        glasses=source.random() < 0.22,
    )
