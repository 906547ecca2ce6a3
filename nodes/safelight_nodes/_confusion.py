"""Which class is taken for which: counts, and their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MOST = 12
"""So many classes have a row of their own; others share the last one."""
_OTHERS = "others"
_LEGEND = "rows: what it is; columns: what it was taken for"
_INK, _QUIET = "#3c4048", "#9aa0a8"
_SIZE, _CELL, _EDGE = 13, 44, 12


def counted(wanted: Sequence[int], found: Sequence[int], classes: int) -> Tensor:
    """(classes, classes) int64: how many of the class of a row were taken for the class of a column."""
    import torch

    pairs = torch.tensor(wanted, dtype=torch.int64) * classes + torch.tensor(found, dtype=torch.int64)
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def accuracy(matrix: Tensor) -> float:
    """Share of all that were taken for what they are, in 0..1."""
    return float(matrix.diagonal().sum() / matrix.sum().clamp(min=1))


def recalls(matrix: Tensor) -> list[float]:
    """Share of each class that was taken for what it is, in 0..1; 1 for a class of which there was none."""
    totals = matrix.sum(1)
    return [float(one) for one in (matrix.diagonal() / totals.clamp(min=1)).where(totals > 0, 1.0)]


def folded(matrix: Tensor, names: Sequence[str]) -> tuple[Tensor, list[str]]:
    """The classes that were mistaken most often, and all others as one, where there are more than `MOST`."""
    import torch

    if len(names) <= MOST:
        return matrix, list(names)
    wrong = matrix.sum(1) + matrix.sum(0) - 2 * matrix.diagonal()
    worst: list[int] = torch.argsort(wrong, descending=True, stable=True)[: MOST - 1].tolist()
    kept = sorted(worst)
    place = torch.full((len(names),), MOST - 1)
    place[kept] = torch.arange(len(kept))
    made = torch.zeros(MOST, MOST, dtype=matrix.dtype)
    made.index_put_((place[:, None].expand_as(matrix), place[None].expand_as(matrix)), matrix, accumulate=True)
    return made, [*(names[number] for number in kept), _OTHERS]


def drawn(matrix: Tensor, names: Sequence[str], title: str = "") -> Tensor:
    """(1, H, W, 3) in 0..1: a row for each true class, a column for what it was taken for, and how often.

    The darker a cell, the larger its part of the row.
    """
    import numpy
    import torch
    from PIL import Image, ImageDraw

    from ._fonts import built_in
    from ._sheets import shortened

    matrix, said = folded(matrix, names)
    said, title = [" ".join(name.split()) for name in said], " ".join(title.split())
    rest = len(said) - 1 if len(names) > MOST else -1
    font = built_in(_SIZE, "".join((title, *said)))
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    widest = min(160, max(int(measure.textlength(name, font)) for name in said)) + 8
    cell = max(_CELL, min(120, widest) if len(said) <= 6 else 0)
    left, top = _EDGE + widest, _EDGE + (22 if title else 0) + 20
    written = max(measure.textlength(one, font) for one in (title, _LEGEND))
    width = max(left + cell * len(said), _EDGE + int(written)) + _EDGE
    image = Image.new("RGB", (width, top + _CELL * len(said) + 24 + _EDGE), "white")
    pen = ImageDraw.Draw(image)
    if title:
        pen.text((_EDGE, _EDGE - 4), title, _INK, font)
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    for row, name in enumerate(said):
        middle = top + _CELL * row + _CELL // 2
        pen.text((left - 8, middle), shortened(name, font, widest - 8), _INK, font, anchor="rm")
        across = left + cell * row + cell // 2
        pen.text((across, top - 4), shortened(name, font, cell - 4), _INK, font, anchor="ms")
        for column in range(len(said)):
            share, count = float(shares[row, column]), int(matrix[row, column])
            x, y = left + cell * column, top + _CELL * row
            # Among the rest some were taken for others of it: neither right nor wrong.
            full = (110, 118, 128) if row == column == rest else (38, 122, 98) if row == column else (214, 92, 38)
            color = tuple(round(255 + (one - 255) * share) for one in full)
            pen.rectangle((x, y, x + cell - 2, y + _CELL - 2), (color[0], color[1], color[2]), "#e4e6ea")
            ink = "white" if share > 0.6 else (_INK if count else _QUIET)
            pen.text((x + cell // 2 - 1, y + _CELL // 2 - 1), str(count), ink, font, anchor="mm")
    pen.text((_EDGE, image.height - 24), _LEGEND, _QUIET, built_in(11, _LEGEND))
    return torch.from_numpy(numpy.asarray(image, numpy.float32) / 255)[None]
