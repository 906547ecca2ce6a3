"""The images that generated ones are compared with: all of one style, over the background that was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.captions import PALETTE

from .features import Clear, Floats

GROUNDS = tuple(PALETTE.values())


def ground(colour: int) -> tuple[float, float, float]:
    """The colour of a palette number, 0..1."""
    red, green, blue = GROUNDS[colour]
    return red / 255, green / 255, blue / 255


def over(images: NDArray[np.uint8], colour: Floats) -> Floats:
    """RGBA images (N, H, W, 4) laid over a colour (0..1) or over one for each, (N, 1, 1, 3): (N, H, W, 3) in 0..1."""
    rgba = images.astype(np.float32) / 255
    alpha = rgba[..., 3:]
    return rgba[..., :3] * alpha + colour * (1 - alpha)


class Tower:
    """A CLIP image encoder from its folder, in bfloat16 autocast.

    `preprocessor_config.json` beside the weights gives mean and deviation; 0.5 without it.
    """

    def __init__(self, folder: Path) -> None:
        import json

        from transformers import CLIPVisionModelWithProjection

        self._model: Any = CLIPVisionModelWithProjection.from_pretrained(folder, dtype="float32").eval()
        file = folder / "preprocessor_config.json"
        said = json.loads(file.read_text()) if file.is_file() else {}
        self._mean = np.array(said.get("image_mean", (0.5,) * 3), np.float32)
        self._deviation = np.array(said.get("image_std", (0.5,) * 3), np.float32)
        weights = sorted(folder.glob("*.safetensors"))
        self.name = hashlib.sha256(b"".join(path.read_bytes() for path in weights)).hexdigest()[:16]

    def __call__(self, pixels: Floats) -> Floats:
        """(N, H, W, 3) in 0..1 to (N, channels). H and W must be the tower's own size."""
        import torch

        made: list[Floats] = []
        for start in range(0, len(pixels), 64):
            x = (pixels[start : start + 64] - self._mean) / self._deviation
            batch = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                made.append(self._model(pixel_values=batch).image_embeds.float().numpy())
        return np.concatenate(made)


class Gallery:
    """All images of each style. What a tower says of them is kept in `folder`: it takes minutes the first time."""

    def __init__(
        self, images: NDArray[np.uint8], index: Mapping[str, Any], folder: Path, tower: Tower | None = None
    ) -> None:
        self._images, self._folder, self._tower = images, folder, tower
        self._numbers: dict[int, list[int]] = {}
        for number, entry in enumerate(index["images"]):
            self._numbers.setdefault(entry["style"], []).append(number)
        self._subjects = [entry["subject"] for entry in index["images"]]
        self._clear: dict[int, Clear] = {}
        self._plain: dict[tuple[int, int], tuple[Floats, Floats]] = {}
        self._seen: dict[tuple[int, int], Floats] = {}

    def subjects(self, style: int) -> list[str]:
        """The subject of each image of a style, in the gallery's order."""
        return [self._subjects[number] for number in self._numbers[style]]

    def plain(self, style: int, colour: int) -> tuple[Floats, Floats]:
        """Plain features of all images of a style over a palette colour."""
        if style not in self._clear:
            self._clear[style] = Clear(self._images[self._numbers[style]])
        if (style, colour) not in self._plain:
            self._plain[style, colour] = self._clear[style].describe(ground(colour))
        return self._plain[style, colour]

    def seen(self, style: int, colour: int) -> Floats:
        """The tower's embeddings of all images of a style over a palette colour (N, channels)."""
        assert self._tower is not None
        if (style, colour) not in self._seen:
            content = hashlib.sha256(repr((self._numbers[style], self._images.shape)).encode()).hexdigest()[:8]
            path = self._folder / f"{self._tower.name}-{content}-{style}-{colour}.npy"
            if path.is_file():
                found = np.load(path).astype(np.float32)
            else:
                found = self._tower(over(self._images[self._numbers[style]], np.array(ground(colour), np.float32)))
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".partial")
                with partial.open("wb") as file:
                    np.save(file, found.astype(np.float16))
                partial.replace(path)
            self._seen[style, colour] = found
        return self._seen[style, colour]
