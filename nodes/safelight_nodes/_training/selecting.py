"""Parts of image sets: by what they show, by style, and split in two by subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError
from safelight_nodes._pixels import rgb_of
from safelight_nodes.training_values import ImageSet

from .images import composited, some_of

if TYPE_CHECKING:
    from torch import Tensor

_AT_ONCE = 256


@dataclass(frozen=True)
class Wanted:
    """Which images. `words` and `without` have commas between; `style` counts from 1, 0 is any; `color` (`#rrggbb`) is
    what transparent parts are laid on, empty for none; `held_out` (0..1) is the part of the subjects that is kept from
    training, and `testing` says that it is the one wanted."""

    words: str = ""
    without: str = ""
    style: int = 0
    color: str = ""
    held_out: float = 0.0
    testing: bool = False


def selected(images: ImageSet, wanted: Wanted) -> ImageSet:
    """The images that are wanted, drawn as often among each other as before.

    Raises:
        ProblemError: `nothing_selected`, when there is none.
    """
    found = [place for place, entry in enumerate(images.entries) if _fits(images, entry, wanted)]
    if not found:
        raise ProblemError(
            Problem(
                code="nothing_selected",
                message=f"None of the {len(images.entries)} images of the set is selected.",
                hint="Ask for other words, another style, or another part.",
                port="words",
                value=wanted.words,
            )
        )
    made = some_of(images, found)
    return replace(made, pixels=_laid(made.pixels, wanted.color)) if wanted.color else made


def _fits(images: ImageSet, entry: dict[str, Any], wanted: Wanted) -> bool:
    subject = images.subjects[entry["subject"]]
    said = [*subject["names"], *subject.get("keywords", []), subject.get("group", "")]
    if wanted.style and entry["style"] != wanted.style - 1:
        return False
    if wanted.words.strip() and not _says(said, wanted.words):
        return False
    if _says(said, wanted.without):
        return False
    return not wanted.held_out or (_place(subject["names"][0]) < wanted.held_out) == wanted.testing


def _says(said: list[str], words: str) -> bool:
    """Whether one of the words is in one of the texts; `cat` is not in `education`."""
    texts = [f" {_plain(text)} " for text in said]
    return any(f" {word} " in text for word in map(_plain, words.split(",")) if word for text in texts)


def _plain(text: str) -> str:
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.casefold()).split())


def _place(name: str) -> float:
    """Where a subject stands between 0 and 1: always the same, and near no other of like name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _laid(pixels: Tensor, color: str) -> Tensor:
    """Images (N, H, W, 4) uint8 on a colour, with nothing transparent."""
    import torch

    ground = rgb_of(color)
    made = torch.full_like(pixels, 255)
    for start in range(0, len(pixels), _AT_ONCE):
        part = pixels[start : start + _AT_ONCE]
        laid = composited(part, [ground] * len(part)) / 2 + 0.5
        made[start : start + _AT_ONCE, ..., :3] = (laid * 255).round().to(torch.uint8).movedim(1, -1)
    return made
