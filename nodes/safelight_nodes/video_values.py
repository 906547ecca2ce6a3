"""What travels between the nodes that work on a film part by part."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.sdk import File, value


@value
@dataclass(frozen=True)
class FilmPart:
    """Some frames of a film in the input folder, which are read when they are needed.

    `content` is a digest of the whole file: another film of the same name has other parts.
    """

    file: str
    content: str
    first: int
    count: int


@value
@dataclass(frozen=True)
class Encoded:
    """A finished piece of a film: an MP4 that is kept on the disk until the film is saved."""

    file: File
