"""The containers of PNG, JPEG and WebP: the pieces that such a file is made of. Pixels are not decoded.

Sources: PNG (W3C, third edition), JPEG (ITU-T T.81), WebP (RFC 9649).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from .packed import broken

PNG_HEAD = b"\x89PNG\r\n\x1a\n"
EXIF_FLAG, ALPHA_FLAG, PROFILE_FLAG = 0x08, 0x10, 0x20
Chunk = tuple[bytes, bytes]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end (with length and CRC) of each chunk up to IEND, or up to where the file breaks off."""
    place = len(PNG_HEAD)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if length > 2**31 - 1 or end > len(data):
            return
        yield kind, place, end
        if kind == b"IEND":
            return
        place = end


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its CRC."""
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def jpeg_segments(data: bytes, place: int = 2) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment from `place` on; the last one is where image data start (marker 0xDA)."""
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if length < 2 or end > len(data):
            return
        yield marker, place, end
        if marker == 0xDA:
            return
        place = end


def webp_chunks(data: bytes) -> list[Chunk]:
    """Kind and content of each chunk, up to where the file breaks off."""
    (size,) = struct.unpack_from("<I", data, 4)
    limit = min(len(data), 8 + size)
    place = 12
    chunks: list[Chunk] = []
    while place + 8 <= limit:
        kind, length = struct.unpack_from("<4sI", data, place)
        if place + 8 + length > limit:
            break
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    return chunks


def webp_file(chunks: Iterable[Chunk]) -> bytes:
    """A whole file of chunks, in their order."""
    body = b"".join(
        struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


def webp_header(kind: bytes, content: bytes) -> bytes:
    """The extended header (flags, canvas size) of a file that consists of one plain bitstream."""
    flags = 0
    if kind == b"VP8 " and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        width, height = width & 0x3FFF, height & 0x3FFF
    elif kind == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        flags = ALPHA_FLAG if bits >> 28 & 1 else 0
    else:
        raise broken("its image data cannot be recognised")
    return bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
