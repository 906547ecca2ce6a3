"""Workflows inside images, and the texts that other programs put there. Pixels are neither decoded nor changed.

Formats: PNG (W3C, third edition) in an iTXt chunk; JPEG (ITU-T T.81) in APP1 segments of our own; WebP (RFC 9649) in a
tag of the EXIF chunk. All that is read comes from strangers: lengths are checked, and texts are bounded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

from safelight.sdk.image_files import image_format, riff_breaks_off

from . import exif
from .containers import (
    EXIF_FLAG,
    gif_blocks,
    gif_with,
    jpeg_segment,
    jpeg_segments,
    jpeg_with,
    png_chunk,
    png_chunks,
    png_with,
    webp_chunks,
    webp_file,
    webp_flagged,
)
from .packed import TEXT_LIMIT, broken, inflate, too_much_text

_ENTRY_LIMIT = 1_000
_KEYWORD = b"safelight"
_JPEG_MARK = b"safelight\0"
_GIF_MARK = b"SAFELIGHT10"
"""Eight letters of the program's name, and three of its own."""
_JPEG_PIECE = 65_000


def embed(data: bytes, media_type: str, packed: bytes) -> bytes:
    """The same image with these bytes in it. Raises ProblemError `image_damaged`."""
    return _EMBED[media_type](data, packed)


def extract(data: bytes, media_type: str) -> bytes | None:
    """What `embed` has put into an image; None where there is nothing. Raises ProblemError `image_damaged`."""
    return _EXTRACT.get(media_type, lambda _: None)(data)


def with_parameters(data: bytes, media_type: str, text: str) -> bytes:
    """The same image with settings where A1111 writes them: `parameters` in PNG, the EXIF UserComment elsewhere.

    Images of other formats stay as they are, and so do those whose file says something there already, and JPEG where
    the text is too long for it. Raises ProblemError `image_damaged`.
    """
    if media_type == "image/png" and "parameters" not in texts(data):
        if text.isascii():
            return png_with(data, png_chunk(b"tEXt", b"parameters\0" + text.encode()), lambda *_: False)
        raw = text.encode("utf-8", "replace")
        return png_with(data, png_chunk(b"iTXt", b"parameters\0\0\0\0\0" + raw), lambda *_: False)
    body = exif.comment_only(text)
    if media_type == "image/webp" and all(kind != b"EXIF" for kind, _ in webp_chunks(data)):
        return _webp_with_exif(data, lambda _: body)
    told = any(data[start + 4 : end].startswith(exif.PREFIX) for _, start, end in jpeg_segments(data))
    if media_type == "image/jpeg" and not told and len(body) <= _JPEG_PIECE:
        segment = jpeg_segment(exif.PREFIX + body)
        return jpeg_with(data, [segment], lambda *_: False, lambda _, marker, __: marker == 0xE0)
    return data


def texts(data: bytes) -> dict[str, str]:
    """Texts of other programs by their key, such as `parameters`, `prompt` and `workflow`.

    PNG: tEXt, zTXt and iTXt chunks by keyword. JPEG and WebP: the EXIF UserComment as `parameters`, and EXIF texts that
    start with `prompt:` or `workflow:`. The first of equal keys counts. Damaged entries are left out.

    Raises:
        ProblemError: `embedded_text_too_large` when they are beyond 16 MiB together.
    """
    form = image_format(data)
    kind = form.media_type if form else None
    found: dict[str, str] = {}
    left = TEXT_LIMIT
    pairs = _png_texts(data) if kind == "image/png" else _exif_texts(data, kind)
    for key, packed, encoding in pairs:
        if key in found or len(found) >= _ENTRY_LIMIT:
            continue
        try:
            raw = inflate(packed[1:], left) if packed[:1] == b"z" else packed[1:]
            text = _latin(raw) if encoding == "latin-1" else raw.decode(encoding)
        except (ValueError, zlib.error):
            continue
        if len(raw) > left:
            raise too_much_text()
        left -= len(raw)
        found[key] = text
    return found


