"""Videos into streams: H.264 and AV1 in an MP4, VP9 in a WebM, by PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from safelight.sdk.media import Format
from safelight.sdk.values import Audio, Video

from .base import needs_package, problem
from .image import on_white, pil_image
from .scheduling import same_scheduling

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


class _Codec(NamedTuple):
    """A coder of frames: its name in FFmpeg, what is added to 100 - quality for its constant rate factor, the most that
    may come out, its other options, and the least side of a frame that it takes, in pixels."""

    name: str
    base: int
    most: int
    options: dict[str, str]
    least: int = 2


_H264 = _Codec("libx264", 8, 51, {"preset": "medium"})
_CODECS = {
    "MP4": _H264,
    "QuickTime": _H264,
    "AV1": _Codec("libsvtav1", 12, 63, {"preset": "8"}, 4),
    "WebM": _Codec("libvpx-vp9", 10, 63, {"deadline": "good", "cpu-used": "4", "row-mt": "1"}),
}
"""By the name of a format: what writes it."""


def require_av(what: str) -> Any:
    """PyAV. Raises ProblemError `needs_package` that says how to install it."""
    try:
        import av
    except ImportError:
        raise needs_package(what, "av", "video") from None
    return av


def stream_file(video: Video, form: Format, quality: int) -> bytes:
    """A whole file. Its sides are even: a last row or column is repeated where they are not.

    Raises:
        ProblemError: `needs_package`, `codec_missing` where PyAV was built without what writes the format.
    """
    av = require_av(f"Saving {'an' if form.name in ('MP4', 'AV1') else 'a'} {form.name}")
    import os

    import numpy

    os.environ.setdefault("SVT_LOG", "1")  # errors alone: SVT-AV1 writes its settings to the error stream
    height, width = video.frames.shape[1:3]
    wide, high = width + width % 2, height + height % 2
    codec = _codec(av, form)
    if min(wide, high) < codec.least:
        hint = f"Resize it to {codec.least} pixels a side at least, or choose mp4."
        raise problem("wrong_size", f"{width} x {height} pixels are too few for {form.name}.", hint, port="video")
    rate = Fraction(video.fps).limit_denominator(1001)
    buffer = io.BytesIO()
    container_name = "webm" if form.name == "WebM" else "mp4"
    with av.open(buffer, "w", format=container_name, options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream(codec.name, rate=rate)
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        stream.options = {"crf": str(min(codec.most, codec.base + 100 - quality)), **codec.options}
        if codec.name != "libx264":
            stream.bit_rate = 0  # or it counts for more than the quality
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1  # BT.709
        with same_scheduling():
            context.open()
        sound = sound_stream(container, video.audio, "libopus" if container_name == "webm" else "aac")
        for pixels in _pixels(video):
            padded = numpy.pad(pixels, ((0, high - height), (0, wide - width), (0, 0)), mode="edge")
            frame = av.VideoFrame.from_ndarray(numpy.ascontiguousarray(padded), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())
        if sound is not None and video.audio is not None:
            put_sound(av, container, sound, video.audio)
    return buffer.getvalue()


def _codec(av: Any, form: Format) -> _Codec:
    codec = _CODECS[form.name]
    try:
        av.Codec(codec.name, "w")
    except ValueError:  # of PyAV, which is UnknownCodecError
        message = f"PyAV is installed without {codec.name}, which writes {form.name}."
        hint = "Choose mp4, or install av from PyPI."
        raise problem("codec_missing", message, hint, form.name.lower(), "format") from None
    return codec


def _pixels(video: Video) -> Iterator[Any]:
    """(H, W, 3) uint8 of each frame."""
    import numpy

    for number in range(len(video)):
        yield numpy.asarray(on_white(pil_image(video.frames[number])))


def sound_stream(container: Any, audio: Audio | None, codec: str = "aac") -> Any:
    if audio is None:
        return None
    rates = _OPUS_RATES if codec == "libopus" else _AAC_RATES
    rate = audio.rate if audio.rate in rates else 48000
    return container.add_stream(codec, rate=rate, layout="mono" if audio.samples.shape[1] == 1 else "stereo")


def put_sound(av: Any, container: Any, stream: Any, audio: Audio) -> None:
    """The first sound of the batch; of more than two channels the first two."""
    import numpy

    channels = 1 if audio.samples.shape[1] == 1 else 2
    samples = numpy.ascontiguousarray(audio.samples[0, :channels].clamp(-1, 1).numpy())
    kind = "flt" if stream.codec_context.name == "libopus" else "fltp"
    resampler = av.AudioResampler(format=kind, layout=stream.layout, rate=stream.rate)
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
