"""The layers of a painting as pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from safelight.sdk.paintings import Area, Layer, Painting, Region, Stroke, read_painting

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from torch import Tensor

_FINE = 4
_FINE_PIXELS = 64_000_000
"""Edges are smooth because a layer is drawn larger and made smaller: four times, less where that has more pixels."""


def painted(text: str, height: int, width: int) -> Iterator[Tensor]:
    """The layers that are seen, the lowest first: (H, W, 4) float32 of straight alpha, with their opacity in it."""
    import torch

    if not text:
        return
    painting = read_painting(text)
    for layer in painting.layers:
        if not layer.visible or not layer.opacity or not layer.marks:
            continue
        pixels = torch.frombuffer(bytearray(_drawn(painting, layer, height, width).tobytes()), dtype=torch.uint8)
        made = pixels.reshape(height, width, 4).float() / 255
        made[..., 3] *= layer.opacity
        yield made


def regions_of(text: str, height: int, width: int) -> Iterator[tuple[Layer, Tensor]]:
    """The layers that are seen and painted on, and where: (H, W) float32, 1 inside, whatever their opacity."""
    import torch

    if not text:
        return
    painting = read_painting(text)
    for layer in painting.layers:
        if layer.visible and layer.marks:
            alpha = _drawn(painting, layer, height, width).getchannel("A").tobytes()
            yield layer, torch.frombuffer(bytearray(alpha), dtype=torch.uint8).reshape(height, width).float() / 255


def _drawn(painting: Painting, layer: Layer, height: int, width: int) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    fine = max(1, min(_FINE, int((_FINE_PIXELS / (width * height)) ** 0.5)))
    sheet = Pillow.new("RGBA", (width * fine, height * fine))
    draw = ImageDraw.Draw(sheet)
    across, down = sheet.width / painting.width, sheet.height / painting.height
    for mark in layer.marks:
        colour = mark.color or (0, 0, 0, 0)
        if isinstance(mark, Stroke):
            spots = zip(*(iter(mark.spots),) * 3, strict=True)
            _stroke(draw, [(x * across, y * down, r * (across + down) / 2) for x, y, r in spots], colour)
        elif isinstance(mark, Area):
            corners = [(x * across, y * down) for x, y in zip(mark.points[::2], mark.points[1::2], strict=True)]
            if len(corners) > 2:
                draw.polygon(corners, fill=colour)
        else:
            place = _region(mark, painting.width, painting.height).resize(sheet.size, Pillow.Resampling.NEAREST)
            sheet.paste(colour, (0, 0), place)
    return sheet.reduce(fine) if fine > 1 else sheet


def _stroke(draw: ImageDraw, spots: list[tuple[float, float, float]], colour: str | tuple[int, ...]) -> None:
    """Discs at the places of a brush, and between two of them the band that is as wide as both."""
    before = None
    for x, y, wide in spots:
        r = max(wide, 0.5)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        if before is not None:
            px, py, pr = before
            length = ((x - px) ** 2 + (y - py) ** 2) ** 0.5
            if length:
                nx, ny = (py - y) / length, (x - px) / length
                band = [
                    (px + nx * pr, py + ny * pr),
                    (x + nx * r, y + ny * r),
                    (x - nx * r, y - ny * r),
                    (px - nx * pr, py - ny * pr),
                ]
                draw.polygon(band, fill=colour)
        before = (x, y, r)


def _region(mark: Region, width: int, height: int) -> Image:
    from PIL import Image as Pillow

    bits = bytearray(width * height)
    for start, length in zip(mark.runs[::2], mark.runs[1::2], strict=True):
        bits[start : start + length] = b"\xff" * length
    return Pillow.frombytes("L", (width, height), bytes(bits))
