"""Judge a style LoRA: whether its images are told from those of the model, and still show what they are asked for.

    python -m training.judge.style --lora FILE [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

The style is that of the workflow's node `print`. A linear classifier over the image encoder's summaries learns to tell
prints from images as they are, of the subjects that the workflow learns from; the prompts name everyday subjects that
it does not. Each is drawn from the same noise with and without the LoRA. *Subject*: the named one is among the five
nearest by plain features; for prints in a gallery of all images that have been made prints as well. A full run adds a
line to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight.graph.document import Document
from training.export import SHIPPED
from training.fetch import default_target, load

from . import report
from .control import FIRST_SEED, draw
from .gallery import GROUNDS, Tower, over
from .painter import Painter, Settings
from .prompts import frequent
from .teller import Teller, named

COUNT = 60
WORKFLOW = Path(__file__).parents[2] / "workflows" / "train" / "style.json"
HEAD = "| date | taken for a print: with it, without it | subject: with it, without it | what |\n"
Images = NDArray[np.float32]


def prints(images: Images, values: Mapping[str, Any]) -> Images:
    """Images (N, H, W, 3) in 0..1 in the style, by the very node of the workflow."""
    import torch

    from safelight.sdk import Image
    from safelight_nodes.image.tone import gradient_map

    return gradient_map(Image(torch.from_numpy(images)), **values).pixels.numpy()


def laid(images: NDArray[np.uint8], rng: np.random.Generator) -> Images:
    """RGBA images over colours of the palette, white as often as all others: (N, H, W, 3) in 0..1."""
    grounds = [0 if rng.random() < 0.5 else int(rng.integers(len(GROUNDS))) for _ in images]
    return over(images, np.array(GROUNDS, np.float32)[grounds][:, None, None] / 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lora", type=Path, default=SHIPPED / "style" / "pytorch_lora_weights.safetensors")
    parser.add_argument("--workflow", type=Path, default=WORKFLOW)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--tower", type=Path, help="a CLIP image encoder, instead of the model's image_encoder")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument("--sheet", type=Path, help="write images without it and with it as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    nodes = Document.loads(args.workflow.read_text()).nodes
    values = nodes["print"].values
    learned = {str(name) for name in nodes["subjects"].values["values"]}

    images, index = load(args.cache)
    subjects = index["subjects"]
    known = {key for key, entry in subjects.items() if learned & set(entry["names"])}
    everyday = frequent(subjects)
    asked = sorted({name for key, name in everyday.items() if key not in known})[: args.images]
    rng = np.random.default_rng(FIRST_SEED)
    ordinary = laid(images[[n for n, entry in enumerate(index["images"]) if entry["subject"] in known]], rng)
    teller = Teller(Tower(args.tower or args.model / "image_encoder"), ordinary, prints(ordinary, values))

    rows: list[Images] = []
    for lora in (None, args.lora):
        with Painter(args.model, lora) as painter:
            rows.append(painter.series(asked, FIRST_SEED, Settings()))
    plain, printed = rows
    told, wrong = teller.share(printed), teller.share(plain)

    gallery = over(images, np.array(GROUNDS[0], np.float32) / 255)
    owners = [set(subjects[entry["subject"]]["names"]) for entry in index["images"]]
    shown = named(printed, asked, prints(gallery, values), owners), named(plain, asked, gallery, owners)
    print(
        f"{len(asked)} subjects that it has not learned from: {told:.1%} taken for prints with the LoRA, {wrong:.1%} "
        f"without it; the subject is there in {shown[0]:.1%} and {shown[1]:.1%}"
    )
    if args.sheet:
        draw([plain, printed], args.sheet)
    if args.images >= COUNT:
        scores = f"{told:.1%}, {wrong:.1%} | {shown[0]:.1%}, {shown[1]:.1%}".replace("%", " %")
        row = f"| {time.strftime('%Y-%m-%d %H:%M')} | {scores} | {args.note.replace('|', '/')} |\n"
        report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
