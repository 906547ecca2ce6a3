"""Videos: streams in MP4, QuickTime and WebM by PyAV, and images that move."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from safelight.sdk.image_files import image_format
from safelight.sdk.media import Format, Measures, MediaFile, file_format
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import Audio, Video

from . import boxes, ebml, moving
from .base import (
    Accepted,
    Limits,
    Medium,
    Source,
    damaged,
    first_bytes,
    no_thumbnail,
    read,
    too_large,
    unreadable,
)
from .image import pil_image
from .writing import require_av, stream_file

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PILImage

_ISO = ("video/mp4", "video/quicktime")
_WEBM = "video/webm"


class VideoMedium(Medium):
    """Videos, as frames with or without sound."""

    name = "video"
    package = "av"
    values = (Video,)
    formats = (
        file_format("QuickTime", "video/quicktime", ".mov", rb"....ftypqt  ", inline=True),
        file_format("MP4", "video/mp4", ".mp4 .m4v", rb"....ftyp(?!avi[fs]|M4A |mif1|heic)", inline=True),
        file_format("AV1", "video/mp4", ".mp4", inline=True),
        file_format("WebM", "video/webm", ".webm", rb"\x1aE\xdf\xa3", inline=True),
        *moving.FORMATS_READ,
    )
    written = ("mp4", "av1", "webm", "webp", "apng", "gif")
    carries = frozenset((*_ISO, _WEBM))
    view = "video"
    thumbnails = True
    limits = Limits(bytes=256 << 20, pixels=moving.MAX_PIXELS, seconds=3600)

    def encode(self, value: Video, format: Format, **options: Any) -> list[MediaFile]:
        """One file. `quality`: 1..100; 100 keeps every pixel of a WebP.

        MP4 has H.264 in 4:2:0, which all browsers play, or AV1, and sound in AAC; WebM has VP9 and Opus. Images that
        move have no sound.
        """
        quality = int(options.get("quality", 90))
        streams = format.media_type in (*_ISO, _WEBM)
        data = (stream_file if streams else moving.moving_image)(value, format, quality)
        height, width = value.frames.shape[1:3]
        return [MediaFile(data, format, Measures(width=width, height=height, frames=len(value), seconds=value.seconds))]

    def decode(self, source: Source, shown: str) -> Video:
        form = image_format(first_bytes(source))
        if form is None:
            return _decoded(source, shown)
        if form.name not in moving.READ:
            raise unreadable(shown, f"it is an image ({form.name}), not a video")
        found = moving.MovingImage(source, shown)
        return found.read(0, len(found))

    def measure(self, source: Source) -> Measures:
        data = read(source)
        if data[4:8] == b"ftyp":
            return boxes.measure(data)
        try:
            with opened(data, "") as (container, stream):
                seconds = float(container.duration or 0) / 1_000_000
                return Measures(width=stream.width, height=stream.height, frames=stream.frames, seconds=seconds)
        except Exception:  # PyAV is not there, or it is no video
            return Measures()

    def thumbnail(self, source: Source, side: int) -> PILImage:
        """The first frame."""
        try:
            with opened(source, "the video") as (container, stream):
                check_pixels(stream, "the video")
                for frame in container.decode(stream):
                    return _upright(frame.to_image(), frame)
        except OSError as error:
            raise no_thumbnail(str(error)) from error
        raise no_thumbnail("it has no frame that can be decoded")

    def preview(self, value: Video) -> PILImage:
        """The first frame."""
        return pil_image(value.images(0, 1).pixels[0]).convert("RGB")

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return _room(media_type).embed(data, packed)

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        return _room(media_type).extract(data) if media_type in self.carries else None

    def mark(self, data: bytes, media_type: str) -> bytes:
        """By XMP in an MP4, and by a tag of that name in a WebM."""
        return _room(media_type).mark(data) if media_type in self.carries else data

    def finish(self, path: Path, media_type: str, packed: bytes | None, *, marked: bool) -> None:
        """A film may be larger than memory: in an MP4 its end alone is written."""
        if media_type in _ISO:
            boxes.finish(path, packed, marked=marked)
        else:
            super().finish(path, media_type, packed, marked=marked)

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        """Nothing is encoded again: what is not the video itself is blanked out of an MP4, and a WebM is written again
        around the same streams. Where PyAV is installed the first frame is decoded, which proves that it can be.
        """
        measures = self.measure(data)
        if not measures.width and format.media_type not in _ISO:
            require_av(f"A video of the kind {format.name}")
        if not measures.width or not measures.height:
            raise damaged(shown, "there is no video in it")
        if measures.width * measures.height > self.limits.pixels:
            raise too_large(shown, f"{measures.width} x {measures.height} pixels", "7680 x 4320")
        if measures.seconds > self.limits.seconds:
            raise too_large(shown, f"{measures.seconds:.0f} seconds", f"{self.limits.seconds:.0f} seconds")
        if _has_av():
            with opened(data, shown) as (container, stream):
                if next(container.decode(stream), None) is None:
                    raise damaged(shown, "not one frame of it can be decoded")
        kept = boxes.without_private(data) if format.media_type in _ISO else _remuxed(data, shown)
        return Accepted(kept, format, measures)


def _room(media_type: str) -> ModuleType:
    """What knows the places for other things in such a file."""
    return ebml if media_type == _WEBM else boxes


def _has_av() -> bool:
    import importlib.util

    return importlib.util.find_spec("av") is not None


@contextmanager
def _container(source: Source, shown: str) -> Iterator[Any]:
    """An opened file. Raises ProblemError for what is none, or breaks while it is read."""
    av = require_av("Reading a video")
    try:
        place = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        with av.open(place, metadata_errors="replace") as container:
            yield container
    except (ProblemError, MemoryError):
        raise
    except Exception as error:  # PyAV raises all sorts of things for files that are broken on purpose
        raise damaged(shown, getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def opened(source: Source, shown: str) -> Iterator[tuple[Any, Any]]:
    """The same with its first video stream."""
    with _container(source, shown) as container:
        if not container.streams.video:
            raise damaged(shown, "there is no video in it")
        yield container, container.streams.video[0]


def check_pixels(stream: Any, shown: str) -> None:
    width, height = stream.width or 0, stream.height or 0
    if width * height > VideoMedium.limits.pixels:
        raise too_large(shown, f"{width} x {height} pixels", "7680 x 4320")


def _upright(pil_image: PILImage, frame: Any) -> PILImage:
    """Turned as the camera says."""
    turn = int(getattr(frame, "rotation", 0) or 0) % 360
    return pil_image.rotate(turn, expand=True) if turn else pil_image


def upright_pixels(frame: Any) -> Any:
    """(H, W, 3) uint8 of a decoded frame, turned as the camera says."""
    import numpy

    turn = int(getattr(frame, "rotation", 0) or 0) % 360 // 90
    return numpy.rot90(frame.to_ndarray(format="rgb24"), turn)


def _decoded(source: Source, shown: str) -> Video:
    import torch

    frames: torch.Tensor | None = None
    count = 0
    with opened(source, shown) as (container, stream):
        check_pixels(stream, shown)
        stream.thread_type = "AUTO"
        fps = float(stream.average_rate or stream.guessed_rate or 24)
        expected = max(int(stream.frames or 0), 1)
        for frame in container.decode(stream):
            pixels = upright_pixels(frame)
            if frames is None or count == len(frames):
                # One piece of memory from the start where the number of frames is known, else it doubles.
                length = expected if frames is None else 2 * len(frames)
                if length * pixels.size > moving.MAX_UNPACKED and (count + 1) * pixels.size > moving.MAX_UNPACKED // 2:
                    raise too_large(shown, "too many frames", f"{moving.MAX_UNPACKED >> 30} GiB of frames")
                larger = torch.empty((length, *pixels.shape), dtype=torch.uint8)
                if frames is not None:
                    larger[:count] = frames
                frames = larger
            if tuple(frames.shape[1:]) != pixels.shape:
                raise unreadable(shown, "its frames are of different sizes")
            frames[count] = torch.from_numpy(pixels.copy())
            count += 1
    if frames is None:
        raise unreadable(shown, "not one frame of it can be decoded")
    return Video(frames[:count].clone() if count < len(frames) else frames, fps, read_sound(source, shown))


def read_sound(source: Source, shown: str) -> Audio | None:
    """The sound of a video; None where there is none."""
    import numpy
    import torch

    av = require_av("Reading a video")
    pieces: list[Any] = []
    with _container(source, shown) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        rate = int(stream.rate)
        resampler = av.AudioResampler(format="fltp", rate=rate)
        for frame in container.decode(stream):
            pieces += [found.to_ndarray() for found in resampler.resample(frame)]
        pieces += [found.to_ndarray() for found in resampler.resample(None)]
    if not pieces:
        return None
    return Audio(torch.from_numpy(numpy.ascontiguousarray(numpy.concatenate(pieces, axis=1))[None]), rate)


def _remuxed(data: bytes, shown: str) -> bytes:
    """The same streams in a container without anything else."""
    av = require_av("Keeping this video")
    buffer = io.BytesIO()
    with opened(data, shown) as (source, _), av.open(buffer, "w", format="webm") as target:
        streams = (*source.streams.video, *source.streams.audio)
        pairs = {one.index: target.add_stream_from_template(one) for one in streams}
        for packet in source.demux(streams):
            if packet.dts is not None:
                packet.stream = pairs[packet.stream.index]
                target.mux(packet)
    return buffer.getvalue()
