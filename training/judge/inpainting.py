"""Judge how holes are filled: whether the named subject is there, and whether what is painted meets what is around it.

    python -m training.judge.inpainting --inpainting FOLDER [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

`--inpainting` is a LoRA that was trained on the model, or a whole inpainting model. Images are those of subjects that
its training has not seen (`training.judge.held`), as they are and moved about, so that neither prompt nor memory places
them. Each has a hole that is a box around all of the subject, so that only the prompt says what was there, and one that
is the lower half of that box, so that what is painted has to go on with the rest: from the prompt, and from an empty
one.
Either is filled from the same noise by the model alone (the image is put back outside of the mask after each step) and
by the inpainting model. The score is the share of images that show the named subject, as `training.judge` finds it by
the image encoder: among the five nearest of all images of the style on that background. That encoder knows subjects in
the middle: of moved ones it recognises fewer, which the last number of the three tells. Beside it stands the
difference of colour (ΔE, CIE76) of neighbouring pixels across the edge of the hole. Outside of it every pixel must be
the image's own. A full run adds a line for each hole to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.captions import COLOURS
from training.export import SHIPPED
from training.fetch import default_target, load

from . import report
from .control import FIRST_SEED, draw
from .features import delta_e
from .gallery import Gallery, Tower
from .held import COUNT, held
from .painter import Painter, Settings
from .scores import Scores, judge

HEAD = "| date | hole | subject is there: model alone, inpainting, image itself | ΔE across the edge | what |\n"
GROUNDS = tuple(COLOURS.index(name) for name in ("white", "light blue", "yellow", "dark green"))
"""Backgrounds. They are few: what the image encoder says of all images is computed again for each."""
AROUND = 4
"""Pixels around a subject that belong to its box."""
HOLES = {"all of it": (0.0, True), "lower half": (0.5, True), "lower half, no prompt": (0.5, False)}
"""By name: from which part of the height of a subject's box on the hole is, and whether the prompt says what was there.
"""
Images = NDArray[np.float32]


def box(subject: Images, start: float) -> Images:
    """(H, W), 1 in the box around what is opaque in a subject (H, W), from `start` (0..1) of its height on."""
    rows, columns = (np.flatnonzero((subject > 0.05).any(axis)) for axis in (1, 0))
    top, bottom = max(0, rows[0] - AROUND), rows[-1] + 1 + AROUND
    found = np.zeros_like(subject)
    found[top + round(start * (bottom - top)) : bottom, max(0, columns[0] - AROUND) : columns[-1] + 1 + AROUND] = 1
    return found


def across(images: Images, masks: Images) -> float:
    """Mean ΔE between neighbours of which one is in the hole and the other is not, of images (N, H, W, 3)."""
    found = [
        delta_e(image[one], image[other])[mask[one] != mask[other]]
        for image, mask in zip(images, masks, strict=True)
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1]))
    ]
    return float(np.concatenate(found).mean())


def filled(painter: Painter, texts: Sequence[str], images: Images, masks: Images, settings: Settings) -> Images:
    """Images with their holes filled (N, H, W, 3).

    Raises:
        RuntimeError: a pixel outside of a hole is not as it was.
    """
    made = painter.series(texts, FIRST_SEED, settings, holes=(images, masks))
    if not np.array_equal(made[masks == 0], images[masks == 0]):
        raise RuntimeError("pixels outside of a hole have changed")
    return made


def opened(model: Path, inpainting: Path) -> Painter:
    """The inpainting model: whole, or the model with a LoRA on it."""
    if (inpainting / "model_index.json").is_file():
        return Painter(inpainting)
    return Painter(model, inpainting)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inpainting", type=Path, default=SHIPPED / "inpainting")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--tower", type=Path, help="a CLIP image encoder, instead of the model's image_encoder")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument(
        "--moved", action=argparse.BooleanOptionalAction, help="only images moved about, or only others"
    )
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument(
        "--sheet", type=Path, help="write image, hole, alone and inpainting below each other as one PNG"
    )
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    given, settings = held(args.cache, args.images, colours=GROUNDS), Settings(guidance=args.guidance)
    tower = Tower(args.tower or args.model / "image_encoder")
    gallery = Gallery(*load(args.cache), args.cache / "judge", tower)
    asked = [one.asked for one in given]
    with Painter(args.model) as alone, opened(args.model, args.inpainting) as seeing:
        for moved in (False, True) if args.moved is None else (args.moved,):
            images = np.stack([one.moved if moved else one.image for one in given])
            for name, (start, said) in HOLES.items():
                masks = np.stack([box(one.opacities[moved], start) for one in given])
                texts = [one.text if said else "" for one in given]
                made = [filled(painter, texts, images, masks, settings) for painter in (alone, seeing)]
                rows = [*made, images]
                scores = [Scores.of(judge(list(row), asked, gallery, tower)).clip or 0 for row in rows]
                shares = ", ".join(f"{100 * score:.1f} %" for score in scores)
                steps = ", ".join(f"{across(row, masks):.1f}" for row in rows)
                hole = f"{name}, {'moved about' if moved else 'as it is'}"
                print(f"{len(given)} images, hole {hole}: subject is there {shares}; ΔE across the edge {steps}")
                if args.sheet:
                    holed = np.where(masks[..., None] > 0, np.float32(0.5), images)
                    stem = f"{args.sheet.stem}-{hole.replace(',', '').replace(' ', '-')}"
                    draw([images, holed, *made], args.sheet.with_stem(stem))
                if args.images >= COUNT:
                    date = time.strftime("%Y-%m-%d %H:%M")
                    row = f"| {date} | {hole} | {shares} | {steps} | {args.note.replace('|', '/')} |\n"
                    report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
