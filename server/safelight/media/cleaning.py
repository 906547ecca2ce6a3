"""Images from strangers with nothing left in them but the image: their pixels stay encoded as they are.

What is kept is listed, so that whatever else a file holds goes: places and cameras, thumbnails, texts, workflows, and
what was hung on behind the end. Of EXIF, the orientation stays; of profiles, one that changes colours.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from . import exif
from .containers import (
    ALPHA_FLAG,
    EXIF_FLAG,
    PNG_HEAD,
    PROFILE_FLAG,
    Chunk,
    gif_blocks,
    gif_head,
    jpeg_segments,
    png_chunk,
    png_chunks,
    webp_chunks,
    webp_file,
    webp_header,
)

_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB")
_PNG_MOVING = (b"acTL", b"fcTL", b"fdAT")
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_KEPT = {*_JPEG_FRAMES, 0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD}
_JPEG_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_JPEG_END = 0xD9
_ICC_MARK, _ICC_PIECE = b"ICC_PROFILE\0", 65_519
_MANY_SCANS = 200
_ANIMATED = 0x02


def clean(data: bytes, media_type: str, orientation: int, profile: bytes | None) -> bytes | None:
    """The same image without all that is not the image; None for a file that has to be written again for that.

    Args:
        data: a file that can be decoded.
        media_type: its format.
        orientation: EXIF's number, 1 to 8, to be kept.
        profile: the ICC profile to be kept.
    """
    cleaner = _CLEANERS.get(media_type)
    return cleaner(data, orientation, profile) if cleaner else None


def _png(data: bytes, orientation: int, profile: bytes | None) -> bytes | None:
    pieces = [PNG_HEAD]
    for kind, start, end in png_chunks(data):
        if kind not in _PNG_KEPT or (kind == b"sRGB" and profile):
            continue
        pieces.append(data[start:end])
        if kind == b"IHDR" and profile:
            pieces.append(png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile)))
        if kind == b"IHDR" and orientation != 1:
            pieces.append(png_chunk(b"eXIf", exif.orientation_only(orientation)))
    return b"".join(pieces) if pieces[-1][4:8] == b"IEND" else None


def _jpeg(data: bytes, orientation: int, profile: bytes | None) -> bytes | None:
    first: list[bytes] = [b"\xff\xd8"]
    pieces: list[bytes] = []
    place = 2
    for _ in range(_MANY_SCANS):
        marker = end = 0
        for marker, start, end in jpeg_segments(data, place):
            content = data[start + 4 : end]
            if marker in _JPEG_KEPT:
                pieces.append(data[start:end])
            elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14 and len(first) == 1:
                first.append(_segment(0xE0, content[:12] + b"\0\0"))  # without its thumbnail
            elif marker == 0xEE and content.startswith(b"Adobe"):
                pieces.append(_segment(0xEE, content[:12]))  # says how the colours are encoded
        if marker != 0xDA:
            return None
        following = _JPEG_NEXT.search(data, end)
        if following is None:
            return None
        place = following.start()
        pieces.append(data[end:place].rstrip(b"\xff"))
        if data[place + 1] == _JPEG_END:
            break
    else:
        return None
    if orientation != 1:
        first.append(_segment(0xE1, exif.PREFIX + exif.orientation_only(orientation)))
    parts = [profile[at : at + _ICC_PIECE] for at in range(0, len(profile), _ICC_PIECE)] if profile else []
    if len(parts) > 255:
        return None
    first += [_segment(0xE2, _ICC_MARK + bytes([n, len(parts)]) + part) for n, part in enumerate(parts, 1)]
    return b"".join([*first, *pieces, bytes([0xFF, _JPEG_END])])


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _webp(data: bytes, orientation: int, profile: bytes | None) -> bytes | None:
    chunks = webp_chunks(data)
    image = [chunk for chunk in chunks if chunk[0] in (b"VP8 ", b"VP8L")][:1]
    if not image or any(kind in (b"ANIM", b"ANMF") for kind, _ in chunks):
        return None
    header = webp_header(*image[0])
    alpha = [chunk for chunk in chunks if chunk[0] == b"ALPH"][:1] if image[0][0] == b"VP8 " else []
    before: list[Chunk] = [(b"ICCP", profile)] if profile else []
    after: list[Chunk] = [(b"EXIF", exif.orientation_only(orientation))] if orientation != 1 else []
    if not (alpha or before or after):
        return webp_file(image)
    flags = (ALPHA_FLAG if alpha else 0) | (PROFILE_FLAG if before else 0) | (EXIF_FLAG if after else 0)
    header = bytes([header[0] | flags]) + header[1:]
    return webp_file([(b"VP8X", header), *before, *alpha, *image, *after])


class Animation(NamedTuple):
    """A file that moves, without all that is not the moving image; its frames, and the seconds that they last."""

    data: bytes
    frames: int
    seconds: float


def animation(data: bytes, media_type: str) -> Animation | None:
    """An animated PNG, WebP or GIF with its frames encoded as they are; None for a file that does not move."""
    look = {"image/png": _moving_png, "image/webp": _moving_webp, "image/gif": _moving_gif}.get(media_type)
    found = look(data) if look else None
    return found if found is not None and found.frames > 1 else None


def _moving_webp(data: bytes) -> Animation | None:
    chunks = webp_chunks(data)
    if not chunks or chunks[0][0] != b"VP8X" or len(chunks[0][1]) < 10:
        return None
    kept = [chunk for chunk in chunks[1:] if chunk[0] in (b"ICCP", b"ANIM", b"ANMF")]
    frames = [content for kind, content in kept if kind == b"ANMF"]
    if any(len(content) < 16 for content in frames):
        return None
    seconds = sum(int.from_bytes(content[12:15], "little") for content in frames) / 1000
    header = chunks[0][1]
    header = bytes([header[0] & (_ANIMATED | ALPHA_FLAG | PROFILE_FLAG)]) + header[1:]
    return Animation(webp_file([(b"VP8X", header), *kept]), len(frames), seconds)


def _moving_gif(data: bytes) -> Animation | None:
    """Of extensions, timing and repetition stay."""
    pieces, frames, hundredths = [data[: gif_head(data)]], 0, 0
    for kind, content, start, end in gif_blocks(data):
        if kind == 0x3B:
            return Animation(b"".join([*pieces, b"\x3b"]), frames, hundredths / 100)
        if kind == 0xF9:
            hundredths += int.from_bytes(content[1:3], "little")
        frames += kind == 0x2C
        if kind in (0x2C, 0xF9) or (kind == 0xFF and content == b"NETSCAPE2.0"):
            pieces.append(data[start:end])
    return None


def _moving_png(data: bytes) -> Animation | None:
    """Times are fractions: a numerator of seconds, and 0 stands for hundredths."""
    pieces, frames, seconds = [PNG_HEAD], 0, 0.0
    for kind, start, end in png_chunks(data):
        if kind in _PNG_MOVING or kind in _PNG_KEPT:
            pieces.append(data[start:end])
        if kind == b"fcTL" and end - start >= 12 + 24:
            above, below = struct.unpack_from(">HH", data, start + 8 + 20)
            frames, seconds = frames + 1, seconds + above / (below or 100)
    return Animation(b"".join(pieces), frames, seconds) if pieces[-1][4:8] == b"IEND" else None


_CLEANERS: dict[str, Callable[[bytes, int, bytes | None], bytes | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}
