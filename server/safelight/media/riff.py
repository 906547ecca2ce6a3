"""WAV files: chunks of a RIFF container, and samples in PCM or floats.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM, Microsoft 1991), and its revisions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from safelight.sdk.image_files import riff_breaks_off

from .packed import broken

if TYPE_CHECKING:
    from numpy import ndarray

Chunk = tuple[bytes, bytes]
OURS = b"sflt"
PCM, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE


class NotWave(ValueError):
    """Why a file is no WAV that can be read."""


def chunks(data: bytes) -> list[Chunk]:
    """Kind and content of each chunk, up to where the file breaks off."""
    (size,) = struct.unpack_from("<I", data, 4)
    limit = min(len(data), 8 + size)
    place, found = 12, []
    while place + 8 <= limit:
        kind, length = struct.unpack_from("<4sI", data, place)
        found.append((kind, data[place + 8 : min(place + 8 + length, limit)]))
        place += 8 + length + length % 2
    return found


def wave_file(parts: Iterable[Chunk]) -> bytes:
    """A whole file of chunks, in their order."""
    body = b"".join(struct.pack("<4sI", kind, len(part)) + part + b"\0" * (len(part) % 2) for kind, part in parts)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WAVE") + body


def embed(data: bytes, packed: bytes) -> bytes:
    parts = [one for one in chunks(data) if one[0] != OURS]
    if riff_breaks_off(data) or not any(kind == b"data" for kind, _ in parts):
        raise broken("it breaks off")
    return wave_file([*parts, (OURS, packed)])


def extract(data: bytes) -> bytes | None:
    found = next((part for kind, part in chunks(data) if kind == OURS), None)
    if found is None and riff_breaks_off(data):
        raise broken("it breaks off")
    return found


def header(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Kind of samples, channels, rate, bits, and the bytes of the samples. Raises NotWave."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotWave("it is no WAV file")
    if riff_breaks_off(data):
        raise NotWave("it breaks off")
    parts = dict(reversed(chunks(data)))  # the first of each kind counts
    form, samples = parts.get(b"fmt ", b""), parts.get(b"data")
    if len(form) < 16 or samples is None:
        raise NotWave("it breaks off")
    kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:
        (kind,) = struct.unpack_from("<H", form, 24)
    if not channels or not rate or block != channels * bits // 8:
        raise NotWave("its header is damaged")
    if (kind, bits) not in ((PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOATS, 32), (FLOATS, 64)):
        raise NotWave(f"samples of kind {kind} with {bits} bits are not known")
    return kind, channels, rate, bits, samples[: len(samples) // block * block]


def unpack(data: bytes) -> tuple[ndarray, int]:
    """(channels, T) float32 in -1..1, and the rate. Raises NotWave."""
    import numpy

    kind, channels, rate, bits, raw = header(data)
    if kind == FLOATS:
        samples = numpy.frombuffer(raw, f"<f{bits // 8}").astype(numpy.float32)
        samples = numpy.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    elif bits == 8:
        samples = (numpy.frombuffer(raw, numpy.uint8).astype(numpy.float32) - 128) / 128
    elif bits == 24:
        wide = numpy.zeros((len(raw) // 3, 4), numpy.uint8)
        wide[:, 1:] = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 3)
        samples = wide.view("<i4")[:, 0].astype(numpy.float32) / 2**31
    else:
        samples = numpy.frombuffer(raw, f"<i{bits // 8}").astype(numpy.float32) / 2 ** (bits - 1)
    return numpy.ascontiguousarray(samples.reshape(-1, channels).T), rate


def pack(samples: ndarray, rate: int, bits: int = 16) -> bytes:
    """A WAV of (channels, T) float32: PCM with 16 bits, or the floats as they are with 32."""
    import numpy

    channels = samples.shape[0]
    if bits == 32:
        raw = numpy.ascontiguousarray(samples.T.astype("<f4")).tobytes()
    else:
        raw = numpy.ascontiguousarray((samples.T.clip(-1, 1) * 32767).round().astype("<i2")).tobytes()
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", FLOATS if bits == 32 else PCM, channels, rate, rate * block, block, bits)
    return wave_file([(b"fmt ", form), (b"data", raw)])
