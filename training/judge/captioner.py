"""Judge a captioner: how often it names the subject of images that it was not trained on so.

    python -m training.judge.captioner [--captioner FOLDER] [--model FOLDER] [--cache DIR] [--sheet FILE] [--note "..."]

It is asked by the node `reading.describe`. Of the 134 subjects with names of everyday speech, in every style there is,
three kinds of images are put together: in their place over a plain colour that is far from all that have a name;
smaller, turned and at the rim over such a colour; and the same over a ramp of two colours, other than training shows.
The fourth kind is what the starter draws for the 200 prompts of the judge. Right is a caption whose subject is exactly
one of the names of what is shown; style and background are counted apart. A full run adds lines to the history.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight_nodes._training.augment import warped, way
from safelight_nodes._training.caption_data import subject_of
from safelight_nodes._training.captions import COLOURS, STYLES
from training.export import SHIPPED
from training.fetch import default_target, load

from . import report
from .painter import Painter, Settings
from .prompts import COUNT, frequent, prompts
from .scores import painted, unseen_grounds

HEAD = "| date | images | subject | style | background | how many | what |\n"
_SEED = 4711
_SMALLER, _TURNED = (1.1, 1.4), 10.0
"""How much smaller, and by how many degrees at most."""


@dataclass(frozen=True)
class Shown:
    """An image (H, W, 3) in 0..1 and what may be said of it; a background without a name is None."""

    image: NDArray[np.float32]
    names: frozenset[str]
    style: int
    colour: int | None = None


@dataclass(frozen=True)
class Named:
    """Shares in 0..1 of captions that are right; `background` is None where none has a name."""

    count: int
    subject: float
    style: float
    background: float | None


def judged(shown: Sequence[Shown], texts: Sequence[str]) -> Named:
    """What share of the captions is right."""
    told = [one for one in zip(shown, texts, strict=True) if one[0].colour is not None]
    right = [text.endswith(f", {COLOURS[one.colour]} background") for one, text in told if one.colour is not None]
    return Named(
        len(shown),
        float(np.mean([subject_of(text) in one.names for one, text in zip(shown, texts, strict=True)])),
        float(np.mean([text.split(" ")[0] == STYLES[one.style] for one, text in zip(shown, texts, strict=True)])),
        float(np.mean(right)) if right else None,
    )


def plain(images: NDArray[np.uint8], index: dict[str, Any], count: int) -> list[Shown]:
    """Images as they are, over colours that have no name."""
    chosen = _everyday(index, count)
    grounds = unseen_grounds(len(chosen), np.random.default_rng(_SEED)).astype(np.float32) / 255
    return [
        Shown(_over(images[number], np.broadcast_to(ground, (1, 1, 3))), _names(index, number), _style(index, number))
        for number, ground in zip(chosen, grounds, strict=True)
    ]


def elsewhere(images: NDArray[np.uint8], index: dict[str, Any], count: int, ramps: bool) -> list[Shown]:
    """Images at the rim, smaller and turned, over colours that have no name, or over ramps."""
    import torch

    chosen = _everyday(index, count)
    rng = np.random.default_rng(_SEED + 1)
    grounds = unseen_grounds(len(chosen), np.random.default_rng(_SEED + 2)).astype(np.float32) / 255
    side = images.shape[1]
    found: list[Shown] = []
    for number, plain_ground in zip(chosen, grounds, strict=True):
        smaller, turned = float(rng.uniform(*_SMALLER)), float(np.deg2rad(rng.uniform(-_TURNED, _TURNED)))
        # At the rim: as far as the whole of it stays in sight.
        far, along = (smaller - 1) * rng.choice((-1, 1)), (smaller - 1) * rng.uniform(-1, 1)
        moved = (float(far), float(along)) if rng.random() < 0.5 else (float(along), float(far))
        pixels = torch.from_numpy(np.array(images[number : number + 1]))
        there = warped(pixels, way(turned, smaller, moved, False)[None])[0].numpy()
        ends = rng.random((2, 3)).astype(np.float32)
        share = np.linspace(0, 1, side, dtype=np.float32)
        ramp = share[:, None, None] if rng.random() < 0.5 else share[None, :, None]
        ground = ends[0] * (1 - ramp) + ends[1] * ramp if ramps else np.broadcast_to(plain_ground, (1, 1, 3))
        found.append(Shown(_over(there, ground), _names(index, number), _style(index, number)))
    return found


def drawn(painter: Painter, index: dict[str, Any], count: int) -> list[Shown]:
    """What the model draws for the judge's prompts."""
    asked = prompts(index["subjects"], index["images"], frequent(index["subjects"]), count)
    made = painted(painter, asked, Settings())
    return [
        Shown(
            image,
            frozenset(name for key in one.right for name in index["subjects"][key]["names"]),
            one.style,
            one.colour,
        )
        for one, image in zip(asked, made, strict=True)
    ]


