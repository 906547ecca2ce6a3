"""Videos: MP4 (H.264) by PyAV, animated WebP and GIF by Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from safelight.sdk.image_files import FORMATS as IMAGES
from safelight.sdk.image_files import image_format
from safelight.sdk.media import Format, Measures, MediaFile, file_format
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import Audio, Video

from . import boxes
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
from .image import on_white, pil_image

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PILImage

MAX_UNPACKED = 8 << 30
"""Bytes of frames that are unpacked at most: a small file may claim to be hours long."""
_ISO = ("video/mp4", "video/quicktime")
_MOVING = tuple(one for one in IMAGES if one.name in ("WEBP", "GIF"))
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


class VideoMedium(Medium):
    """Videos, as frames with or without sound."""

    name = "video"
    values = (Video,)
    formats = (
        file_format("QuickTime", "video/quicktime", ".mov", rb"....ftypqt  ", inline=True),
        file_format("MP4", "video/mp4", ".mp4 .m4v", rb"....ftyp(?!avi[fs]|M4A |mif1|heic)", inline=True),
        file_format("WebM", "video/webm", ".webm", rb"\x1aE\xdf\xa3", inline=True),
        *_MOVING,
    )
    written = ("mp4", "webp", "gif")
    carries = frozenset(_ISO)
    view = "video"
    thumbnails = True
    limits = Limits(bytes=256 << 20, pixels=7680 * 4320, seconds=3600)

    def encode(self, value: Video, format: Format, **options: Any) -> list[MediaFile]:
        """One file. `quality`: 1..100; 100 keeps every pixel of a WebP.

        MP4 has H.264 in 4:2:0, which all browsers play, and sound in AAC. Its sides are even: a last row or column is
        repeated where they are not. WebP and GIF have no sound.
        """
        quality = int(options.get("quality", 90))
        data = _mp4(value, quality) if format.media_type in _ISO else _moving(value, format, quality)
        height, width = value.frames.shape[1:3]
        return [MediaFile(data, format, Measures(width=width, height=height, frames=len(value), seconds=value.seconds))]

    def decode(self, source: Source, shown: str) -> Video:
        form = image_format(_head(source))
        if form is None:
            return _decoded(source, shown)
        if form not in _MOVING:
            raise unreadable(shown, f"it is an image ({form.name}), not a video")
        return _unmoving(source, shown)

    def measure(self, source: Source) -> Measures:
        data = read(source)
        if data[4:8] == b"ftyp":
            return boxes.measure(data)
        try:
            with _opened(data, "") as (container, stream):
                seconds = float(container.duration or 0) / 1_000_000
                return Measures(width=stream.width, height=stream.height, frames=stream.frames, seconds=seconds)
        except Exception:  # PyAV is not there, or it is no video
            return Measures()

    def thumbnail(self, source: Source, side: int) -> PILImage:
        """The first frame."""
        try:
            with _opened(source, "the video") as (container, stream):
                _check_pixels(stream, "the video")
                for frame in container.decode(stream):
                    return _upright(frame.to_image(), frame)
        except OSError as error:
            raise no_thumbnail(str(error)) from error
        raise no_thumbnail("it has no frame that can be decoded")

    def preview(self, value: Video) -> PILImage:
        """The first frame."""
        return pil_image(value.images(0, 1).pixels[0]).convert("RGB")

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return boxes.embed(data, packed)

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        return boxes.extract(data) if media_type in _ISO else None

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
            with _opened(data, shown) as (container, stream):
                if next(container.decode(stream), None) is None:
                    raise damaged(shown, "not one frame of it can be decoded")
        kept = boxes.without_private(data) if format.media_type in _ISO else _remuxed(data, shown)
        return Accepted(kept, format, measures)


def require_av(what: str) -> Any:
    """PyAV. Raises ProblemError `needs_package` that says how to install it."""
    try:
        import av
    except ImportError:
        raise needs_package(what, "av", "video") from None
    return av


def _has_av() -> bool:
    import importlib.util

    return importlib.util.find_spec("av") is not None


def _head(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[:64]
    with source.open("rb") as file:
        return file.read(64)


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
def _opened(source: Source, shown: str) -> Iterator[tuple[Any, Any]]:
    """The same with its first video stream."""
    with _container(source, shown) as container:
        if not container.streams.video:
            raise damaged(shown, "there is no video in it")
        yield container, container.streams.video[0]


def _check_pixels(stream: Any, shown: str) -> None:
    width, height = stream.width or 0, stream.height or 0
    if width * height > VideoMedium.limits.pixels:
        raise too_large(shown, f"{width} x {height} pixels", "7680 x 4320")


def _upright(pil_image: PILImage, frame: Any) -> PILImage:
    """Turned as the camera says."""
    turn = int(getattr(frame, "rotation", 0) or 0) % 360
    return pil_image.rotate(turn, expand=True) if turn else pil_image


def _decoded(source: Source, shown: str) -> Video:
    import numpy
    import torch

    frames: torch.Tensor | None = None
    count = 0
    with _opened(source, shown) as (container, stream):
        _check_pixels(stream, shown)
        stream.thread_type = "AUTO"
        fps = float(stream.average_rate or stream.guessed_rate or 24)
        expected = max(int(stream.frames or 0), 1)
        for frame in container.decode(stream):
            turn = int(getattr(frame, "rotation", 0) or 0) % 360 // 90
            pixels = numpy.rot90(frame.to_ndarray(format="rgb24"), turn)
            if frames is None or count == len(frames):
                # One piece of memory from the start where the number of frames is known, else it doubles.
                length = expected if frames is None else 2 * len(frames)
                if length * pixels.size > MAX_UNPACKED and (count + 1) * pixels.size > MAX_UNPACKED // 2:
                    raise too_large(shown, "too many frames", f"{MAX_UNPACKED >> 30} GiB of frames")
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
    return Video(frames[:count].clone() if count < len(frames) else frames, fps, _sound(source, shown))


def _sound(source: Source, shown: str) -> Audio | None:
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


def _unmoving(source: Source, shown: str) -> Video:
    """The frames of an animated WebP or GIF."""
    import numpy
    import torch
    from PIL import Image, ImageSequence

    try:
        with Image.open(io.BytesIO(read(source)), formats=[one.name for one in _MOVING]) as pil_image:
            count = getattr(pil_image, "n_frames", 1)
            if pil_image.width * pil_image.height > VideoMedium.limits.pixels:
                raise too_large(shown, f"{pil_image.width} x {pil_image.height} pixels", "7680 x 4320")
            if count * pil_image.width * pil_image.height * 3 > MAX_UNPACKED:
                raise too_large(shown, f"{count} frames", f"{MAX_UNPACKED >> 30} GiB of frames")
            frames = torch.empty((count, pil_image.height, pil_image.width, 3), dtype=torch.uint8)
            durations: list[float] = []
            for number, frame in enumerate(ImageSequence.Iterator(pil_image)):
                frames[number] = torch.from_numpy(numpy.array(on_white(frame.convert("RGBA"))))
                durations.append(float(frame.info.get("duration", 0) or 0) / 1000)
    except ProblemError:
        raise
    except Exception as error:  # Pillow raises all sorts of things
        raise unreadable(shown, str(error) or "it is damaged") from error
    return _evenly(frames, durations, shown)


def _evenly(frames: torch.Tensor, durations: list[float], shown: str) -> Video:
    """A video whose frames all last equally long: one that lasts as long as several stands for several, since writers
    of such files put equal frames together.
    """
    import torch

    shortest = min((one for one in durations if one > 0), default=0.0)
    if not shortest:
        return Video(frames)
    times = [max(1, round(one / shortest)) for one in durations]
    if sum(times) * frames[0].numel() > MAX_UNPACKED:
        raise too_large(shown, f"{sum(times)} frames", f"{MAX_UNPACKED >> 30} GiB of frames")
    if max(times) > 1:
        frames = frames.repeat_interleave(torch.tensor(times), dim=0)
    return Video(frames, sum(times) / sum(durations))


def _images(video: Video) -> Iterator[PILImage]:
    for number in range(len(video)):
        yield pil_image(video.frames[number])


def _moving(video: Video, form: Format, quality: int) -> bytes:
    pil_images = _images(video) if form.name == "WEBP" else (on_white(one) for one in _images(video))
    buffer = io.BytesIO()
    lossless = {"lossless": True} if quality == 100 else {"quality": quality}
    options = lossless | {"method": 4} if form.name == "WEBP" else {"disposal": 1}
    # Times are whole milliseconds: each frame ends where it should, and no rounding adds up.
    ends = [round(1000 * (number + 1) / video.fps) for number in range(len(video))]
    durations = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    first = next(pil_images)
    first.save(buffer, form.name, save_all=True, append_images=pil_images, duration=durations, loop=0, **options)
    return buffer.getvalue()


def _mp4(video: Video, quality: int) -> bytes:
    av = require_av("Saving an MP4")
    import numpy

    height, width = video.frames.shape[1:3]
    wide, high = width + width % 2, height + height % 2
    rate = Fraction(video.fps).limit_denominator(1001)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.options = {"crf": str(min(51, 8 + 100 - quality)), "preset": "medium"}
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1  # BT.709
        sound = _sound_stream(container, video.audio)
        for pil_image in _images(video):
            pixels = numpy.asarray(on_white(pil_image))
            pixels = numpy.pad(pixels, ((0, high - height), (0, wide - width), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(numpy.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None and video.audio is not None:
            _put_sound(av, container, sound, video.audio)
    return buffer.getvalue()


def _sound_stream(container: Any, audio: Audio | None) -> Any:
    if audio is None:
        return None
    rate = audio.rate if audio.rate in _AAC_RATES else 48000
    return container.add_stream("aac", rate=rate, layout="mono" if audio.samples.shape[1] == 1 else "stereo")


def _put_sound(av: Any, container: Any, stream: Any, audio: Audio) -> None:
    """The first sound of the batch; of more than two channels the first two."""
    import numpy

    channels = 1 if audio.samples.shape[1] == 1 else 2
    samples = numpy.ascontiguousarray(audio.samples[0, :channels].clamp(-1, 1).numpy())
    resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
    for start in range(0, samples.shape[1], audio.rate):
        piece = numpy.ascontiguousarray(samples[:, start : start + audio.rate])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=stream.layout)
        frame.sample_rate = audio.rate
        frame.pts = start
        frame.time_base = Fraction(1, audio.rate)
        for ready in resampler.resample(frame):
            container.mux(stream.encode(ready))
    for ready in resampler.resample(None):
        container.mux(stream.encode(ready))
    container.mux(stream.encode())


def _remuxed(data: bytes, shown: str) -> bytes:
    """The same streams in a container without anything else."""
    av = require_av("Keeping this video")
    buffer = io.BytesIO()
    with _opened(data, shown) as (source, _), av.open(buffer, "w", format="webm") as target:
        streams = (*source.streams.video, *source.streams.audio)
        pairs = {one.index: target.add_stream_from_template(one) for one in streams}
        for packet in source.demux(streams):
            if packet.dts is not None:
                packet.stream = pairs[packet.stream.index]
                target.mux(packet)
    return buffer.getvalue()
