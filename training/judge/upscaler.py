"""Judge an upscaler: PSNR against bicubic scaling, on images of subjects that were held out, and its time.

    python -m training.judge.upscaler [--upscaler FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

Images are those of `python -m training.fetch --size 512 --subjects 300`, of the subjects that the workflow holds back
(`training.judge.held`), each over a background of the captions' palette. Bicubic copies are made larger again in
float32 and in bfloat16, by the code that the product runs. 3d images are 256 pixels wide, the others 512. The time is
that of 128 x 128 pixels, best of five, on all threads of this process. A run over all held-out images adds a line to
the history.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safelight_nodes._training.captions import STYLES, draw_colour
from safelight_nodes._training.images import composited, opened, parted
from safelight_nodes._training.loop import numpy_generator
from safelight_nodes._training.upscaler.degradation import enlarged, shrunk
from safelight_nodes._training.upscaler.learn import psnr
from training.export import SHIPPED
from training.fetch import default_target

from . import report
from .held import SEED, SHARE

SIZE = 512
HEAD = "| date | images | bicubic, dB | float32, dB | bfloat16, dB | by style: gain in dB | 128 to 512 | what |\n"


@dataclass(frozen=True)
class Judged:
    """PSNR in dB of one image: of bicubic scaling and of each precision."""

    style: int
    bicubic: float
    single: float
    half: float


def loaded(folder: Path, precision: str) -> Any:
    """The network as the product runs it: images (B, H, W, 3) in 0..1 to larger ones; it says its `scale`."""
    import torch

    from safelight.models.upscalers import load_upscaler
    from safelight.models.weights import Target

    target = Target(getattr(torch, precision), torch.device("cpu"), channels_last=True)
    return load_upscaler(folder / "upscaler.safetensors", target)[0]


def judged(networks: dict[str, Any], cache: Path, count: int, sheet: Path | None, limit: int = 0) -> list[Judged]:
    """Each of up to `count` held-out images, evenly spread; 0: all. `limit` is that of the set it learned from."""
    import torch

    kept = parted(opened(cache / "images.json", cache / "images.npy", limit), SHARE, SEED)[1]
    total, scale = len(kept.entries), networks["float32"].scale
    numbers = np.linspace(0, total - 1, min(count or total, total)).round().astype(int)
    found: list[Judged] = []
    rows: list[list[Any]] = []
    for number in numbers:
        colour = draw_colour(numpy_generator(SEED, int(number)))[1]
        original = composited(kept.alone(int(number))[None], [colour]) / 2 + 0.5
        small = shrunk(original, scale)
        with torch.inference_mode():
            made = [networks[name](small.movedim(1, -1)).movedim(-1, 1) for name in ("float32", "bfloat16")]
        plain = enlarged(small, scale)
        found.append(Judged(kept.entries[number]["style"], *(psnr(original, one) for one in (plain, *made))))
        rows.append([plain, made[0], original])
    if sheet:
        draw([rows[at] for at in np.linspace(0, len(rows) - 1, 6).round().astype(int)], sheet)
    return found


def draw(rows: list[list[Any]], path: Path, side: int = 256) -> None:
    """A sheet: a row an image, the middle of bicubic, the network's and the original."""
    import torch
    from PIL import Image

    from safelight_nodes._pixels import to_bytes
    from safelight_nodes._training.images import tiled

    parts = []
    for image in (one for row in rows for one in row):
        top, left = ((length - side) // 2 for length in image.shape[-2:])
        parts.append(image[..., top : top + side, left : left + side])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_bytes(tiled(torch.cat(parts), len(rows[0])))[0]).save(path)


def seconds(network: Any, side: int = 128) -> float:
    """Of an image of so many pixels a side: the best of five."""
    import torch

    given = torch.rand(1, side, side, 3)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(5):
            began = time.perf_counter()
            network(given)
            times.append(time.perf_counter() - began)
    return min(times)


def gain(found: list[Judged]) -> float:
    """Mean PSNR in float32 above bicubic scaling."""
    return float(np.mean([one.single - one.bicubic for one in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upscaler", type=Path, default=SHIPPED / "upscaler")
    parser.add_argument("--cache", type=Path, default=default_target(SIZE))
    parser.add_argument("--images", type=int, default=0, help="only so many are a quick look, and leave no history")
    parser.add_argument("--limit", type=int, default=0, help="of the set that it learned from, as in the workflow")
    parser.add_argument("--sheet", type=Path, help="write bicubic, result and original beside each other as one PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    networks = {name: loaded(args.upscaler, name) for name in ("float32", "bfloat16")}
    found = judged(networks, args.cache, args.images, args.sheet, args.limit)
    plain, single, half = (
        float(np.mean([getattr(one, name) for one in found])) for name in ("bicubic", "single", "half")
    )
    styles = [(name, [one for one in found if one.style == number]) for number, name in enumerate(STYLES)]
    said = ", ".join(f"{name} {gain(some):+.2f}" for name, some in styles if some)
    took = ", ".join(f"{seconds(network):.2f} s in {name}" for name, network in networks.items())
    print(f"{len(found)} images: bicubic {plain:.2f} dB, float32 {single:.2f}, bfloat16 {half:.2f}; {said}; {took}")
    if not args.images:
        date, note = time.strftime("%Y-%m-%d %H:%M"), args.note.replace("|", "/")
        row = f"| {date} | {len(found)} | {plain:.2f} | {single:.2f} | {half:.2f} | {said} | {took} | {note} |\n"
        report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
