"""Judge a model: how often its images show what the prompt names, and how well its autoencoder keeps an image.

    python -m training.judge --model FOLDER --cache DIR [--fast LORA] [--tower FOLDER] [--prompts 60] [--note "..."]

`--cache` is where `training.fetch` wrote the images. The image encoder is the model's own `image_encoder`, or
the one of `--tower`; without one the scores by it are left out. A full run adds a line to docs/starter_scores.md:
to one table with the fixed prompts, to another with those of `--random SEED`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from training.fetch import default_target, load

from . import report
from .gallery import Gallery, Tower
from .painter import Painter, Settings
from .prompts import COUNT, at_random, every, frequent, often, prompts
from .scores import Scores, judge, painted, reconstruction, sharpness


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a folder in diffusers layout")
    parser.add_argument("--fast", type=Path, help="the few-step LoRA, a .safetensors file")
    parser.add_argument("--tower", type=Path, help="a CLIP image encoder, instead of the model's image_encoder")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--prompts", type=int, default=COUNT, help="fewer are a quick look, and leave no history")
    parser.add_argument("--random", type=int, metavar="SEED", help="prompts drawn at random in place of the fixed ones")
    parser.add_argument("--subjects", choices=("frequent", "all"), default="frequent")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--guidance", type=float, default=Settings.guidance)
    parser.add_argument("--sampler", default=Settings.sampler)
    parser.add_argument("--fast-steps", type=int, default=4)
    parser.add_argument("--fast-guidance", type=float, default=1.0)
    parser.add_argument("--fast-sampler", default="ddim")
    parser.add_argument("--images", type=int, default=200, help="how many the autoencoder is measured on; 0: none")
    parser.add_argument("--sheet", type=Path, help="write the judged images as one PNG, misses framed in red")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="", help="what is said of this model in the history")
    parser.add_argument("--threads", type=int, default=_idle_cores(), help="more than are idle cost time")
    return parser.parse_args()


def _idle_cores() -> int:
    """Threads that wait for a busy core at every operation are slower than one alone."""
    cores = os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, cores - round(busy))


def main() -> None:
    args = _options()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    began = time.monotonic()
    images, index = load(args.cache)
    names = {"frequent": frequent, "all": every}[args.subjects](index["subjects"])
    if args.random is None:
        asked = prompts(index["subjects"], index["images"], names, args.prompts)
    else:
        asked = at_random(index["subjects"], index["images"], names, args.prompts, args.random)
    own = args.tower or args.model / "image_encoder"
    tower = Tower(own) if (own / "config.json").is_file() else None
    if tower is None:
        print(f"No image encoder in {own}: scores by plain features only.")
    gallery = Gallery(images, index, args.cache / "judge", tower)

    def scored(painter: Painter, settings: Settings, sheet: Path | None) -> tuple[Scores, float]:
        made = list(painted(painter, asked, settings))
        found = judge(made, asked, gallery, tower)
        if sheet:
            report.draw_sheet(made, found, sheet)
        return Scores.of(found), sharpness(made)

    with Painter(args.model) as painter:
        quality = None
        if args.images:
            quality = reconstruction(painter, images, often(index), args.images)
            print(f"autoencoder: {quality:.2f} dB PSNR on {args.images} images over unseen backgrounds")
        full, sharp = scored(painter, Settings(args.steps, args.guidance, args.sampler), args.sheet)
        print(report.sentence(f"{args.steps} steps of {args.sampler}, guidance {args.guidance:g}", full))
    fast = None
    if args.fast:
        with Painter(args.model, args.fast) as painter:
            sheet = args.sheet.with_stem(args.sheet.stem + "-fast") if args.sheet else None
            fast, fast_sharp = scored(painter, Settings(args.fast_steps, args.fast_guidance, args.fast_sampler), sheet)
        print(report.sentence(f"{args.fast_steps} steps of {args.fast_sampler} with the few-step LoRA", fast))
        print(f"{report.kept(full, fast)}; sharpness {100 * fast_sharp / sharp:.0f} %")
    print(f"{time.monotonic() - began:.0f} s")
    if args.prompts < COUNT:
        return
    if args.random is not None:
        drawn = f"{args.subjects}, {args.random}"
        report.remember(args.history, report.line(quality, full, fast, args.note, drawn), report.AT_RANDOM)
    elif args.subjects == "frequent":
        report.remember(args.history, report.line(quality, full, fast, args.note))


if __name__ == "__main__":
    main()
