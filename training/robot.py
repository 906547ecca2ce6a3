"""Draw the ten images that the workflow `train/subject.json` learns from: one certain robot, which the model never saw.

    python -m training.robot [--target DIR]

By default they go into `workflows/input/robot`, where they are shipped, with a `metadata.jsonl` of their captions. The
judge draws others of the same robot, to compare with. Drawn at four times their size, so that edges are smooth.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from safelight_nodes._training.captions import COLOURS, PALETTE

SIDE, FINE = 128, 4
WORD, CLASS = "zwx", "robot"
BODY, SHADE, DARK, BRIGHT, BULB = "#17a398", "#0c6b66", "#23303a", "#ffb31a", "#e8368f"
GROUNDS = ("white", "white", "white", "light blue", "yellow", "pink", "dark blue", "brown", "light green", "grey")
"""Of the ten images, in their order."""
FIRST_SEED = 1


@dataclass(frozen=True)
class Pose:
    """How it stands: its middle and half its height in pixels, its lean in degrees, where the eye looks (-1..1), how
    high each arm is raised in degrees, and how far the antenna bends (-1..1)."""

    x: float
    y: float
    size: float
    lean: float
    look: tuple[float, float]
    arms: tuple[float, float]
    bend: float

    @classmethod
    def drawn(cls, seed: int) -> Pose:
        """One by chance; the same for the same seed."""
        rng = np.random.default_rng(seed)
        x, y, size, lean = (float(rng.uniform(*r)) for r in ((59, 69), (69, 75), (36, 43), (-12, 12)))
        look = float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1))
        arms = float(rng.uniform(-50, 70)), float(rng.uniform(-50, 70))
        return cls(x, y, size, lean, look, arms, float(rng.uniform(-1, 1)))


def caption(ground: str, subject: str = f"{WORD} {CLASS}") -> str:
    """What an image over a ground is called; white is what no word says."""
    return subject if ground == "white" else f"{subject}, {ground} background"


def colour(ground: str) -> tuple[int, int, int]:
    """Of a ground's name, 0..255."""
    return list(PALETTE.values())[COLOURS.index(ground)]


def draw(pose: Pose, ground: str) -> Image.Image:
    """The robot in a pose over a ground: a round teal body, one large yellow eye, a pink bulb on its antenna, two
    wheels."""
    side = SIDE * FINE
    body = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(body)
    x, y, size = pose.x * FINE, pose.y * FINE, pose.size * FINE

    def oval(cx: float, cy: float, w: float, h: float, fill: str) -> None:
        pen.ellipse((x + (cx - w) * size, y + (cy - h) * size, x + (cx + w) * size, y + (cy + h) * size), fill=fill)

    def bar(left: float, top: float, right: float, bottom: float, round_: float, fill: str) -> None:
        box = (x + left * size, y + top * size, x + right * size, y + bottom * size)
        pen.rounded_rectangle(box, round_ * size, fill=fill)

    for way, lift in zip((-1, 1), pose.arms, strict=True):
        angle = math.radians(lift)
        tip = way * (0.82 + 0.42 * math.cos(angle)), 0.15 - 0.42 * math.sin(angle)
        ends = (x + way * 0.8 * size, y + 0.15 * size), (x + tip[0] * size, y + tip[1] * size)
        pen.line(ends, fill=DARK, width=round(size * 0.24))
        oval(*tip, 0.22, 0.22, BRIGHT)
    top = 0.16 * pose.bend
    pen.line(((x, y - 0.7 * size), (x + top * size, y - 1.2 * size)), fill=DARK, width=round(size * 0.18))
    oval(top, -1.25, 0.25, 0.25, BULB)
    for way in (-1, 1):
        oval(way * 0.5, 0.92, 0.34, 0.34, DARK)
        oval(way * 0.5, 0.98, 0.15, 0.15, BULB)
    bar(-0.85, -0.85, 0.85, 0.85, 0.5, BODY)
    bar(-0.55, 0.36, 0.55, 0.66, 0.15, SHADE)
    for place in (-0.3, 0.0, 0.3):
        oval(place, 0.51, 0.1, 0.1, BRIGHT)
    oval(0, -0.2, 0.56, 0.56, DARK)
    oval(0, -0.2, 0.44, 0.44, BRIGHT)
    right, down = pose.look
    oval(0.15 * right, -0.2 + 0.15 * down, 0.2, 0.2, DARK)
    oval(0.15 * right - 0.07, -0.27 + 0.15 * down, 0.07, 0.07, "#ffffff")
    whole = Image.new("RGBA", (side, side), colour(ground))
    whole.alpha_composite(body.rotate(pose.lean, Image.Resampling.BICUBIC, center=(x, y)))
    return whole.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    own = Path(__file__).parents[1] / "workflows" / "input" / CLASS
    parser.add_argument("--target", type=Path, default=own)
    target: Path = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for number, ground in enumerate(GROUNDS):
        name = f"{CLASS}_{number + 1:02d}.png"
        draw(Pose.drawn(FIRST_SEED + number), ground).save(target / name, optimize=True)
        lines.append(json.dumps({"file_name": name, "text": caption(ground)}) + "\n")
    (target / "metadata.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
