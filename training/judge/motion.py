"""Judge a motion module that hops: whether subjects hop, stay the same while they do, and are what was asked for.

    python -m training.judge.motion [--motion FOLDER] [--lora FILE] [--cache DIR] [--sheet FILE] [--note "..."]

A video of eight frames is drawn for each of the first of the judge's fixed prompts, with the module and without it,
from the same noise; beside them stand the loops themselves, of the image that was asked for. *In place*: the centre of
what stands out of the ground is, in frames where it should be higher than in the first, where the hop wants it, to an
eighth of the subject's side. *Between frames*: mean ΔE (CIE76) of each frame and the first one, over the square where
the subject should be. *Subject*: there, the named one is among the five nearest by plain features, mean over frames. A
full run adds lines to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.clips import Path as Way
from safelight_nodes._training.clips import moved
from training.export import SHIPPED
from training.fetch import default_target, load

from . import report
from .control import FIRST_SEED, draw
from .features import delta_e, describe_images, plain_order, standing_out
from .gallery import GROUNDS, Gallery
from .painter import Painter, Settings
from .prompts import Asked, frequent, prompts
from .scores import NEAREST

COUNT, FRAMES, SIDE = 40, 8, 128
HOP = Way("hop", 0.65, 1.0)
"""As the workflow `train/motion` has it."""
HEAD = "| date | by | in place | ΔE between frames | subject | what |\n"
Images = NDArray[np.float32]


def squares(film: Images) -> Images:
    """(F, SIDE, SIDE, 3): where the subject should be in each frame (F, H, W, 3)."""
    tops = [film.shape[1] - SIDE - up * SIDE // 4 for up in HOP.hops(len(film))]
    return np.stack([frame[top : top + SIDE] for frame, top in zip(film, tops, strict=True)])


def in_place(film: Images) -> list[bool]:
    """Of each frame in which a hop is not as high as in the first: whether the subject has moved by as much as it
    should."""
    hops = HOP.hops(len(film))
    middles = [_middle(frame) for frame in film]
    return [
        abs(middles[0] - middle - (up - hops[0]) * SIDE / 4) <= SIDE / 8
        for middle, up in zip(middles, hops, strict=True)
        if up != hops[0]
    ]


def _middle(frame: Images) -> float:
    """How far down the centre of what stands out is, in pixels."""
    rows = standing_out(frame).sum(1)
    return float(rows @ np.arange(len(rows)) / max(rows.sum(), 1))


def between(film: Images) -> float:
    """Mean ΔE of the subject in each frame and in the first."""
    first, *rest = squares(film)
    return float(np.mean([delta_e(one, first).mean() for one in rest]))


def named(film: Images, asked: Asked, gallery: Gallery) -> float:
    """The share of frames that show what was asked for."""
    colours, edges = describe_images(squares(film))
    subjects, every = gallery.subjects(asked.style), gallery.plain(asked.style, asked.colour)
    orders = [plain_order((one[None], other[None]), every)[:NEAREST] for one, other in zip(colours, edges, strict=True)]
    return float(np.mean([any(subjects[at] in asked.right for at in order) for order in orders]))


def scores(films: Sequence[Images], asked: Sequence[Asked], gallery: Gallery) -> tuple[float, float, float]:
    """The share of frames in place, the mean ΔE between frames, the share of frames that show the subject."""
    place = np.mean([right for film in films for right in in_place(film)])
    shown = [named(film, one, gallery) for film, one in zip(films, asked, strict=True)]
    return float(place), float(np.mean([between(film) for film in films])), float(np.mean(shown))


def loop_of(pixels: NDArray[np.uint8], colour: int) -> Images:
    """(F, H, W, 3): the loop of an image (H, W, 4) over a palette colour."""
    import torch

    frames = moved(torch.from_numpy(pixels.copy()), HOP, FRAMES, GROUNDS[colour])
    return frames.movedim(1, -1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--motion", type=Path, default=SHIPPED / "motion")
    parser.add_argument("--lora", type=Path, default=SHIPPED / "motion_lora" / "pytorch_lora_weights.safetensors")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument("--films", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument("--sheet", type=Path, help="write the frames of all films as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()

    images, index = load(args.cache)
    asked = prompts(index["subjects"], index["images"], frequent(index["subjects"]), args.films)
    gallery = Gallery(images, index, args.cache / "judge")
    first = {(entry["subject"], entry["style"]): n for n, entry in reversed(list(enumerate(index["images"])))}
    owned = [next(first[key, one.style] for key in sorted(one.right) if (key, one.style) in first) for one in asked]
    rows = {"loops": [loop_of(images[n], one.colour) for n, one in zip(owned, asked, strict=True)]}
    size = rows["loops"][0].shape[1:3]
    settings = Settings(guidance=args.guidance)
    for by, module in (("without", None), ("with", args.motion)):
        with Painter(args.model, args.lora, motion=module) as painter:
            rows[by] = [
                painter.paint([one.text] * FRAMES, FIRST_SEED + n, settings, size=size) for n, one in enumerate(asked)
            ]
    for by, films in rows.items():
        place, apart, shown = scores(films, asked, gallery)
        print(f"{by}: {place:.1%} in place, ΔE {apart:.1f} between frames, subject in {shown:.1%}")
        if args.films >= COUNT:
            said = f"{place:.1%} | {apart:.1f} | {shown:.1%}".replace("%", " %")
            row = f"| {time.strftime('%Y-%m-%d %H:%M')} | {by} | {said} | {args.note.replace('|', '/')} |\n"
            report.remember(args.history, row, HEAD)
    if args.sheet:
        draw([np.concatenate(rows["with"])], args.sheet, columns=FRAMES)


if __name__ == "__main__":
    main()
