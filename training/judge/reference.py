"""Judge an IP-Adapter: how much its images take after the image that they were given.

    python -m training.judge.reference --adapter FOLDER [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

References are images that it has not seen (`training.judge.held`), of subjects without names of everyday speech: those
that have one the starter draws by heart. Each is drawn from the same noise three times: from its prompt alone, from the
image alone, and from both. Likeness is the cosine between the image encoder's summaries of
the reference and of what was drawn, and, since the adapter was trained with that encoder, the mean difference of
colours (ΔE, CIE76) on a grid of 16 x 16, which it was not. A full run adds a line to the history.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.export import SHIPPED
from training.fetch import default_target

from . import report
from .control import FIRST_SEED, draw
from .features import GRID, delta_e, shrink
from .gallery import Tower
from .held import COUNT, held
from .painter import Painter, Settings

HEAD = "| date | likeness by CLIP: text, image, both | ΔE: text, image, both | what |\n"


def alike(tower: Tower, images: NDArray[np.float32], references: NDArray[np.float32]) -> float:
    """Mean cosine between the summaries of images and of their references (N, H, W, 3)."""
    one, other = (found / np.linalg.norm(found, axis=1, keepdims=True) for found in map(tower, (images, references)))
    return float((one * other).sum(1).mean())


def apart(images: NDArray[np.float32], references: NDArray[np.float32]) -> float:
    """Mean ΔE between images and their references on a coarse grid."""
    return float(delta_e(shrink(images, GRID), shrink(references, GRID)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--tower", type=Path, help="a CLIP image encoder, instead of the model's image_encoder")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument("--scale", type=float, default=0.6, help="of the adapter beside the text")
    parser.add_argument("--sheet", type=Path, help="write reference, text, image and both below each other as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    given = held(args.cache, args.images, rare=True)
    texts, references = [one.text for one in given], np.stack([one.image for one in given])
    with Painter(args.model, adapter=args.adapter) as painter:
        whole = Settings(guidance=args.guidance)
        both = Settings(guidance=args.guidance, scale=args.scale)
        made = [
            painter.series(texts, FIRST_SEED, whole),
            painter.series([""] * len(texts), FIRST_SEED, whole, references=references),
            painter.series(texts, FIRST_SEED, both, references=references),
        ]
    tower = Tower(args.tower or args.model / "image_encoder")
    near = ", ".join(f"{alike(tower, images, references):.3f}" for images in made)
    far = ", ".join(f"{apart(images, references):.1f}" for images in made)
    print(f"{len(given)} references, from text, image and both: likeness by CLIP {near}; colours are {far} apart")
    if args.sheet:
        draw([references, *made], args.sheet)
    if args.images >= COUNT:
        row = f"| {time.strftime('%Y-%m-%d %H:%M')} | {near} | {far} | {args.note.replace('|', '/')} |\n"
        report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
