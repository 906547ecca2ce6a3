"""The canvas of a figure: colour, light and garment, laid part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._pixels import rgb_of
from .curves import Point, brush, curve
from .looks import Garment, Look

if TYPE_CHECKING:
    from PIL.Image import Image as Drawing

FINE = 4
"""Figures are drawn so many times larger and reduced: that makes their edges smooth."""
_WIDTH = 0.56
"""Of a figure with its arms and some room, in heights."""
_SHADOW = (1.0, 1.12, 0.94)
"""How much a shadow takes of red, green and blue: it is warm, and never grey."""


class Figure(NamedTuple):
    """(height, width) drawings: the figure, the light on it alone, and where the garment is seen."""

    image: Drawing
    light: Drawing
    worn: Drawing


class Paint:
    """Colour, light and garment of a figure, as they are laid one part over the other."""

    def __init__(self, look: Look, garment: Garment, width: int, height: int) -> None:
        from PIL import Image

        self.look, self.garment = look, garment
        self.unit = min(height, width / _WIDTH)
        self.origin = width / 2, (height - self.unit) / 2
        self.color = Image.new("RGB", (width, height), look.wall)
        self.light = Image.new("L", (width, height), 255)
        self.worn = Image.new("L", (width, height), 0)
        self.body = Image.new("L", (width, height), 0)

    def lay(
        self,
        outline: Sequence[Point],
        color: str,
        *,
        worn: bool = False,
        round_by: float = 0.02,
        dark: float = 0.2,
        casts: float = 0.0,
    ) -> Drawing:
        """A part of a colour over all before it.

        Its right and lower side are darker by `dark`, over `round_by` heights,
        and its shadow falls `casts` heights below it. Returns what it covers."""
        from PIL import Image, ImageChops, ImageDraw

        cover = Image.new("L", self.color.size, 0)
        ImageDraw.Draw(cover).polygon([self.at(point) for point in outline], fill=255)
        box = _grown(cover.getbbox(), round(0.05 * self.unit), cover.size)
        part = cover.crop(box)
        if casts:
            fallen = _blurred(_moved(part, casts * 0.35 * self.unit, casts * self.unit), casts * 0.45 * self.unit)
            self._darken(box, ImageChops.multiply(fallen, self.body.crop(box)), 0.3)
        inner = _blurred(_moved(part, -round_by * self.unit, -0.6 * round_by * self.unit), 0.5 * round_by * self.unit)
        self.color.paste(color, box, part)
        self.light.paste(inner.point([round(255 * (1 - dark * (1 - level / 255))) for level in range(256)]), box, part)
        self.worn.paste(255 if worn else 0, box, part)
        self.body.paste(255, box, part)
        return cover

    def fold(self, cover: Drawing, lines: Sequence[Sequence[Point]], thick: float, dark: float = 0.16) -> None:
        """Soft dark lines inside what a part covers."""
        from PIL import Image, ImageChops, ImageDraw

        strokes = Image.new("L", cover.size, 0)
        pen = ImageDraw.Draw(strokes)
        for line in lines:
            pen.polygon([self.at(point) for point in brush(curve(line), thick, 0.0)], fill=255)
        box = _grown(cover.getbbox(), 0, cover.size)
        soft = _blurred(strokes.crop(box), 0.35 * thick * self.unit)
        self._darken(box, ImageChops.multiply(soft, cover.crop(box)), dark)

    def tint(self, outline: Sequence[Point], color: str, share: float, soft: float) -> None:
        """A soft spot of colour over what there is, and no part of its own."""
        from PIL import Image, ImageDraw

        spot = Image.new("L", self.color.size, 0)
        ImageDraw.Draw(spot).polygon([self.at(point) for point in outline], fill=round(255 * share))
        box = _grown(spot.getbbox(), round(3 * soft * self.unit), spot.size)
        self.color.paste(color, box, _blurred(spot.crop(box), soft * self.unit))

    def at(self, point: Point) -> Point:
        return self.origin[0] + point[0] * self.unit, self.origin[1] + point[1] * self.unit

    def done(self, width: int, height: int) -> Figure:
        from PIL import Image, ImageChops

        missing = ImageChops.invert(self.light)
        tinted = [missing.point([round(255 - min(255, level * share)) for level in range(256)]) for share in _SHADOW]
        light = Image.merge("RGB", tinted).resize((width, height), Image.Resampling.BOX)
        color = self.color.resize((width, height), Image.Resampling.BOX)
        return Figure(ImageChops.multiply(color, light), light, self.worn.resize((width, height), Image.Resampling.BOX))

    def _darken(self, box: tuple[int, int, int, int], where: Drawing, dark: float) -> None:
        from PIL import ImageChops

        share = where.point([round(255 - level * dark) for level in range(256)])
        self.light.paste(ImageChops.multiply(self.light.crop(box), share), box)


def mixed(one: str, other: str, share: float) -> str:
    pairs = zip(rgb_of(one), rgb_of(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _blurred(drawing: Drawing, sigma: float) -> Drawing:
    from PIL import ImageFilter

    return drawing.filter(ImageFilter.GaussianBlur(sigma))


def _moved(drawing: Drawing, right: float, down: float) -> Drawing:
    from PIL import Image

    made = Image.new("L", drawing.size, 0)
    made.paste(drawing, (round(right), round(down)))
    return made


def _grown(box: tuple[int, int, int, int] | None, by: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, low = box or (0, 0, 1, 1)
    return max(0, left - by), max(0, top - by), min(size[0], right + by), min(size[1], low + by)
