"""Draw the ten images that the workflow `train/lora.json` learns from: a made-up creature in ten poses.

    python -m training.mascot [--target DIR]

By default they go into `workflows/input/mascot`, where they are shipped. Drawn at four times their size, so that edges
are smooth; nothing is random.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from PIL import Image, ImageDraw

SIDE, FINE = 128, 4
SKIN, DARK, BELLY, HORN = "#7b3fa8", "#4b2270", "#f3d250", "#ff8a3c"
# Background, place and size of the body, how far it leans, where the eye looks, and how high the arms are raised.
POSES = (
    ("#ffffff", 64, 70, 34, 0, 0.0, 0.0, 40, 40),
    ("#f5d76e", 60, 72, 36, 8, 0.5, 0.2, -40, 50),
    ("#9fd3f5", 68, 68, 30, -10, -0.6, 0.3, 60, 60),
    ("#ffffff", 64, 74, 38, 0, 0.0, -0.5, -30, -30),
    ("#a8e6a1", 56, 66, 32, 14, 0.7, 0.0, 70, -20),
    ("#f7b5c9", 72, 70, 33, -14, -0.7, 0.2, -20, 70),
    ("#222230", 64, 68, 35, 5, 0.3, 0.5, 20, 60),
    ("#e05a4a", 62, 74, 31, -6, -0.3, -0.4, 60, 20),
    ("#2f6fd6", 66, 66, 36, 10, 0.6, 0.4, 0, 0),
    ("#cfcfd4", 64, 70, 28, 0, 0.0, 0.6, 75, 75),
)


def draw(
    ground: str, x: float, y: float, size: float, lean: float, look: float, up: float, left: float, right: float
) -> Image.Image:
    """One pose: a round violet creature with one large eye, an orange horn, a yellow belly and spots."""
    side = SIDE * FINE
    body = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(body)
    x, y, size = x * FINE, y * FINE, size * FINE

    def oval(cx: float, cy: float, w: float, h: float, colour: str) -> None:
        pen.ellipse((cx - w, cy - h, cx + w, cy + h), fill=colour)

    for way, lift in ((-1, left), (1, right)):
        angle = math.radians(lift)
        tip = x + way * size * (0.75 + 0.75 * math.cos(angle)), y - size * 0.9 * math.sin(angle)
        pen.line(((x + way * size * 0.7, y), tip), fill=DARK, width=round(size * 0.2))
        oval(*tip, size * 0.17, size * 0.17, HORN)
        oval(x + way * size * 0.4, y + size * 1.02, size * 0.3, size * 0.17, DARK)
    pen.polygon(
        ((x - size * 0.26, y - size * 0.85), (x + size * 0.26, y - size * 0.85), (x, y - size * 1.55)), fill=HORN
    )
    oval(x, y, size, size, SKIN)
    oval(x, y + size * 0.45, size * 0.55, size * 0.48, BELLY)
    for dx, dy, r in ((-0.72, 0.1, 0.09), (0.74, 0.02, 0.1), (-0.6, 0.38, 0.07), (0.66, 0.34, 0.08)):
        oval(x + dx * size, y + dy * size, r * size, r * size, DARK)
    oval(x, y - size * 0.3, size * 0.46, size * 0.46, "#ffffff")
    oval(x + look * size * 0.22, y - size * (0.3 + 0.18 * up), size * 0.22, size * 0.22, "#1b7f5c")
    oval(x + look * size * 0.24, y - size * (0.3 + 0.2 * up), size * 0.11, size * 0.11, "#101018")
    mouth = (x - size * 0.3, y + size * 0.1, x + size * 0.3, y + size * 0.5)
    pen.arc(mouth, 20, 160, fill="#301040", width=round(size * 0.07))
    whole = Image.new("RGBA", (side, side), ground)
    whole.alpha_composite(body.rotate(lean, Image.Resampling.BICUBIC, center=(x, y)))
    return whole.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    own = Path(__file__).parents[1] / "workflows" / "input" / "mascot"
    parser.add_argument("--target", type=Path, default=own)
    target: Path = parser.parse_args().target
    target.mkdir(parents=True, exist_ok=True)
    for number, pose in enumerate(POSES, 1):
        draw(*pose).save(target / f"mascot_{number:02d}.png", optimize=True)


if __name__ == "__main__":
    main()
