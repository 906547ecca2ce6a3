"""Texts as coverage of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Problem, ProblemError

from ._fonts import built_in, opened

if TYPE_CHECKING:
    from torch import Tensor


class Lettering(NamedTuple):
    """How a text is set: Pillow's font, sizes in pixels, `angle` in degrees counter-clockwise."""

    font: Any
    size: float
    anchor: str = "middle"
    margin: int = 0
    align: str = "center"
    wrap: bool = True
    outline: float = 0.0
    angle: float = 0.0


def font_of(path: Path | None, size: float, text: str, shown: str = "") -> Any:
    """A font of a file, or one that is there for a text. Raises ProblemError `bad_font`."""
    if path is None:
        return built_in(size, text)
    try:
        return opened(path, size)
    except OSError:
        message, hint = f"{shown} is not a font.", "Choose a .ttf or .otf file."
        raise ProblemError(Problem(code="bad_font", message=message, hint=hint, port="font", value=shown)) from None


def lettered(text: str, how: Lettering, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(H, W) of the letters, and of letters with the line around them, each in 0..1."""
    import numpy
    import torch
    from PIL import Image, ImageDraw

    if how.wrap:
        text = wrapped(text, how.font, width - 2 * how.margin - 2 * how.outline)
    spacing = how.size * 0.2
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    options: dict[str, Any] = {"font": how.font, "align": how.align, "spacing": spacing}
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, stroke_width=how.outline, **options)
    wide, tall = right - left, bottom - top
    room_x, room_y = width - 2 * how.margin - wide, height - 2 * how.margin - tall
    share_x = 0.0 if "left" in how.anchor else 1.0 if "right" in how.anchor else 0.5
    share_y = 0.0 if "top" in how.anchor else 1.0 if "bottom" in how.anchor else 0.5
    at = (how.margin + room_x * share_x - left, how.margin + room_y * share_y - top)
    planes: list[Tensor] = []
    for stroke in (0.0, how.outline) if how.outline else (0.0,):
        canvas = Image.new("L", (width, height))
        ImageDraw.Draw(canvas).multiline_text(at, text, fill=255, stroke_width=stroke, **options)
        if how.angle:
            middle = (at[0] + left + wide / 2, at[1] + top + tall / 2)
            canvas = canvas.rotate(how.angle, Image.Resampling.BICUBIC, center=middle)
        planes.append(torch.from_numpy(numpy.array(canvas)).float() / 255)
    return planes[0], planes[-1]


def wrapped(text: str, font: Any, width: float) -> str:
    """The text with new lines at blanks, so that none is wider where it can be; in scripts without blanks, anywhere."""
    lines: list[str] = []
    for line in text.split("\n"):
        made = ""
        for word in _words(line):
            if made and font.getlength((made + word).rstrip()) > width:
                lines.append(made.rstrip())
                made = ""
            made += word
        lines.append(made.rstrip())
    return "\n".join(lines)


def _words(line: str) -> list[str]:
    """Pieces between which a line may be broken, each with the blanks after it."""
    import re

    # Chinese, Japanese and Korean break between any two signs.
    wide = r"\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef"
    return re.findall(rf"[{wide}]\s*|[^\s{wide}]+\s*|\s+", line)