def _latin(raw: bytes) -> str:
    """Text of a chunk that is said to be Latin-1. Many programs write UTF-8 there, which Latin-1 hardly ever is."""
    try:
        return raw.decode("utf-8")
    except ValueError:
        return raw.decode("latin-1")


# PNG


def _embed_png(data: bytes, packed: bytes) -> bytes:
    return png_with(data, png_chunk(b"iTXt", _KEYWORD + b"\0\1\0\0\0" + packed), _is_ours)


def _is_ours(data: bytes, kind: bytes, start: int) -> bool:
    mark = _KEYWORD + b"\0"
    return kind in (b"iTXt", b"tEXt", b"zTXt") and data[start + 8 : start + 8 + len(mark)] == mark


def _extract_png(data: bytes) -> bytes | None:
    kind = b""
    for kind, start, end in png_chunks(data):
        if kind == b"iTXt" and _is_ours(data, kind, start):
            (crc,) = struct.unpack_from(">I", data, end - 4)
            head = data[start + 8 + len(_KEYWORD) : start + 8 + len(_KEYWORD) + 5]
            if crc != zlib.crc32(memoryview(data)[start + 4 : end - 4]) or head != b"\0\1\0\0\0":
                raise broken("the workflow in it cannot be read")
            return data[start + 8 + len(_KEYWORD) + 5 : end - 4]
    if kind != b"IEND":
        raise broken("it breaks off")
    return None


