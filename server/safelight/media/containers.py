"""The containers of PNG, JPEG, WebP and GIF: the pieces that such a file is made of. Pixels are not decoded.

Sources: PNG (W3C, third edition), JPEG (ITU-T T.81), WebP (RFC 9649),
GIF89a (CompuServe 1990).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

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


def png_with(data: bytes, ours: bytes, is_old: Callable[[bytes, bytes, int], bool]) -> bytes:
    """A PNG with one more chunk behind its header, and without those that `is_old` (file, kind, start) picks out."""
    chunks = list(png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise broken("it breaks off")
    kept = [data[start:end] for kind, start, end in chunks[1:] if not is_old(data, kind, start)]
    return b"".join([data[: chunks[0][2]], ours, *kept, data[chunks[-1][2] :]])


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


def jpeg_segment(body: bytes) -> bytes:
    """An application segment of EXIF's and XMP's kind (APP1)."""
    return struct.pack(">BBH", 0xFF, 0xE1, len(body) + 2) + body


def jpeg_with(
    data: bytes,
    ours: Sequence[bytes],
    is_old: Callable[[bytes, int, int, int], bool],
    goes_before: Callable[[bytes, int, int], bool],
) -> bytes:
    """A JPEG with more segments, behind the first ones that each `goes_before` (file, marker, start), and without those
    that `is_old` (file, marker, start, end) picks out."""
    segments = list(jpeg_segments(data))
    if not segments or segments[-1][0] != 0xDA:
        raise broken("it breaks off")
    kept = [item for item in segments if not is_old(data, *item)]
    place = next(number for number, (marker, start, _) in enumerate(kept) if not goes_before(data, marker, start))
    before = [data[start:end] for _, start, end in kept[:place]]
    after = [data[start:end] for _, start, end in kept[place:-1]]
    return b"".join([data[:2], *before, *ours, *after, data[segments[-1][1] :]])


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


def webp_flagged(chunks: Sequence[Chunk], flag: int) -> tuple[Chunk, list[Chunk]]:
    """The extended header of a file of these chunks, with one more flag, and the other chunks."""
    kind, header = chunks[0]
    extended = kind == b"VP8X"
    if not extended:
        header = webp_header(kind, header)
    if len(header) < 10:
        raise broken("its header is too short")
    return (b"VP8X", bytes([header[0] | flag]) + header[1:]), list(chunks[1:] if extended else chunks)


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


def gif_head(data: bytes) -> int:
    """Where the first block starts: behind the header and the colours of all frames."""
    return 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 128 else 0)


def gif_blocks(data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
    """Kind, content of the first piece, start and end of each block up to the trailer, or up to where the file breaks
    off. The kind is the label of an extension (0xFF: of a program, 0xF9: times), or 0x2C for an image, 0x3B for the
    trailer.
    """
    place = gif_head(data)
    while place < len(data):
        start, kind = place, data[place]
        content = b""
        if kind == 0x3B:
            yield kind, content, start, start + 1
            return
        if kind == 0x21 and place + 2 < len(data):
            kind = data[place + 1]
            content = data[place + 3 : place + 3 + data[place + 2]]
            place += 2
        elif kind == 0x2C and place + 10 < len(data):
            flags = data[place + 9]
            place += 11 + (3 << (flags & 7) + 1 if flags & 128 else 0)
        else:
            return
        while place < len(data) and data[place]:
            place += 1 + data[place]
        place += 1
        if place > len(data):
            return
        yield kind, content, start, place


def gif_with(data: bytes, ours: bytes, name: bytes) -> bytes:
    """A GIF with one more block before its trailer, and without those of the program of this name."""
    blocks = list(gif_blocks(data))
    if not blocks or blocks[-1][0] != 0x3B:
        raise broken("it breaks off")
    kept = [data[start:end] for kind, content, start, end in blocks[:-1] if (kind, content) != (0xFF, name)]
    return b"".join([data[: gif_head(data)], *kept, ours, data[blocks[-1][2] :]])
