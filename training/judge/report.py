"""The scores in words, the history of all full runs, and a sheet to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .scores import NEAREST, Judged, Scores

HISTORY = Path(__file__).parents[2] / "docs" / "starter_scores.md"
_HEAD = "| date | PSNR, dB | by CLIP | by plain features | background | 4 steps: CLIP, plain, background | what |\n"
AT_RANDOM = _HEAD.replace("| date |", "| date | subjects, seed |")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def sentence(what: str, scores: Scores) -> str:
    return (
        f"{what}, {scores.count} prompts: named subject among the nearest {NEAREST} "
        f"by CLIP {_percent(scores.clip)}, by plain features {_percent(scores.plain)}; "
        f"background obeyed {_percent(scores.background)}"
    )


def kept(full: Scores, fast: Scores) -> str:
    """How much of the scores the few-step version keeps."""
    pairs = [(fast.clip, full.clip), (fast.plain, full.plain), (fast.background, full.background)]
    shares = [None if one is None or not other else one / other for one, other in pairs]
    return f"kept: CLIP {_percent(shares[0])}, plain {_percent(shares[1])}, background {_percent(shares[2])}"


def line(quality: float | None, full: Scores, fast: Scores | None, note: str, drawn: str = "") -> str:
    """A row of the history; of prompts that were drawn at random, `drawn` says which."""
    few = f"{_percent(fast.clip)}, {_percent(fast.plain)}, {_percent(fast.background)}" if fast else "-"
    psnr = "-" if quality is None else f"{quality:.2f}"
    shares = " | ".join(_percent(share) for share in (full.clip, full.plain, full.background))
    when = time.strftime("%Y-%m-%d %H:%M") + (f" | {drawn}" if drawn else "")
    return f"| {when} | {psnr} | {shares} | {few} | {note.replace('|', '/')} |\n"


def remember(path: Path, row: str, head: str = _HEAD) -> None:
    """Adds a row to a table of the history: that with this head, which is made at the end of the file if it is new."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if head not in text:
        rule = "|---" * (head.count("|") - 1) + "|\n"
        text = f"{text.rstrip()}\n\n{head}{rule}".lstrip()
    before, _, after = text.partition(head)
    rows = after.splitlines(keepends=True)
    count = next((at for at, line in enumerate(rows) if not line.startswith("|")), len(rows))
    path.write_text(before + head + "".join([*rows[:count], row, *rows[count:]]), encoding="utf-8")


def draw_sheet(images: Sequence[NDArray[np.float32]], judged: Sequence[Judged], path: Path, columns: int = 16) -> None:
    """All images in one PNG. A red bar below: the subject was not recognised; a blue one: a wrong background."""
    from PIL import Image, ImageDraw

    side = images[0].shape[0]
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (side + 4), rows * (side + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (image, one) in enumerate(zip(images, judged, strict=True)):
        x, y = place % columns * (side + 4), place // columns * (side + 22)
        sheet.paste(Image.fromarray(np.round(image * 255).astype(np.uint8)), (x, y))
        known = (one.clip_rank if one.clip_rank is not None else one.plain_rank) <= NEAREST
        pen.rectangle((x, y + side, x + side - 1, y + side + 2), "white" if known else "red")
        if one.corner > 15:
            pen.rectangle((x, y + side + 3, x + side - 1, y + side + 5), "blue")
        pen.text((x, y + side + 6), one.asked.text.removesuffix(" background")[:24], "black")
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
