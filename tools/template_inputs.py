"""Draws the images that shipped workflows begin with, by the starter model: `python tools/template_inputs.py`.

What they show is derived from the artwork that the model learned; its card names that, and the licences.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from safelight.app import Studio
from safelight.places import shipped_workflows

DRAWN: dict[str, tuple[str, int]] = {
    "rocket": ("3d rocket, dark blue background", 1),
    "owl": ("drawn owl, lavender background", 1),
    "house": ("3d house, light blue background", 1),
    "car": ("a red car", 2),
    "cake": ("3d birthday cake, lavender background", 1),
    "robot": ("3d robot, light blue background", 1),
    "donut": ("flat donut, pink background", 1),
    "butterfly": ("3d butterfly, light green background", 1),
    "flower": ("3d yellow flower, pink background", 1),
    "face": ("3d smiling face, light blue background", 1),
    "fox": ("3d fox, teal background", 1),
}
"""The name of the file, what it shows, and the seed."""

FOUR = ("rocket", "owl", "donut", "fox")
MASKS = {"face_mask": (128, (14, 26, 114, 76)), "four_mask": (256, (6, 134, 122, 250))}
"""The side of a mask, and the ellipse in it that is white: the eyes of the face, and the donut among the four."""
SOFT = 3
FRAMES, FPS = 14, 12.0


def main(names: list[str]) -> None:
    folder = shipped_workflows() / "input"
    with tempfile.TemporaryDirectory() as home:
        studio = Studio.open(Path(home))
        drawing = studio.read("text_to_image")
        for name in names or DRAWN:
            prompt, seed = DRAWN[name]
            outcome = studio.run(drawing.with_inputs({"prompt": prompt, "seed": seed}), output=Path(home) / "drawn")
            save(Path(outcome.outputs["image"][0]["path"]), folder / f"{name}.png")
            sys.stdout.write(f"{name}: {(folder / f'{name}.png').stat().st_size / 1000:.0f} kB\n")
        put_together(studio, folder)


def put_together(studio: Studio, folder: Path) -> None:
    """What is made of the drawn images: four in one, masks, and a film of the rocket as it rises; and a sketch."""
    import numpy
    import torch
    from PIL import Image, ImageDraw, ImageFilter

    from safelight.sdk.values import Video

    four = Image.new("RGB", (256, 256))
    for number, name in enumerate(FOUR):
        four.paste(Image.open(folder / f"{name}.png"), (number % 2 * 128, number // 2 * 128))
    four.save(folder / "four.png", optimize=True)
    for name, (side, ellipse) in MASKS.items():
        mask = Image.new("L", (side, side))
        ImageDraw.Draw(mask).ellipse(ellipse, fill=255)
        mask.filter(ImageFilter.GaussianBlur(SOFT)).save(folder / f"{name}.png", optimize=True)
    sketch().save(folder / "sketch.png", optimize=True)
    rocket = Image.open(folder / "rocket.png").convert("RGB")
    frames = []
    for number in range(FRAMES):
        away = round(96 * (number / (FRAMES - 1) - 0.5))
        frame = Image.new("RGB", rocket.size, rocket.getpixel((2, 2)))
        frame.paste(rocket, (away, -away))
        frames.append(numpy.asarray(frame))
    (file,) = studio.media.encode(Video(torch.from_numpy(numpy.stack(frames)), fps=FPS), "mp4")
    (folder / "rocket.mp4").write_bytes(file.data)


def sketch() -> Any:
    """A mushroom that leans to the right, in thin black lines on white: three strokes and three spots."""
    from PIL import Image, ImageDraw

    large = 8
    paper = Image.new("L", (128 * large, 128 * large), 255)
    pen = ImageDraw.Draw(paper)

    def stroke(points: list[tuple[float, float]]) -> None:
        """A curve through points, by Catmull and Rom."""
        padded = [points[0], *points, points[-1]]
        drawn: list[tuple[float, float]] = []
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
            for step in range(21):
                t = step / 20
                x, y = (
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
                drawn.append((x * large, y * large))
        pen.line(drawn, fill=0, width=round(1.4 * large), joint="curve")

    stroke([(24, 74), (26, 50), (46, 28), (74, 24), (98, 38), (108, 62), (86, 68), (54, 74), (24, 74)])
    stroke([(50, 75), (52, 92), (44, 110), (58, 116), (80, 112), (76, 92), (78, 70)])
    for x, y, width, height in ((46, 50, 9, 8), (72, 40, 10, 7), (88, 56, 7, 6)):
        around = [(0.0, -1.0), (0.7, -0.7), (1.0, 0.0), (0.7, 0.7), (0.0, 1.0), (-0.7, 0.7), (-1.0, 0.0), (-0.7, -0.7)]
        stroke([(x + width * a, y + height * b) for a, b in [*around, around[0]]])
    return paper.resize((128, 128), Image.Resampling.BOX)


def save(drawn: Path, target: Path) -> None:
    """Without the workflow inside: what is opened from a loader is the image alone."""
    from PIL import Image

    with Image.open(drawn) as image:
        image.convert("RGB").save(target, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
