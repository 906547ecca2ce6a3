"""An image taken tile by tile through a network that makes images larger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from safelight.sdk import Context, UpscalerModel

if TYPE_CHECKING:
    from torch import Tensor

AUTO_TILE = 512
_SMALLEST = 64


def upscaled(pixels: Tensor, network: UpscalerModel, tile: int, overlap: int, ctx: Context) -> Tensor:
    """Pixels (B, H, W, 3) in 0..1, `network.scale` times larger.

    Tiles of `tile` pixels share `overlap` with their neighbours and fade linearly into them. `tile` of 0 begins with
    `AUTO_TILE` and halves it when memory runs out.
    """
    from safelight.sdk import is_out_of_memory

    side = tile or AUTO_TILE
    while True:
        try:
            return ctx.models.retry(lambda side=side: _tiled(pixels, network, side, overlap, ctx))
        except Exception as error:
            if tile or side <= _SMALLEST or not network.tiled or not is_out_of_memory(error):
                raise
        side //= 2


def _tiled(pixels: Tensor, network: UpscalerModel, side: int, overlap: int, ctx: Context) -> Tensor:
    import torch

    batch, height, width, _ = pixels.shape
    scale = network.scale
    overlap = min(overlap, side // 2)
    whole = not network.tiled or max(height, width) <= side
    rows = [(0, height)] if whole else list(spans(height, side, overlap))
    columns = [(0, width)] if whole else list(spans(width, side, overlap))
    made = torch.zeros(batch, height * scale, width * scale, 3)
    total, done = batch * len(rows) * len(columns), 0
    down, across = fades(rows, scale), fades(columns, scale)
    for image in range(batch):
        for row, (top, bottom) in enumerate(rows):
            for column, (left, right) in enumerate(columns):
                ctx.check_cancelled()
                piece = network(pixels[image : image + 1, top:bottom, left:right])[0]
                share = down[row][:, None, None] * across[column][None, :, None]
                made[image, top * scale : bottom * scale, left * scale : right * scale] += piece * share
                done += 1
                ctx.progress(done, total)
    return made.clamp_(0, 1)


def spans(length: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of pieces of at most `side` that cover `length`, as even as may be; neighbours share at least
    `overlap`."""
    if length <= side:
        yield 0, length
        return
    count = -(-(length - overlap) // (side - overlap))
    for number in range(count):
        begin = round(number * (length - side) / (count - 1))
        yield begin, begin + side


def fades(pieces: list[tuple[int, int]], scale: int) -> list[Tensor]:
    """The share of each piece along one side, for every pixel of the result; at each, all shares add up to one."""
    import torch

    ramps: list[Tensor] = []
    total = torch.zeros(pieces[-1][1] * scale)
    for number, (begin, end) in enumerate(pieces):
        ramp = torch.ones((end - begin) * scale)
        before = (pieces[number - 1][1] - begin) * scale if number else 0
        behind = (end - pieces[number + 1][0]) * scale if number + 1 < len(pieces) else 0
        ramp[:before] = _rising(before)
        ramp[len(ramp) - behind :] *= _rising(behind).flip(0)
        total[begin * scale : end * scale] += ramp
        ramps.append(ramp)
    return [ramp / total[begin * scale : end * scale] for ramp, (begin, end) in zip(ramps, pieces, strict=True)]


def _rising(length: int) -> Tensor:
    """From 0 to 1; the first and the last quarter stay, as a network knows least at the margin of what it sees."""
    import torch

    return (2 * (torch.arange(length) + 0.5) / max(length, 1) - 0.5).clamp(0, 1)
