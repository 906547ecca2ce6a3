"""Judge a ControlNet: how well its images follow the control image.

    python -m training.judge.control --controlnet FOLDER [--condition edges] [--model FOLDER] [--cache DIR]
        [--sheet FILE] [--note "..."]

Control images are of images that it has not seen (`training.judge.held`), as they are and moved about. *Edges*: the
score is F1 of edge pixels by image.canny: the mean of precision and recall, harmonic, where an edge counts as found if
there is one at most a pixel away. *Shape*: what stands out of the plain ground, and the white of the control image: the
part that both have of what either has (IoU). Each is told beside that of the same noise without the ControlNet, and
that of the autoencoder's own version of the image, which no denoiser can pass by much. A full run adds a line to the
history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.export import SHIPPED
from training.fetch import default_target

from . import report
from .features import standing_out
from .held import COUNT, Held, held
from .painter import BATCH, Painter, Settings

FIRST_SEED = 1000
Condition = Literal["edges", "shape"]
HEAD = "| date | control image | without | with | autoencoder | what |\n"


def edges(images: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N, H, W, 3): white lines on black of images (H, W, 3) in 0..1, by image.canny with its own thresholds."""
    import torch

    from safelight.sdk import Image
    from safelight_nodes.image.detail import canny

    return canny(Image(torch.from_numpy(np.stack(images)))).pixels.numpy()


def likeness(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """F1 of two edge images (H, W, 3), with a pixel of tolerance; 1 where neither has any."""
    import cv2

    one, other = (image[..., 0] > 0.5 for image in (found, wanted))
    if not one.any() or not other.any():
        return float(one.any() == other.any())
    near = [cv2.dilate(lines.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for lines in (one, other)]
    precision, recall = near[1][one].mean(), near[0][other].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def mean_likeness(images: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Mean F1 of the edges of images (N, H, W, 3) in 0..1 and edge images."""
    return float(np.mean([likeness(one, other) for one, other in zip(edges(list(images)), wanted, strict=True)]))


def mean_overlap(images: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Mean IoU of what stands out of images (N, H, W, 3) in 0..1, and of what is white in others."""
    shares: list[float] = []
    for image, white in zip(images, wanted[..., 0] > 0.5, strict=True):
        found = standing_out(image)
        shares.append(float((found & white).sum() / max((found | white).sum(), 1)))
    return float(np.mean(shares))


def judged(
    painter: Painter,
    given: Sequence[Held],
    moved: bool,
    settings: Settings,
    sheet: Path | None = None,
    condition: Condition = "edges",
) -> list[float]:
    """The score without and with the ControlNet, and that of the autoencoder."""
    images = np.stack([one.moved if moved else one.image for one in given])
    if condition == "edges":
        hints, score = edges(list(images)), mean_likeness
    else:
        opaque = np.stack([one.opacities[int(moved)] for one in given]).astype(np.float32)
        hints, score = np.repeat(opaque[..., None], 3, axis=-1), mean_overlap
    texts = [one.text for one in given]
    made = [painter.series(texts, FIRST_SEED, settings, guide) for guide in (None, hints)]
    kept = np.concatenate([painter.reconstruct(images[at : at + BATCH]) for at in range(0, len(images), BATCH)])
    if sheet:
        draw([images, hints, *made], sheet.with_stem(f"{sheet.stem}-moved") if moved else sheet)
    return [score(found, hints) for found in (*made, kept)]


def draw(rows: Sequence[NDArray[np.float32]], path: Path, columns: int = 10) -> None:
    """A sheet: images of each row below each other, in so many columns."""
    from PIL import Image

    (height, width), bands = rows[0].shape[1:3], -(-len(rows[0]) // columns)
    sheet = Image.new("RGB", (columns * (width + 4), bands * (len(rows) * (height + 2) + 10)), "white")
    for row, images in enumerate(rows):
        for place, image in enumerate(images):
            y = place // columns * (len(rows) * (height + 2) + 10) + row * (height + 2)
            sheet.paste(Image.fromarray(np.round(image * 255).astype(np.uint8)), (place % columns * (width + 4), y))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controlnet", type=Path, help="its folder; without it, the starter's for the condition")
    parser.add_argument("--condition", choices=("edges", "shape"), default="edges")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument("--strength", type=float, default=Settings.strength, help="of the ControlNet")
    parser.add_argument("--sheet", type=Path, help="write image, edges, without and with below each other as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    given = held(args.cache, args.images)
    settings = Settings(guidance=args.guidance, strength=args.strength)
    controlnet = args.controlnet or SHIPPED / f"controlnet_{args.condition}"
    name = {"edges": "edge F1", "shape": "shape IoU"}[args.condition]
    with Painter(args.model, controlnet=controlnet) as painter:
        for moved in (False, True):
            without, guided, kept = judged(painter, given, moved, settings, args.sheet, args.condition)
            said = "moved about" if moved else "as it is"
            print(f"{len(given)} images {said}: {name} without {without:.3f}, with {guided:.3f}, VAE {kept:.3f}")
            if args.images >= COUNT:
                date = time.strftime("%Y-%m-%d %H:%M")
                shares = f"{without:.3f} | {guided:.3f} | {kept:.3f}"
                strong = "" if args.strength == 1 else f" at {args.strength:g}"
                row = f"| {date} | {args.condition}{strong}, {said} | {shares} | {args.note.replace('|', '/')} |\n"
                report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
