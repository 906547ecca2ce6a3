"""Sheets of images with labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from ._fonts import built_in

if TYPE_CHECKING:
    from torch import Tensor


class Sheet(NamedTuple):
    """Labels of columns, rows and sheets, captions of images, the size of letters and the gap, in pixels; the number of
    columns where they have no labels, or 0.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    sheets: tuple[str, ...]
    names: tuple[str, ...]
    size: int
    gap: int
    across: int = 0

    def counts(self, images: int) -> tuple[int, int, int]:
        """Columns, rows and sheets. What has no labels becomes as many as it takes, a sheet at least."""
        each = -(-images // max(1, len(self.sheets)))
        columns = (
            len(self.columns) or self.across or (-(-each // len(self.rows)) if self.rows else math.ceil(each**0.5))
        )
        rows = len(self.rows) or -(-each // columns)
        return columns, rows, len(self.sheets) or -(-images // (columns * rows))


_LINES = 3
"""More lines of a label than these are cut."""


def arranged(images: list[Tensor], plan: Sheet, ground: Tensor, color: Tensor) -> list[Tensor]:
    """Sheets (H, W, 3), all of one size, of images (h, w, 3). Smaller images stand in the middle of their cell."""
    columns, rows, count = plan.counts(len(images))
    height, width = (max(one.shape[side] for one in images) for side in (0, 1))
    gap = plan.gap
    font = built_in(plan.size, "".join((*plan.columns, *plan.rows, *plan.sheets, *plan.names)))
    line, leading = math.ceil(plan.size * 1.5), math.ceil(plan.size * 1.2)
    aside = 0
    if plan.rows:
        widest = max(math.ceil(font.getlength(name)) for name in plan.rows)
        aside = min(widest + plan.size, width)

    def tall(names: tuple[str, ...]) -> int:
        """What the labels of the widest of these take, in pixels."""
        return max((line + leading * broken(name, font, width).count("\n") for name in names), default=0)

    title, head, foot = (line if plan.sheets else 0), tall(plan.columns), tall(plan.names)
    step_y, step_x = height + foot + gap, width + gap
    sheets: list[Tensor] = []
    for number in range(count):
        sheet = ground.repeat(title + head + gap + rows * step_y, aside + gap + columns * step_x, 1)
        if plan.sheets:
            _write(sheet, plan.sheets[number], (0, 0, sheet.shape[1], title), plan.size, font, color)
        for column, name in enumerate(plan.columns):
            _write(sheet, name, (aside + gap + column * step_x, title, width, head), plan.size, font, color)
        for row, name in enumerate(plan.rows):
            _write(sheet, name, (0, title + head + gap + row * step_y, aside, height), plan.size, font, color)
        for row in range(rows):
            for column in range(columns):
                place = (number * rows + row) * columns + column
                if place >= len(images):
                    continue
                one = images[place]
                top, left = title + head + gap + row * step_y, aside + gap + column * step_x
                if place < len(plan.names):
                    _write(sheet, plan.names[place], (left, top + height, width, foot), plan.size, font, color)
                top, left = top + (height - one.shape[0]) // 2, left + (width - one.shape[1]) // 2
                sheet[top : top + one.shape[0], left : left + one.shape[1]] = one
        sheets.append(sheet)
    return sheets


def labelled(pixels: Tensor, text: str, right: bool = False) -> Tensor:
    """Images (B, H, W, 3) with a word on a dark ground in an upper corner."""
    height, width = pixels.shape[1:3]
    size = max(8, min(32, height // 12))
    font = built_in(size, text)
    wide, tall = min(width, math.ceil(font.getlength(text)) + size), min(height, round(size * 1.6))
    left = width - wide if right else 0
    made = pixels.clone()
    made[:, :tall, left : left + wide] *= 0.3
    for one in made:
        _write(one, text, (left, 0, wide, tall), size, font, made.new_ones(3))
    return made


def broken(text: str, font: Any, width: float, most: int = _LINES) -> str:
    """A text in so many lines at most, each at most `width` pixels wide; what does not fit is cut, with dots."""
    from ._lettering import wrapped

    lines = wrapped(" ".join(text.split()), font, width).split("\n")
    kept = [*lines[: most - 1], " ".join(lines[most - 1 :])] if len(lines) > most else lines
    return "\n".join(shortened(line, font, width) for line in kept)


def shortened(line: str, font: Any, width: float) -> str:
    """A line that is wider than `width` pixels is cut, with dots at its end."""
    from bisect import bisect_right

    if font.getlength(line) <= width:
        return line
    # Halved, not letter by letter: measuring takes as long as the line is, and a label may be a whole prompt.
    kept = bisect_right(range(1, len(line) + 1), width, key=lambda count: font.getlength(line[:count] + "..."))
    return line[:kept] + "..."


def _write(sheet: Tensor, text: str, area: tuple[int, int, int, int], size: int, font: Any, color: Tensor) -> None:
    """Writes a text into the middle of an area (left, top, width, height), in as many lines as it needs and fit."""
    from ._lettering import Lettering, lettered

    left, top, width, height = area
    line = broken(text, font, width, max(1, min(_LINES, int(height / (size * 1.2)))))
    if not line.strip() or width < 1 or height < 1:
        return
    letters, _ = lettered(line, Lettering(font, size, wrap=False), height, width)
    part = sheet[top : top + height, left : left + width]
    share = letters[: part.shape[0], : part.shape[1], None]
    part.mul_(1 - share).add_(color * share)
