"""Texts that other programs put into files that are no images: videos, sound, scenes, drawings, weights. Nothing is
decoded; lengths are checked, and texts are bounded.

Sources: ISO/IEC 14496-12 and Apple's QuickTime file format (metadata by keys), RFC 9559 (Matroska), RFC 9639 (FLAC),
the Vorbis I specification, RFC 7845 (Opus in Ogg), ID3v2.3 and 2.4, glTF 2.0, the format of safetensors, and the chunk
`comf` of animated PNGs that ComfyUI writes.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from safelight.sdk.problem import ProblemError

from . import boxes, ebml, glb
from .containers import png_chunks
from .packed import TEXT_LIMIT, too_much_text

_WANTED = frozenset({"prompt", "workflow", "parameters"})
_SVG = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml.{0,2000}?\?>\s*)?(?:<!--.{0,20000}?-->\s*|<!DOCTYPE.{0,2000}?>\s*)*<svg\b", re.S
)
_METADATA = re.compile(rb"<metadata[^>]{0,2000}>\s*<!\[CDATA\[(.*?)\]\]>", re.S)
Pair = tuple[str, bytes]


def tagged(data: bytes) -> dict[str, str]:
    """Texts by their key, `prompt`, `workflow` or `parameters`; the first of equal keys counts. What is damaged is left
    out.

    Raises:
        ProblemError: `embedded_text_too_large` when they are beyond 16 MiB together.
    """
    found: dict[str, str] = {}
    read = next((one for mark, one in _READERS if mark(data)), None)
    left = TEXT_LIMIT
    for key, raw in _sound(read(data)) if read is not None else ():
        if key.lower() not in _WANTED or key.lower() in found:
            continue
        if len(raw) > left:
            raise too_much_text()
        left -= len(raw)
        try:
            found[key.lower()] = raw.decode("utf-8")
        except ValueError:
            continue
    return found


def _sound(pairs: Iterator[Pair]) -> Iterator[Pair]:
    """Up to where the file is damaged."""
    try:
        yield from pairs
    except (ValueError, IndexError, struct.error):
        return
    except ProblemError as error:
        if any(problem.code == "embedded_text_too_large" for problem in error.problems):
            raise


def _animated(data: bytes) -> Iterator[Pair]:
    for kind, start, end in png_chunks(data):
        if kind == b"comf":
            key, _, text = data[start + 8 : end - 4].partition(b"\0")
            yield key.decode("latin-1"), text


def _movie(data: bytes) -> Iterator[Pair]:
    """Metadata by keys: names in `keys`, and values in `ilst` by the number of their name."""
    todo = [(0, len(data), 0)]
    names: list[str] = []
    while todo:
        start, end, depth = todo.pop()
        for kind, _, content, stop in boxes.boxes(data, start, end):
            if kind in (b"moov", b"udta") and depth < 4:
                todo.append((content, stop, depth + 1))
            elif kind == b"meta" and depth < 4:
                # ISO's has a version before what it holds, QuickTime's has none.
                todo.append((content + (0 if data[content + 4 : content + 8] == b"hdlr" else 4), stop, depth + 1))
            elif kind == b"keys":
                names = list(_keys(data, content, stop))
            elif kind == b"ilst":
                yield from _listed(data, content, stop, names)


def _keys(data: bytes, start: int, end: int) -> Iterator[str]:
    (count,) = struct.unpack_from(">I", data, start + 4)
    at = start + 8
    for _ in range(min(count, 1000)):
        (size,) = struct.unpack_from(">I", data, at)
        if size < 8 or at + size > end:
            return
        yield data[at + 8 : at + size].decode("utf-8", "replace")
        at += size


def _listed(data: bytes, start: int, end: int, names: list[str]) -> Iterator[Pair]:
    for kind, _, content, stop in boxes.boxes(data, start, end):
        number = int.from_bytes(kind, "big")
        for inner, _, value, last in boxes.boxes(data, content, stop):
            if inner == b"data" and 1 <= number <= len(names) and last - value >= 8:
                yield names[number - 1], data[value + 8 : last]


def _matroska(data: bytes) -> Iterator[Pair]:
    for name, value in ebml.tags(data):
        yield name.decode("utf-8", "replace"), value.rstrip(b"\0")


def _flac(data: bytes) -> Iterator[Pair]:
    at, last = 4, False
    while not last:
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if kind == 4:
            yield from _comments(data[at + 4 : at + 4 + size])
        at += 4 + size


def _ogg(data: bytes) -> Iterator[Pair]:
    """The second packet of the first stream has the comments."""
    packets: list[bytes] = []
    piece, at, serial = bytearray(), 0, data[14:18]
    while len(packets) < 2 and data[at : at + 4] == b"OggS":
        count = data[at + 26]
        table = data[at + 27 : at + 27 + count]
        place = at + 27 + count
        for size in table if data[at + 14 : at + 18] == serial else ():
            piece += data[place : place + size]
            place += size
            if size < 255:
                packets.append(bytes(piece))
                piece.clear()
        if len(piece) > TEXT_LIMIT:
            raise too_much_text()
        at += 27 + count + sum(table)
    for mark in (b"OpusTags", b"\x03vorbis"):
        if len(packets) > 1 and packets[1].startswith(mark):
            yield from _comments(packets[1][len(mark) :])


def _comments(data: bytes) -> Iterator[Pair]:
    """Vorbis comments: KEY=value, each with its length before it."""
    (size,) = struct.unpack_from("<I", data, 0)
    (count,) = struct.unpack_from("<I", data, 4 + size)
    at = 8 + size
    for _ in range(min(count, 10_000)):
        (size,) = struct.unpack_from("<I", data, at)
        key, found, value = data[at + 4 : at + 4 + size].partition(b"=")
        if found and at + 4 + size <= len(data):
            yield key.decode("latin-1"), value
        at += 4 + size


def _mpeg(data: bytes) -> Iterator[Pair]:
    """Frames TXXX of an ID3 tag: encoding, description, value."""
    new = data[3] >= 4
    end = min(len(data), 10 + _seven(data[6:10]))
    at = 10
    while at + 10 <= end and data[at] != 0:
        size = _seven(data[at + 4 : at + 8]) if new else int.from_bytes(data[at + 4 : at + 8], "big")
        body = data[at + 10 : at + 10 + size]
        if data[at : at + 4] == b"TXXX" and body:
            encoding = {0: "latin-1", 1: "utf-16", 2: "utf-16-be"}.get(body[0], "utf-8")
            key, _, value = body[1:].decode(encoding).partition("\0")
            yield key, value.lstrip("\ufeff").rstrip("\0").encode()
        at += 10 + size


def _seven(data: bytes) -> int:
    """A number with seven bits in each byte."""
    found = 0
    for byte in data:
        found = found << 7 | (byte & 0x7F)
    return found


def _scene(data: bytes) -> Iterator[Pair]:
    asset = glb.split(data)[0].get("asset")
    yield from _values(asset.get("extras") if isinstance(asset, Mapping) else None)


def _drawing(data: bytes) -> Iterator[Pair]:
    found = _METADATA.search(data[: 2 * TEXT_LIMIT])
    if found is not None:
        yield from _values(_parsed(found[1]))


def _weights(data: bytes) -> Iterator[Pair]:
    (size,) = struct.unpack_from("<Q", data, 0)
    header = _parsed(data[8 : 8 + size]) if size <= TEXT_LIMIT else None
    yield from _values(header.get("__metadata__") if isinstance(header, Mapping) else None)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _values(given: Any) -> Iterator[Pair]:
    """Texts of an object; what is JSON itself is written as its text."""
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if key in _WANTED:
            yield key, (value if isinstance(value, str) else json.dumps(value)).encode()


def _is_weights(data: bytes) -> bool:
    return len(data) > 10 and data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= len(data) - 8


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Iterator[Pair]]], ...] = (
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _animated),
    (lambda data: data[4:8] == b"ftyp", _movie),
    (lambda data: data.startswith(b"\x1a\x45\xdf\xa3"), _matroska),
    (lambda data: data.startswith(b"fLaC"), _flac),
    (lambda data: data.startswith(b"OggS"), _ogg),
    (lambda data: data.startswith(b"ID3"), _mpeg),
    (lambda data: data.startswith(b"glTF"), _scene),
    (lambda data: _SVG.match(data[:65536]) is not None, _drawing),
    (_is_weights, _weights),
)
