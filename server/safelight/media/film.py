"""Films: videos too long to lie in memory, read a few frames at a time and put together from finished parts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from safelight.sdk.codec import hash_file
from safelight.sdk.image_files import image_format
from safelight.sdk.media import Film, Measures
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import Audio, Video

from .base import first_bytes, problem, too_large, unreadable
from .moving import MovingImage
from .video import (
    check_pixels,
    opened,
    read_sound,
    upright_pixels,
)
from .writing import put_sound, require_av, sound_stream

if TYPE_CHECKING:
    import torch

KEPT = 4
"""Films that stay open."""
MAX_FRAMES = 2_000_000
"""More frames than this are not listed: a day at 24 a second."""


class _File:
    """A film in a file, whose content is looked at when it is asked for, once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _content(self) -> str:
        return hash_file(self._path)

    @property
    def content(self) -> str:
        return self._content


class StreamFilm(_File):
    """A film in an MP4, QuickTime or WebM file. Its frames are numbered in the order in which they are shown.

    Where a part follows the one that was read before, decoding goes on where it stopped: a key frame may lie far back.
    """

    def __init__(self, path: Path, shown: str) -> None:
        super().__init__(path)
        self._shown = shown
        self._lock = Lock()
        self._going: Iterator[Any] | None = None
        self._next = 0
        with opened(path, shown) as (_, stream):
            check_pixels(stream, shown)
            self.fps = float(stream.average_rate or stream.guessed_rate or 24)

    @cached_property
    def _times(self) -> list[int]:
        """When each frame is shown, in the unit of the stream. No frame is decoded for it."""
        times: list[int] = []
        with opened(self._path, self._shown) as (container, stream):
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None and not packet.is_discard:
                    times.append(packet.pts)
                    if len(times) > MAX_FRAMES:
                        raise too_large(self._shown, "too many frames", f"{MAX_FRAMES} frames")
        if not times:
            raise unreadable(self._shown, "there is no frame in it that says when it is shown")
        return sorted(times)

    @property
    def frames(self) -> int:
        return len(self._times)

    def read(self, first: int, count: int) -> Video:
        times = self._times[first : first + count]
        if not times:
            raise unreadable(self._shown, f"it has {self.frames} frames and none with number {first}")
        with self._lock:
            found: dict[int, torch.Tensor] = {}
            if self._going is not None and first == self._next:
                found = self._taken(self._going, times)
            # A frame may refer to one before the place that was sought: where some are missing, all is decoded.
            for place in (times[0], None):
                if len(found) < len(times):
                    self._going = self._decoded(place)
                    found = self._taken(self._going, times)
            self._next = first + len(times)
            if len(found) < len(times) or self._next == self.frames:
                self._going = None  # which closes the file
        if len(found) < len(times):
            lost = next(number for number, time in enumerate(times) if time not in found)
            raise unreadable(self._shown, f"frame {first + lost} cannot be decoded")
        import torch

        return Video(torch.stack([found[time] for time in times]), self.fps)

    def _decoded(self, place: int | None) -> Iterator[Any]:
        """All frames from the key frame before `place` on, or from the beginning, as they are shown."""
        with opened(self._path, self._shown) as (container, stream):
            stream.thread_type = "AUTO"
            if place is not None:
                container.seek(place, stream=stream, backward=True)
            for frame in container.decode(stream):
                if frame.pts is not None:
                    yield frame

    def _taken(self, frames: Iterator[Any], times: list[int]) -> dict[int, torch.Tensor]:
        """The frames of these times, as far as they are found."""
        import torch

        found: dict[int, torch.Tensor] = {}
        for frame in frames:
            at = bisect_left(times, frame.pts)
            if at == len(times):
                break
            if times[at] == frame.pts:
                found[frame.pts] = torch.from_numpy(upright_pixels(frame).copy())
            if len(found) == len(times):
                break
        return found

    def sound(self) -> Audio | None:
        return read_sound(self._path, self._shown)


class MovingFilm(_File):
    """An animated image, frame after frame; one that is before the last that was read starts from the beginning."""

    def __init__(self, path: Path, shown: str) -> None:
        super().__init__(path)
        self._moving = MovingImage(path, shown)
        self._lock = Lock()
        self.fps = self._moving.fps
        self.frames = len(self._moving)

    def read(self, first: int, count: int) -> Video:
        with self._lock:
            return self._moving.read(first, count)

    def sound(self) -> Audio | None:
        return None


class OpenFilms:
    """Films that are read part by part stay open, while their files stay as they are: what lists the frames and says
    what is in a file is done once. The last few are kept.
    """

    def __init__(self) -> None:
        self._films: dict[Path, tuple[tuple[int, ...], Film]] = {}
        self._lock = Lock()

    def open(self, path: Path, shown: str) -> Film:
        """A film in a file of any format that videos are read from. Raises ProblemError."""
        found = path.stat()
        state = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        with self._lock:
            known = self._films.pop(path, None)
            if known is None or known[0] != state:
                streams = image_format(first_bytes(path)) is None
                known = state, StreamFilm(path, shown) if streams else MovingFilm(path, shown)
            self._films[path] = known
            while len(self._films) > KEPT:
                del self._films[next(iter(self._films))]
            return known[1]


def put_together(parts: Sequence[Callable[[], bytes]], path: Path, audio: Audio | None) -> Measures:
    """Writes one MP4 of MP4s that were written alike, frame after frame; nothing is encoded again but the sound.

    Each part is read twice: it has to be known how late the first frame of any is decoded before the first is written.

    Raises:
        ProblemError: `parts_differ` for parts of different sizes, rates or quality.
    """
    av = require_av("Saving an MP4")
    first: Any = None
    delay = 0
    for number, part in enumerate(parts):
        with opened(part(), f"part {number + 1}") as (source, given):
            found = (given.width, given.height, given.guessed_rate, given.codec_context.extradata)
            first = first or found
            if found != first:
                raise _differ(number, found, first)
            # Parts of a frame or two are decoded with less delay than longer ones: all get the time of the longest.
            delay = max([delay, *(-packet.dts for packet in source.demux(given) if packet.dts is not None)])
    width, height, rate, _ = first
    frames = 0
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as target:
        stream: Any = None
        sound: Any = None
        tick = Fraction(1)
        for number, part in enumerate(parts):
            with opened(part(), f"part {number + 1}") as (source, given):
                if stream is None:
                    stream = target.add_stream_from_template(given)
                    stream.time_base, tick = given.time_base, 1 / rate / given.time_base
                    sound = sound_stream(target, audio)
                shift = round(frames * tick)
                for packet in source.demux(given):
                    if packet.dts is not None:
                        packet.pts += shift
                        packet.dts = round(frames * tick) - delay
                        packet.stream = stream
                        target.mux(packet)
                        frames += 1
        if sound is not None and audio is not None:
            put_sound(av, target, sound, audio)
    return Measures(width=width, height=height, frames=frames, seconds=float(frames / rate))


def _differ(number: int, found: Any, first: Any) -> ProblemError:
    if found[:3] != first[:3]:
        said = f"{found[0]} x {found[1]} pixels at {float(found[2]):g} frames a second"
        what = f"is of {said}, and the first is of {first[0]} x {first[1]} at {float(first[2]):g}."
    else:
        what = "was written with other settings than the first."
    message = f"Part {number + 1} {what}"
    return problem("parts_differ", message, "Make all parts by one node with the same settings.", number + 1, "parts")
