"""Small image files of every kind, made here: colour profiles, transparency by a colour, 16 bits, turned cameras."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy
from PIL import Image

_D65 = (0.9642, 1.0, 0.8249)
_P3 = ((0.5151, 0.2412, -0.0011), (0.2919, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def profile(space: str = "RGB", gamma: float = 1.0) -> bytes:
    """An ICC profile (version 2): primaries of Display P3, or grey, with a plain power law."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79), b"wtpt": _xyz(_D65)}
    tags[b"cprt"] = b"text\0\0\0\0none\0\0\0\0"
    if space == "GRAY":
        tags[b"kTRC"] = curve
    else:
        for name, primary in zip("rgb", _P3, strict=True):
            tags[name.encode() + b"XYZ"] = _xyz(primary)
            tags[name.encode() + b"TRC"] = curve
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x02400000, b"mntr", space.ljust(4).encode(), b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", *(round(one * 65536) for one in _D65))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(one * 65536) for one in values))


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def exif(orientation: int, **more: str) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    if more:
        tags[0x010F] = more["maker"]
    return tags.tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: Any, bits: int = 8, key: tuple[int, ...] = (), **chunks: bytes) -> bytes:
    """A PNG of samples (H, W, C) of any depth, C of 1 to 4; `key` is the colour that is transparent."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in samples]
    else:
        flat = (numpy.unpackbits(row.astype(numpy.uint8).reshape(-1, 1), axis=1)[:, 8 - bits :] for row in samples)
        rows = [numpy.packbits(row.reshape(-1)).tobytes() for row in flat]
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    if "profile" in chunks:
        parts += chunk(b"iCCP", b"test\0\0" + zlib.compress(chunks["profile"]))
    if key:
        parts += chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    parts += chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")
