"""What image files say of themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LONG = 100_000
_BLOCKS = (0x8769, 0x8825, 0x927C)
"""Tags that point to blocks of others: EXIF, GPS, and what each maker has for itself."""
_SOURCE_TYPE = re.compile(r"DigitalSourceType[^>]*?(?:=\s*[\"']|>\s*)([^\"'<>]*)")


def metadata_of(path: Path, shown: str) -> dict[str, Any]:
    """Format, size, `exif` by names of tags, `texts` by key, `origin`, all as JSON can hold it.

    Raises:
        ProblemError: `image_unreadable`, `image_too_large`.
    """
    from PIL import ExifTags, Image

    from safelight.sdk.image_files import image_format

    from ._files import read_image_file

    height, width = read_image_file(path, shown).shape[:2]  # tells what cannot be read
    with path.open("rb") as file:
        form = image_format(file.read(64))
    exif: dict[str, Any] = {}
    texts: dict[str, str] = {}
    with Image.open(path) as opened:
        image: Any = opened
        image.load()  # PNG may have texts behind the pixels
        tags = image.getexif()
        for block, names in (
            (tags, ExifTags.TAGS),
            (tags.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS),
            (tags.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPSTAGS),
        ):
            for number, value in block.items():
                if number not in _BLOCKS:
                    exif[str(names.get(number, number))] = _plain(value)
        for key, value in image.info.items():
            if isinstance(value, str) and len(value) <= _LONG and not key.startswith("XML:"):
                texts[str(key)] = value
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    comment = exif.get("UserComment")
    if isinstance(comment, str) and "parameters" not in texts:
        texts["parameters"] = comment
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else str(xmp)
    source = _SOURCE_TYPE.search(text[:_LONG])
    return {
        "format": form.name if form else "TGA",
        "width": width,
        "height": height,
        "exif": exif,
        "texts": texts,
        "origin": source[1].strip().rsplit("/", 1)[-1] if source else "",
    }


def _plain(value: Any) -> Any:
    """A value of a tag as JSON can hold it: fractions become numbers, bytes a text or their length."""
    if isinstance(value, bool | int | str):
        return value.rstrip("\0") if isinstance(value, str) else value
    if isinstance(value, bytes):
        return _comment(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return str(value)
    return number if abs(number) < float("inf") else None


def _comment(value: bytes) -> str:
    """The text of bytes, among them a UserComment, which names its character set in its first 8 bytes."""
    if value.startswith(b"UNICODE\0"):
        text = value[8:]
        return text.decode("utf-16-be" if text[:200:2].count(0) >= text[1:200:2].count(0) else "utf-16-le", "replace")
    try:
        text = value.removeprefix(b"ASCII\0\0\0").rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(value)} bytes"
    return text if text.isprintable() or "\n" in text else f"{len(value)} bytes"