def _everyday(index: dict[str, Any], count: int) -> list[int]:
    known = frequent(index["subjects"])
    numbers = [number for number, entry in enumerate(index["images"]) if entry["subject"] in known]
    if 0 < count < len(numbers):
        numbers = [numbers[at] for at in np.linspace(0, len(numbers) - 1, count).round().astype(int)]
    return numbers


def _names(index: dict[str, Any], number: int) -> frozenset[str]:
    return frozenset(index["subjects"][index["images"][number]["subject"]]["names"])


def _style(index: dict[str, Any], number: int) -> int:
    return int(index["images"][number]["style"])


def _over(rgba: NDArray[np.uint8], ground: NDArray[np.float32]) -> NDArray[np.float32]:
    given = rgba.astype(np.float32) / 255
    return (given[..., :3] * given[..., 3:] + ground * (1 - given[..., 3:])).astype(np.float32)


def draw_sheet(shown: Sequence[Shown], texts: Sequence[str], path: Path, columns: int = 8) -> None:
    """Images with their captions below; those that name another subject in red."""
    from PIL import Image, ImageDraw

    side, line = 176, 16
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (side + 6), rows * (side + 2 * line)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (one, text) in enumerate(zip(shown, texts, strict=True)):
        x, y = place % columns * (side + 6), place // columns * (side + 2 * line)
        sheet.paste(Image.fromarray(np.round(one.image * 255).astype(np.uint8)).resize((side, side)), (x, y))
        subject, _, ground = text.partition(", ")
        ink = "black" if subject_of(text) in one.names else "red"
        pen.text((x + 2, y + side + 1), subject, ink)
        pen.text((x + 2, y + side + 13), ground, ink)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captioner", type=Path, default=SHIPPED / "captioner")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="whose drawings are captioned")
    parser.add_argument("--cache", type=Path, default=default_target())
    parser.add_argument("--images", type=int, default=0, help="fewer are a quick look, and leave no history; 0: all")
    parser.add_argument("--prompts", type=int, default=COUNT, help="as many drawings; 0: none")
    parser.add_argument("--sheet", type=Path, help="write 32 images of each kind with their captions as PNG")
    parser.add_argument("--history", type=Path, default=report.HISTORY)
    parser.add_argument("--note", default="")
    args = parser.parse_args()
    images, index = load(args.cache)
    with Painter(args.model, captioner=args.captioner) as painter:
        kinds: dict[str, Callable[[], list[Shown]]] = {
            "other colours": lambda: plain(images, index, args.images),
            "other places": lambda: elsewhere(images, index, args.images, False),
            "ramps": lambda: elsewhere(images, index, args.images, True),
        }
        if args.prompts:
            kinds["drawn by the starter"] = lambda: drawn(painter, index, args.prompts)
        for kind, make in kinds.items():
            shown = make()
            texts = painter.describe(np.stack([one.image for one in shown]))
            found = judged(shown, texts)
            ground = "-" if found.background is None else f"{found.background:.1%}".replace("%", " %")
            subject, style = (f"{share:.1%}".replace("%", " %") for share in (found.subject, found.style))
            print(f"{kind}, {found.count} images: subject {subject}, style {style}, background {ground}")
            if args.sheet:
                some = np.linspace(0, len(shown) - 1, min(32, len(shown))).round().astype(int)
                place = args.sheet.with_stem(f"{args.sheet.stem}-{kind.replace(' ', '-')}")
                draw_sheet([shown[at] for at in some], [texts[at] for at in some], place)
            if args.prompts >= COUNT and not args.images:
                date, note = time.strftime("%Y-%m-%d %H:%M"), args.note.replace("|", "/")
                row = f"| {date} | {kind} | {subject} | {style} | {ground} | {found.count} | {note} |\n"
                report.remember(args.history, row, HEAD)


if __name__ == "__main__":
    main()
