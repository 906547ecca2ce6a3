"""Images that trainings of guides (ControlNets, IP-Adapters) did not see, to judge them by.

They are those of the subjects that the workflows hold back. The denoiser knows them by heart, in the middle of the
image: so each is moved, scaled, turned and perhaps mirrored as well, which no prompt can ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.augment import augmented
from safelight_nodes._training.captions import COLOURS, STYLES
from safelight_nodes._training.images import composited, opened, parted
from training.judge.gallery import GROUNDS
from training.judge.prompts import Asked, every, frequent

SHARE, SEED = 0.1, 0
"""Of dataset.split in the workflows."""
COUNT = 60
_MOVES = {"flip": 0.5, "shift": 0.12, "scale": 0.25, "turn": 15.0, "seed": 77}


@dataclass(frozen=True)
class Held:
    """An image (H, W, 3) in 0..1 and the prompt that names all of it, `text` or as `asked`; `moved` is the same, moved
    about. `opacities` (H, W) of either, 0..1, say where something is in it."""

    text: str
    image: NDArray[np.float32]
    moved: NDArray[np.float32]
    opacities: tuple[NDArray[np.float32], NDArray[np.float32]]
    asked: Asked


def held(
    cache: Path, count: int = COUNT, rare: bool = False, colours: Sequence[int] = range(len(COLOURS))
) -> list[Held]:
    """Up to `count` of them, in every style there is: first all with names of everyday speech, or with `rare` only
    those without, evenly spread, which the denoiser was seldom shown and hardly draws from their names. Each lies on
    one of the palette's `colours`."""
    images = opened(cache / "images.json", cache / "images.npy")
    kept = parted(images, SHARE, SEED)[1]
    everyday, others = frequent(kept.subjects), every(kept.subjects)
    # People, letters and hands are what the starter hardly knows.
    others = {key: name for key, name in others.items() if kept.subjects[key]["group"] != "People & Body"}
    order = [*([] if rare else everyday), *(key for key in others if key not in everyday)]
    places = {key: place for place, key in enumerate(order)}
    numbers = [number for number, entry in enumerate(kept.entries) if entry["subject"] in places]
    numbers = sorted(numbers, key=lambda number: places[kept.entries[number]["subject"]])
    if rare and len(numbers) > count:
        numbers = [numbers[at] for at in np.linspace(0, len(numbers) - 1, count).round().astype(int)]
    numbers = numbers[:count]
    quiet: Any = SimpleNamespace(check_cancelled=lambda: None, progress=lambda *_: None)
    moved = augmented(kept, copies=1, ctx=quiet, **_MOVES).pixels[len(kept.entries) :]
    rng = np.random.default_rng(SEED)
    found: list[Held] = []
    for number in numbers:
        entry = kept.entries[number]
        key = entry["subject"]
        name = everyday.get(key) or others[key]
        colour = colours[int(rng.integers(len(colours)))]
        text = f"{STYLES[entry['style']]} {name}, {COLOURS[colour]} background"
        both = [composited(pixels[number : number + 1], [GROUNDS[colour]]) for pixels in (kept.pixels, moved)]
        first, second = ((image[0].movedim(0, -1) / 2 + 0.5).contiguous().numpy() for image in both)
        right = frozenset(bearer for bearer, said in images.subjects.items() if name in said["names"])
        asked = Asked(text, name, entry["style"], colour, right)
        opaque, then = ((pixels[number, ..., 3].float() / 255).numpy() for pixels in (kept.pixels, moved))
        found.append(Held(text, first, second, (opaque, then), asked))
    return found
