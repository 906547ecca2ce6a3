"""Clouds of points. `Mesh` has the name of a built-in value on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from safelight.sdk import Context, FilePick, node, value


@value
@dataclass(frozen=True)
class Mesh:
    """Points on a line of text."""

    points: str


@node()
def make(*, points: str = "1 2 3") -> Mesh:
    """Some points."""
    return Mesh(points)


@node()
def load(*, file: Annotated[str, FilePick("points")], ctx: Context) -> Mesh:
    """Points of a file."""
    return ctx.media.decode(ctx.files.path(file), "points", file)
