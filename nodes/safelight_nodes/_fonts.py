"""Fonts for texts on images where none is chosen: one that has all of their signs, as far as there is one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_OWN = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_UNKNOWN = "\U0010fffe"
"""No sign at all: what a font draws for it, it draws for all that it lacks."""
_SYSTEM = {
    "/usr/share/fonts": ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "unifont.ttf"),
    "/System/Library/Fonts": ("PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc"),
    "/Library/Fonts": ("Arial Unicode.ttf",),
    "C:/Windows/Fonts": ("msyh.ttc", "YuGothM.ttc", "malgun.ttf", "arialuni.ttf"),
}
"""Where systems have fonts for Chinese, Japanese and Korean, and their names there."""


def built_in(size: float, text: str) -> Any:
    """Pillow's font for a text, of `size` pixels.

    Aileron, which Pillow carries (CC0), where it has all signs; else DejaVu Sans, which this package carries; else the
    first font of the system that has them all. Where none has, it is DejaVu Sans, and what that lacks becomes boxes.
    """
    from PIL import ImageFont

    signs = {sign for sign in text if not sign.isspace()}
    plain = ImageFont.load_default(size)
    if text.isascii() or not lacking(plain, signs):
        return plain
    own = opened(_OWN, size)
    if not lacking(own, signs):
        return own
    return next((font for path in _of_system() if not lacking(font := opened(path, size), signs)), own)


def lacking(font: Any, signs: set[str]) -> set[str]:
    """Those of the signs that a font does not have."""
    unknown = _drawn(font, _UNKNOWN)
    return {sign for sign in signs if ord(sign) > 0x7E and _drawn(font, sign) == unknown}


def _drawn(font: Any, sign: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(sign)
    return mask.size, bytes(mask)


def opened(path: Path, size: float) -> Any:
    """The font of a file. Raises OSError where it is none."""
    from PIL import ImageFont

    # Pillow reads the bytes, not the path: FreeType opens no names with letters beyond ASCII on some systems.
    return ImageFont.truetype(io.BytesIO(path.read_bytes()), size)


@cache
def _of_system() -> tuple[Path, ...]:
    return tuple(_found())


def _found() -> Iterator[Path]:
    for folder, names in _SYSTEM.items():
        for name in names:
            yield from sorted(Path(folder).rglob(name))[:1]
