"""Meshes: GLB, written and read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.sdk.media import Format, Measures, MediaFile, file_format
from safelight.sdk.values import Mesh

from . import glb
from .base import Accepted, Limits, Medium, Source, damaged, no_thumbnail, read, unreadable

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image as PILImage

_GROUND, _INK = (24, 24, 30), (200, 200, 212)
_MOST_FACES = 60_000
_LIGHT = (0.4, 0.7, 0.6)


class MeshMedium(Medium):
    """Surfaces of triangles."""

    name = "mesh"
    values = (Mesh,)
    formats = (file_format("GLB", "model/gltf-binary", ".glb", rb"glTF\x02\x00\x00\x00"),)
    written = ("glb",)
    carries = frozenset(("model/gltf-binary",))
    view = "thumbnail"
    thumbnails = True
    limits = Limits(bytes=256 << 20)

    def encode(self, value: Mesh, format: Format, **options: Any) -> list[MediaFile]:
        return [MediaFile(glb.pack(_triangles(value)), format, Measures())]

    def decode(self, source: Source, shown: str) -> Mesh:
        import torch

        try:
            found = glb.unpack(read(source))
        except glb.NotMesh as error:
            raise unreadable(shown, str(error)) from error
        colors, uv = (None if part is None else torch.tensor(part) for part in (found.colors, found.uv))
        return Mesh(torch.tensor(found.vertices), torch.tensor(found.faces), colors, uv)

    def thumbnail(self, source: Source, side: int) -> PILImage:
        try:
            return drawn(glb.unpack(read(source)), side)
        except glb.NotMesh as error:
            raise no_thumbnail(str(error)) from error

    def preview(self, value: Mesh) -> PILImage:
        return drawn(_triangles(value), 512)

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return glb.embed(data, packed)

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        return glb.extract(data)

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        """All triangles are read, which proves that they can be; what applications put beside them goes."""
        try:
            glb.unpack(data)
        except glb.NotMesh as error:
            raise damaged(shown, str(error)) from error
        return Accepted(glb.without_extras(data), format, Measures())


def _triangles(mesh: Mesh) -> glb.Triangles:
    colors, uv = (None if one is None else one.numpy() for one in (mesh.colors, mesh.uv))
    return glb.Triangles(mesh.vertices.numpy(), mesh.faces.numpy(), colors, uv)


def drawn(mesh: glb.Triangles, side: int) -> PILImage:
    """The mesh from the front, a little from above and from the right: far triangles first, near ones over them."""
    import numpy
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (side, side), _GROUND)
    if not len(mesh.faces):
        return image
    points = mesh.vertices.astype(numpy.float64)
    points = points - (points.max(0) + points.min(0)) / 2
    points = points @ _view().T
    points *= side * 0.45 / max(float(numpy.linalg.norm(points, axis=1).max()), 1e-12)
    # Of very many faces every so many are drawn: a thumbnail has fewer pixels than they are.
    faces = mesh.faces[:: -(-len(mesh.faces) // _MOST_FACES)]
    corners = points[faces]
    normals = numpy.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= numpy.maximum(numpy.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    light = numpy.array(_LIGHT) / numpy.linalg.norm(_LIGHT)
    shade = 0.35 + 0.65 * abs(normals @ light)
    ink = mesh.colors[faces][..., :3].mean(1) * 255 if mesh.colors is not None else numpy.array([_INK])
    fills = (ink.clip(0, 255) * shade[:, None]).astype(int)
    flat = corners[..., :2] * (1, -1) + side / 2
    draw = ImageDraw.Draw(image)
    for number in numpy.argsort(corners[..., 2].mean(1)):
        draw.polygon([tuple(corner) for corner in flat[number]], fill=tuple(fills[number].tolist()))
    return image


def _view() -> ndarray:
    import numpy

    turn, tilt = numpy.radians(-35.0), numpy.radians(25.0)
    around = numpy.array([[numpy.cos(turn), 0, numpy.sin(turn)], [0, 1, 0], [-numpy.sin(turn), 0, numpy.cos(turn)]])
    down = numpy.array([[1, 0, 0], [0, numpy.cos(tilt), -numpy.sin(tilt)], [0, numpy.sin(tilt), numpy.cos(tilt)]])
    return down @ around
