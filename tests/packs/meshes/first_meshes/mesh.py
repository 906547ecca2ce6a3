"""A mesh of points."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.sdk import node, value


@value
@dataclass(frozen=True)
class Mesh:
    """Points."""

    points: int


@value
@dataclass(frozen=True)
class Image:
    """Has the name of a built-in value."""

    name: str


@node()
def make(*, points: int = 3) -> Mesh:
    """A mesh."""
    return Mesh(points)


@node()
def count(mesh: Mesh) -> int:
    """Its points."""
    return mesh.points


@node()
def sketch() -> Image:
    """No image of the built-in kind."""
    return Image("sketch")


@node()
def named(image: Image) -> str:
    """Its name."""
    return image.name