def _png_texts(data: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Key, bytes with a mark before them (z: deflated), encoding."""
    for kind, start, end in png_chunks(data):
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or _is_ours(data, kind, start):
            continue
        key, found, rest = data[start + 8 : end - 4].partition(b"\0")
        if not found or not key:
            continue
        if kind == b"tEXt":
            yield key.decode("latin-1"), b"-" + rest, "latin-1"
        elif kind == b"zTXt":
            yield key.decode("latin-1"), b"z" + rest[1:], "latin-1"
        elif len(rest) >= 4:
            text = rest[2:].split(b"\0", 2)
            if len(text) == 3:
                yield key.decode("latin-1"), (b"z" if rest[0] else b"-") + text[2], "utf-8"


# JPEG


def _embed_jpeg(data: bytes, packed: bytes) -> bytes:
    count = -(-len(packed) // _JPEG_PIECE)
    ours: list[bytes] = []
    for number in range(count):
        piece = packed[number * _JPEG_PIECE : (number + 1) * _JPEG_PIECE]
        ours.append(jpeg_segment(_JPEG_MARK + struct.pack(">HH", number, count) + piece))
    # JFIF and EXIF want to be the first; what is ours follows the other application segments.
    return jpeg_with(data, ours, _is_our_segment, lambda _, marker, __: 0xE0 <= marker <= 0xEF)


def _is_our_segment(data: bytes, marker: int, start: int, end: int) -> bool:
    return marker == 0xE1 and data[start + 4 : min(end, start + 4 + len(_JPEG_MARK))] == _JPEG_MARK


def _extract_jpeg(data: bytes) -> bytes | None:
    pieces: dict[int, bytes] = {}
    count = marker = 0
    for marker, start, end in jpeg_segments(data):
        if _is_our_segment(data, marker, start, end):
            place = start + 4 + len(_JPEG_MARK)
            if end - place < 4:
                raise broken("the workflow in it cannot be read")
            number, count = struct.unpack_from(">HH", data, place)
            pieces[number] = data[place + 4 : end]
    if not pieces:
        if marker != 0xDA:
            raise broken("it breaks off")
        return None
    if sorted(pieces) != list(range(count)):
        raise broken("a part of the workflow in it is missing")
    return b"".join(pieces[number] for number in range(count))


# WebP


def _embed_webp(data: bytes, packed: bytes) -> bytes:
    return _webp_with_exif(data, lambda old: exif.set_ours(old, packed))


def _webp_with_exif(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    chunks = webp_chunks(data)
    (size,) = struct.unpack_from("<I", data, 4)
    if riff_breaks_off(data) or not chunks:
        raise broken("it breaks off")
    header, chunks = webp_flagged(chunks, EXIF_FLAG)
    old = next((content for kind, content in chunks if kind == b"EXIF"), b"")
    chunks = [item for item in chunks if item[0] != b"EXIF"]
    # The order is fixed: image data, EXIF, XMP.
    place = next((number for number, item in enumerate(chunks) if item[0] == b"XMP "), len(chunks))
    chunks.insert(place, (b"EXIF", change(old)))
    return webp_file([header, *chunks]) + data[8 + size + size % 2 :]


def _extract_webp(data: bytes) -> bytes | None:
    for kind, content in webp_chunks(data):
        if kind == b"EXIF":
            try:
                return exif.get_ours(content)
            except exif.Broken:
                return None
    if riff_breaks_off(data):
        raise broken("it breaks off")
    return None


# GIF


def _embed_gif(data: bytes, packed: bytes) -> bytes:
    pieces = [packed[at : at + 255] for at in range(0, len(packed), 255)]
    inside = b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return gif_with(data, b"\x21\xff\x0b" + _GIF_MARK + inside + b"\0", _GIF_MARK)


def _extract_gif(data: bytes) -> bytes | None:
    kind = 0
    for kind, content, start, end in gif_blocks(data):
        if (kind, content) == (0xFF, _GIF_MARK):
            place, pieces = start + 3 + len(_GIF_MARK), []
            while place < end - 1:
                pieces.append(data[place + 1 : place + 1 + data[place]])
                place += 1 + data[place]
            return b"".join(pieces)
    if kind != 0x3B:
        raise broken("it breaks off")
    return None


def _exif_texts(data: bytes, kind: str | None) -> Iterator[tuple[str, bytes, str]]:
    blocks: list[bytes] = []
    if kind == "image/jpeg":
        blocks = [data[start + 4 : end] for marker, start, end in jpeg_segments(data) if marker == 0xE1]
        blocks = [block for block in blocks if block.startswith(exif.PREFIX)]
    elif kind == "image/webp":
        blocks = [content for name, content in webp_chunks(data) if name == b"EXIF"]
    for block in blocks:
        try:
            tags = exif.read(block)
        except exif.Broken:
            continue
        for number, value in tags.items():
            if number == exif.USER_COMMENT:
                yield "parameters", *_comment(value, block.removeprefix(exif.PREFIX).startswith(b"II"))
                continue
            key, found, text = value.partition(b":")
            if found and key.lower() in (b"prompt", b"workflow"):
                yield key.decode().lower(), b"-" + text.rstrip(b"\0"), "utf-8"


def _comment(value: bytes, little: bool) -> tuple[bytes, str]:
    """The bytes and encoding of a UserComment, which names its character set in its first 8 bytes."""
    if value.startswith(exif.UNICODE):
        text = value[8 : 8 + (len(value) - 8) // 2 * 2]
        # The order of bytes is not written down: some writers take that of the file, most take big-endian always.
        zeros = text[:200:2].count(0), text[1:200:2].count(0)
        small = zeros[1] > zeros[0] or (zeros[0] == zeros[1] and little)
        return b"-" + text, "utf-16-le" if small else "utf-16-be"
    if value.startswith((b"ASCII\0\0\0", b"\0" * 8)):
        value = value[8:]
    return b"-" + value.rstrip(b"\0"), "utf-8"


_EMBED = {"image/png": _embed_png, "image/jpeg": _embed_jpeg, "image/webp": _embed_webp, "image/gif": _embed_gif}
_EXTRACT: dict[str, Callable[[bytes], bytes | None]] = {
    "image/png": _extract_png,
    "image/jpeg": _extract_jpeg,
    "image/webp": _extract_webp,
    "image/gif": _extract_gif,
}
CARRIERS = frozenset(_EMBED)
"""Media types of images that can carry a workflow."""
