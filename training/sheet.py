"""A sample sheet that nobody chose: prompts drawn at random, each with its first image.

    python -m training.sheet --model FOLDER --cache DIR --out sheet.png [--seed 0] [--subjects all]

The seed draws the prompts and starts the noise. Show the sheet of seed 0, not the best of many.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from training.fetch import default_target, load
from training.judge.painter import Painter, Settings
from training.judge.prompts import Asked, every, frequent, prompts


def draw(asked: list[Asked], images: list[np.ndarray], columns: int, path: Path) -> None:
    """The images in rows, each with its prompt below."""
    from PIL import Image, ImageDraw, ImageFont

    side = images[0].shape[0]
    high, wide = side + 30, side + 12
    sheet = Image.new("RGB", (columns * wide, -(-len(images) // columns) * high), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for place, (one, image) in enumerate(zip(asked, images, strict=True)):
        x, y = place % columns * wide + 6, place // columns * high + 4
        sheet.paste(Image.fromarray(np.round(image * 255).astype(np.uint8)), (x, y))
        first, _, second = one.text.partition(", ")
        pen.text((x, y + side + 1), first[:26], "black", font)
        pen.text((x, y + side + 12), second, "#777777", font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=6)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--subjects", choices=("frequent", "all"), default="frequent")
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    args = parser.parse_args()
    _, index = load(args.cache)
    names = {"frequent": frequent, "all": every}[args.subjects](index["subjects"])
    known = prompts(index["subjects"], index["images"], names, 100_000)
    count = args.rows * args.columns
    rng = np.random.default_rng(args.seed)
    asked = [known[place] for place in rng.choice(len(known), count, replace=False)]
    made: list[np.ndarray] = []
    with Painter(args.model) as painter:
        for start in range(0, count, 16):
            texts = [one.text for one in asked[start : start + 16]]
            made += list(painter.paint(texts, 1_000_000 * args.seed + start, Settings(guidance=args.guidance)))
    draw(asked, made, args.columns, args.out)


if __name__ == "__main__":
    main()
