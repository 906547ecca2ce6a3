"""A small set of images in the form of the prepared ones: discs and bars with names, clear around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("apple", "sky", "tree", "house", "cat", "dog")
SIDE = 64


def pixels(seed: int = 3, side: int = SIDE) -> np.ndarray:
    """(18, side, side, 4) uint8: each subject in three styles (disc, bar, ring), with a colour of its own."""
    rng = np.random.default_rng(seed)
    found = np.zeros((len(NAMES) * 3, side, side, 4), np.uint8)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    away = np.hypot(x, y)
    for number, image in enumerate(found):
        size = side * (0.25 + 0.02 * (number // 3))
        inside = (away < size, (abs(x) < size) & (abs(y) < size / 3), (away < size) & (away > size / 2))[number % 3]
        image[inside] = (*rng.integers(0, 256, 3), 255)
    return found


def index() -> dict[str, Any]:
    """Subjects and images as in `images.json`."""
    subjects = {
        str(number): {
            "slug": "cat" if name == "cat" else name,
            "group": "Animals & Nature",
            "names": [name],
            "keywords": [],
            "weight": 1.0 + (name == "cat"),
            "mirror": True,
            "common": name in ("house", "cat", "dog"),
        }
        for number, name in enumerate(NAMES)
    }
    images = [{"subject": str(number // 3), "style": number % 3} for number in range(len(NAMES) * 3)]
    return {"subjects": subjects, "images": images}


def write(folder: Path, side: int = SIDE) -> Path:
    """Writes the set as `emoji/images.json` and `emoji/images.npy` below an input folder."""
    target = folder / "emoji"
    target.mkdir(parents=True, exist_ok=True)
    np.save(target / "images.npy", pixels(side=side))
    (target / "images.json").write_text(json.dumps(index()))
    return folder


def image_set(side: int = SIDE) -> Any:
    """The set as a value."""
    import tempfile

    from safelight_nodes._training.images import opened

    with tempfile.TemporaryDirectory() as folder:
        target = write(Path(folder), side) / "emoji"
        return opened(target / "images.json", target / "images.npy")
