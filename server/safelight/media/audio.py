"""Sound: WAV always, FLAC, OGG and MP3 by soundfile."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

from safelight.sdk.media import Format, Measures, MediaFile, file_format
from safelight.sdk.values import Audio

from . import riff
from .base import (
    Accepted,
    Limits,
    Medium,
    Source,
    damaged,
    needs_package,
    no_thumbnail,
    read,
    too_large,
    unreadable,
)
from .packed import broken

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image as PILImage

_FLAC_ID = b"sflt"
_APPLICATION, _STREAM_INFO, _SEEK_TABLE = 2, 0, 3
_FLAC_MOST = (1 << 24) - 1 - len(_FLAC_ID)
_WAVE, _FLAC = "audio/wav", "audio/flac"
_INK, _GROUND = (124, 92, 255), (24, 24, 30)


class AudioMedium(Medium):
    """Sound, as samples."""

    name = "audio"
    values = (Audio,)
    formats = (
        file_format("WAV", _WAVE, ".wav", rb"RIFF....WAVE", inline=True),
        file_format("FLAC", _FLAC, ".flac", rb"fLaC", inline=True),
        file_format("OGG", "audio/ogg", ".ogg .oga .opus", rb"OggS", inline=True),
        file_format("MP3", "audio/mpeg", ".mp3", rb"ID3|\xff[\xfb\xf3\xf2\xfa]", inline=True),
    )
    written = ("wav", "flac", "ogg")
    carries = frozenset((_WAVE, _FLAC))
    view = "audio"
    thumbnails = True
    limits = Limits(bytes=256 << 20, seconds=3600)

    def encode(self, value: Audio, format: Format, **options: Any) -> list[MediaFile]:
        """A file for each sound of the batch. `bits` of a WAV: 16, or 32 for floats as they are."""
        made: list[MediaFile] = []
        for samples in value.samples:
            sound = samples.clamp(-1, 1).cpu().numpy() if options.get("bits", 16) != 32 else samples.cpu().numpy()
            if format.name == "WAV":
                data = riff.pack(sound, value.rate, int(options.get("bits", 16)))
            else:
                data = _by_library(sound, value.rate, format.name)
            made.append(MediaFile(data, format, Measures(seconds=value.seconds)))
        return made

    def decode(self, source: Source, shown: str) -> Audio:
        import torch

        try:
            samples, rate = _samples(read(source))
        except ValueError as error:
            raise unreadable(shown, str(error)) from error
        if not samples.size:
            raise unreadable(shown, "there is no sound in it")
        return Audio(torch.from_numpy(samples[None].copy()), rate)

    def measure(self, source: Source) -> Measures:
        data = read(source)
        try:
            if data[:4] == b"RIFF":
                _, channels, rate, bits, samples = riff.header(data)
                return Measures(seconds=len(samples) / (channels * bits // 8) / rate)
            if data[:4] == b"fLaC" and len(data) >= 26:
                (packed,) = struct.unpack_from(">Q", data, 18)
                rate, count = packed >> 44, packed & ((1 << 36) - 1)
                return Measures(seconds=count / rate if rate else 0.0)
            import soundfile

            return Measures(seconds=float(soundfile.info(io.BytesIO(data)).duration))
        except Exception:  # soundfile is not there, or it is no sound
            return Measures()

    def thumbnail(self, source: Source, side: int) -> PILImage:
        """The waveform."""
        try:
            samples, _ = _samples(read(source))
        except ValueError as error:
            raise no_thumbnail(str(error)) from error
        return waveform(samples, side, side // 2)

    def preview(self, value: Audio) -> PILImage:
        return waveform(value.samples[0].numpy(), 512, 256)

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return riff.embed(data, packed) if media_type == _WAVE else _embed_flac(data, packed)

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        if media_type == _WAVE:
            return riff.extract(data)
        return _extract_flac(data) if media_type == _FLAC else None

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        """Decoded whole, which proves that it can be. Nothing is encoded again: of a WAV and a FLAC only the samples
        are kept, and the tags of an MP3 are cut off.
        """
        measures = self.measure(data)
        if measures.seconds > self.limits.seconds:
            raise too_large(shown, f"{measures.seconds:.0f} seconds", f"{self.limits.seconds:.0f} seconds")
        try:
            samples, rate = _samples(data)
        except ValueError as error:
            raise damaged(shown, str(error)) from error
        if not samples.size:
            raise damaged(shown, "there is no sound in it")
        return Accepted(_cleaned(data, format), format, Measures(seconds=samples.shape[1] / rate))


def waveform(samples: ndarray, width: int, height: int) -> PILImage:
    """(channels, T) as an image: the highest and the lowest sample of each column."""
    import numpy
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(image)
    mono = samples.mean(axis=0) if samples.size else numpy.zeros(1)
    loudest = max(float(abs(mono).max()), 1e-4)
    edges = numpy.linspace(0, len(mono), width + 1).astype(int)
    middle = height / 2
    for column in range(width):
        piece = mono[edges[column] : max(edges[column + 1], edges[column] + 1)]
        if piece.size:
            top, bottom = (middle - float(found) / loudest * (middle - 4) for found in (piece.max(), piece.min()))
            draw.line([(column, top - 0.5), (column, bottom + 0.5)], fill=_INK)
    return image


def _samples(data: bytes) -> tuple[ndarray, int]:
    """(channels, T) float32 and the rate. Raises ValueError, and ProblemError where a package is missing."""
    if data[:4] == b"RIFF":
        return riff.unpack(data)
    soundfile = _library("Reading a FLAC, OGG or MP3")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.frames > AudioMedium.limits.seconds * file.samplerate:
                raise ValueError(f"it is longer than {AudioMedium.limits.seconds:.0f} seconds")
            samples = file.read(dtype="float32", always_2d=True)
            rate = int(file.samplerate)
    except (RuntimeError, OSError) as error:
        # What libsndfile says of it, without the address of our buffer, which is another each time.
        raise ValueError(getattr(error, "error_string", "") or str(error)) from error
    return samples.T, rate


def _library(what: str) -> Any:
    try:
        import soundfile
    except (ImportError, OSError):
        raise needs_package(what, "soundfile", "audio") from None
    return soundfile


def _by_library(sound: ndarray, rate: int, name: str) -> bytes:
    soundfile = _library(f"Saving {name}")
    buffer = io.BytesIO()
    subtype = "PCM_24" if name == "FLAC" else "VORBIS"
    soundfile.write(buffer, sound.T, rate, format=name, subtype=subtype)
    return buffer.getvalue()


def _cleaned(data: bytes, form: Format) -> bytes:
    if form.name == "WAV":
        kinds = (b"fmt ", b"fact", b"data")
        return riff.wave_file([one for one in riff.chunks(data) if one[0] in kinds])
    if form.name == "FLAC":
        blocks, sound = _flac_blocks(data)
        return _flac_file([one for one in blocks if one[0] in (_STREAM_INFO, _SEEK_TABLE)], sound)
    if form.name == "MP3":
        if data[:3] == b"ID3" and len(data) > 10:
            size = (data[6] & 127) << 21 | (data[7] & 127) << 14 | (data[8] & 127) << 7 | data[9] & 127
            data = data[10 + size :] or data
        return data[:-128] if data[-128:-125] == b"TAG" else data
    return data


# FLAC (RFC 9639): metadata blocks before the frames


def _flac_blocks(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    blocks: list[tuple[int, bytes]] = []
    place = 4
    while place + 4 <= len(data):
        head, length = data[place], int.from_bytes(data[place + 1 : place + 4], "big")
        if place + 4 + length > len(data):
            break
        blocks.append((head & 127, data[place + 4 : place + 4 + length]))
        place += 4 + length
        if head & 128:
            return blocks, data[place:]
    raise broken("it breaks off")


def _flac_file(blocks: list[tuple[int, bytes]], sound: bytes) -> bytes:
    pieces = [b"fLaC"]
    for number, (kind, content) in enumerate(blocks, 1):
        pieces.append(bytes([kind | (128 if number == len(blocks) else 0)]) + len(content).to_bytes(3, "big") + content)
    return b"".join([*pieces, sound])


def _embed_flac(data: bytes, packed: bytes) -> bytes:
    blocks, sound = _flac_blocks(data)
    if len(packed) > _FLAC_MOST:
        raise broken("a workflow of this size has no room in it")
    kept = [one for one in blocks if not _is_ours(one)]
    return _flac_file([*kept, (_APPLICATION, _FLAC_ID + packed)], sound)


def _extract_flac(data: bytes) -> bytes | None:
    blocks, _ = _flac_blocks(data)
    return next((content[len(_FLAC_ID) :] for kind, content in blocks if _is_ours((kind, content))), None)


def _is_ours(block: tuple[int, bytes]) -> bool:
    return block[0] == _APPLICATION and block[1].startswith(_FLAC_ID)
