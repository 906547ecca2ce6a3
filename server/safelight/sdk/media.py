"""What nodes and media say to each other: formats, finished files, and the door to all media that are installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from .values import Audio, Video


class Format(NamedTuple):
    """A kind of file: its short name, its media type, the endings of names, and how its first bytes look.

    `head` is matched at the start of a file, with `.` for any byte; None for a kind that has no mark of its own.
    `inline` says that every browser shows such a file by itself, and does nothing else with it.
    """

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    head: re.Pattern[bytes] | None
    inline: bool = False


def file_format(name: str, media_type: str, suffixes: str, head: bytes = b"", *, inline: bool = False) -> Format:
    """A format; `suffixes` are separated by spaces, the one that is written first."""
    pattern = re.compile(head, re.DOTALL) if head else None
    return Format(name, media_type, tuple(suffixes.split()), pattern, inline)


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """How large a file is for those who look at it or listen: pixels, frames, seconds; 0 for what it does not have."""

    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0


class MediaFile(NamedTuple):
    """A value as a finished file, without a workflow in it."""

    data: bytes
    format: Format
    measures: Measures


View = Literal["image", "video", "audio", "text", "thumbnail", "file"]
"""How the editor shows a file: by the browser's own means, as text, by its thumbnail, or by its name alone."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload may be at most: bytes of the file, pixels of one image or frame, seconds. 0: no limit."""

    bytes: int = 64 << 20
    pixels: int = 0
    seconds: float = 0.0


class MediumInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A medium as data, for the editor. `values` are the types of ports that it shows, `carries` the media types that
    a workflow can be put into, `thumbnails` says whether there are small images of its files.
    """

    name: str
    view: View
    values: tuple[str, ...]
    types: tuple[str, ...]
    suffixes: tuple[str, ...]
    carries: tuple[str, ...]
    thumbnails: bool
    limits: Limits


class Film(Protocol):
    """A video in a file, of which a few frames at a time are read."""

    @property
    def frames(self) -> int:
        """How many there are."""
        ...

    @property
    def fps(self) -> float: ...

    @property
    def content(self) -> str:
        """A digest of the whole file."""
        ...

    def read(self, first: int, count: int) -> Video:
        """`count` frames from number `first` on, fewer at the end, without sound.

        Raises:
            ProblemError: they cannot be decoded.
        """
        ...

    def sound(self) -> Audio | None:
        """All of the sound; None where there is none."""
        ...


class Media(Protocol):
    """The door to the media: values become files here, and files values."""

    def encode(self, value: Any, format: str = "", **options: Any) -> list[MediaFile]:
        """The files that show a value: one for each image of a batch, one for a video.

        Args:
            value: an instance of a class that a medium is for.
            format: the name of one of its `formats`, in small letters; the first one by default.
            options: what the format knows, such as `quality` (1..100).

        Raises:
            ProblemError: `no_medium`, `format_unknown`, `needs_package`.
        """
        ...

    def decode(self, path: Path, medium: str, shown: str = "") -> Any:
        """The value in a file, as the medium of this name (`video`) reads it; `shown` is how messages call the file.

        Raises:
            ProblemError: it cannot be read; the problem is at the port `file`.
        """
        ...

    def film(self, path: Path, shown: str = "") -> Film:
        """A video whose frames are read when they are asked for. Raises ProblemError as `decode` does."""
        ...

    def join(self, parts: Sequence[Callable[[], bytes]], path: Path, audio: Audio | None = None) -> Measures:
        """One video of finished MP4s that were written alike, with sound, in a new file; the frames are not encoded
        again. Each part is asked for twice, and only one is in memory at a time.

        Raises:
            ProblemError: `parts_differ`, `needs_package`.
        """
        ...

    def formats(self, value: Any) -> tuple[Format, ...]:
        """The formats that a value can be written in, the default first; none for what is of no medium."""
        ...
