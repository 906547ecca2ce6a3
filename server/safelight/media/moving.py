"""Images that move: animated PNG, WebP and GIF, by Pillow alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk.image_files import FORMATS, what_is_wrong
from safelight.sdk.media import Format, file_format
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import Video

from .base import Source, read, too_large, unreadable
from .image import on_white, pil_image

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image as PILImage

MAX_UNPACKED = 8 << 30
"""Bytes of frames that are unpacked at most: a small file may claim to be hours long."""
MAX_PIXELS = 7680 * 4320
"""Of one frame."""
APNG = file_format("APNG", "image/png", ".apng", inline=True)
"""An ending of its own: one that shows no movement is an image to all that looks at names."""
FORMATS_READ = (*(one for one in FORMATS if one.name in ("WEBP", "GIF")), APNG)
READ = ("PNG", "WEBP", "GIF")


class MovingImage:
    """The frames of an animated image, equally long: one that lasts as long as several stands for several, since
    writers of such files put equal frames together. They are unpacked when they are read.
    """

    def __init__(self, source: Source, shown: str) -> None:
        self._data = read(source)
        self._shown = shown
        self._place, self._frame = -1, None
        with self._told():
            self._open()
            width, height = self._image.size
            if width * height > MAX_PIXELS:
                raise too_large(shown, f"{width} x {height} pixels", "7680 x 4320")
            count = getattr(self._image, "n_frames", 1)
            if count * width * height * 3 > MAX_UNPACKED:
                raise too_large(shown, f"{count} frames", f"{MAX_UNPACKED >> 30} GiB of frames")
            durations = [self._duration(number) for number in range(count)]
        shortest = min((one for one in durations if one > 0), default=0.0)
        times = [max(1, round(one / shortest)) if shortest else 1 for one in durations]
        if sum(times) * width * height * 3 > MAX_UNPACKED:
            raise too_large(shown, f"{sum(times)} frames", f"{MAX_UNPACKED >> 30} GiB of frames")
        self._stored = [number for number, several in enumerate(times) for _ in range(several)]
        self.fps = sum(times) / sum(durations) if shortest else 24.0

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, first: int, count: int) -> Video:
        """`count` frames from number `first` on, fewer at the end. Raises ProblemError."""
        import torch

        chosen = self._stored[first : first + count]
        if not chosen:
            raise unreadable(self._shown, f"it has {len(self)} frames and none with number {first}")
        width, height = self._image.size
        frames = torch.empty((len(chosen), height, width, 3), dtype=torch.uint8)
        with self._told():
            for number, stored in enumerate(chosen):
                frames[number] = self._pixels(stored)
        return Video(frames, self.fps)

    def _open(self) -> None:
        from PIL import Image

        self._image: Any = Image.open(io.BytesIO(self._data), formats=READ)

    def _duration(self, number: int) -> float:
        """Seconds that a stored frame is shown."""
        self._image.seek(number)
        self._image.load()
        return float(self._image.info.get("duration", 0) or 0) / 1000

    def _pixels(self, stored: int) -> torch.Tensor:
        import numpy
        import torch

        if stored != self._place or self._frame is None:
            self._image.seek(stored)
            self._frame = torch.from_numpy(numpy.array(on_white(self._image.convert("RGBA"))))
            self._place = stored
        return self._frame

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong is told in our words."""
        try:
            yield
        except (ProblemError, MemoryError):
            raise
        except Exception as error:  # Pillow raises all sorts of things
            raise unreadable(self._shown, what_is_wrong(error, self._data)) from error


def moving_image(video: Video, form: Format, quality: int) -> bytes:
    """An animated image of a video without its sound. `quality`: 1..100, of a WebP; 100 keeps every pixel."""
    lossless = {"lossless": True} if quality == 100 else {"quality": quality}
    options: dict[str, Any] = {
        "WEBP": lossless | {"method": 4},
        "APNG": {"disposal": 0, "blend": 0, "compress_level": 6},
        "GIF": {"disposal": 1},
    }[form.name]
    # Times are whole milliseconds: each frame ends where it should, and no rounding adds up.
    ends = [round(1000 * (number + 1) / video.fps) for number in range(len(video))]
    durations = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    buffer = io.BytesIO()
    kind = "PNG" if form is APNG else form.name
    first, rest = pil_image(video.frames[0]), _Images(video.frames[1:], opaque=form.name == "GIF")
    first = on_white(first) if rest.opaque else first
    first.save(buffer, kind, save_all=True, append_images=rest, duration=durations, loop=0, **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class _Images:
    """Frames as Pillow images, made when they are asked for: Pillow goes over those of a PNG twice."""

    frames: torch.Tensor
    opaque: bool

    def __iter__(self) -> Iterator[PILImage]:
        for frame in self.frames:
            made = pil_image(frame)
            yield on_white(made) if self.opaque else made
