"""Images with the settings of other programs in them, and what is read from them."""

from __future__ import annotations

from typing import Any

from PIL import Image, PngImagePlugin

from safelight.graph import Document, check
from safelight.interop.reading import read
from safelight.media.registry import built_in
from safelight.sdk.pack import load_packs
from safelight.sdk.problem import errors
from tiny_images import encoded

CATALOGUE = load_packs()


def png(**entries: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in entries.items():
        info.add_itxt(key, text)
    return encoded(Image.new("RGB", (8, 8)), pnginfo=info)


def commented(form: str, text: str) -> bytes:
    tags = Image.Exif()
    tags.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf-16-be")
    return encoded(Image.new("RGB", (8, 8)), form, exif=tags.tobytes())


def made(data: bytes) -> tuple[Document, list[str]]:
    reading = read(data, built_in())
    document, report = reading
    assert report is not None and report.whole
    assert not errors(check(document, CATALOGUE).problems), check(document, CATALOGUE).problems
    assert Document.loads(document.dumps()) == document
    return document, [one.message for one in report.remarks]


def values(document: Document, name: str) -> dict[str, Any]:
    return document.nodes[name].values
