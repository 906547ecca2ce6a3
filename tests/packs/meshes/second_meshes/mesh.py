"""A mesh of faces."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.sdk import node, value


@value
@dataclass(frozen=True)
class Mesh:
    """Faces."""

    faces: tuple[str, ...]


@node()
def make(*, faces: str = "abc") -> Mesh:
    """A mesh."""
    return Mesh(tuple(faces))


@node()
def count(mesh: Mesh) -> int:
    """Its faces."""
    return len(mesh.faces)
