"""GLB files: a JSON chunk that describes a scene, and a binary chunk with its numbers. Triangles are read, no more.

Source: glTF 2.0 (Khronos Group, ISO/IEC 12113).
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .packed import broken

if TYPE_CHECKING:
    from numpy import ndarray

_JSON, _BIN = 0x4E4F534A, 0x004E4942
_TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_FLOAT, _UINT = 5126, 5125
_TRIANGLES = 4
MOST_VERTICES = 20_000_000


class NotMesh(ValueError):
    """Why a file is no mesh that can be read."""


@dataclass
class Triangles:
    """`vertices` (V, 3) float32, `faces` (F, 3) int64, `colors` (V, 3 or 4) and `uv` (V, 2) float32 or None."""

    vertices: ndarray
    faces: ndarray
    colors: ndarray | None = None
    uv: ndarray | None = None


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk. Raises NotMesh."""
    if len(data) < 20 or data[:4] != b"glTF":
        raise NotMesh("it is no GLB file")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise NotMesh(f"it is of version {version}, and version 2 is read")
    if length > len(data):
        raise NotMesh("it breaks off")
    place, end = 12, length
    found: dict[int, bytes] = {}
    while place + 8 <= end:
        size, kind = struct.unpack_from("<II", data, place)
        if place + 8 + size > end:
            raise NotMesh("it breaks off")
        found.setdefault(kind, data[place + 8 : place + 8 + size])
        place += 8 + size
    try:
        scene = json.loads(found.get(_JSON, b"").decode())
    except (ValueError, RecursionError):
        raise NotMesh("its description is damaged") from None
    if not isinstance(scene, dict):
        raise NotMesh("its description is damaged")
    return scene, found.get(_BIN, b"")


def join(scene: Mapping[str, Any], binary: bytes) -> bytes:
    """A whole file."""
    text = json.dumps(scene, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += bytes(-len(binary) % 4)
    body = struct.pack("<II", len(text), _JSON) + text
    body += struct.pack("<II", len(binary), _BIN) + binary if binary else b""
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def embed(data: bytes, packed: bytes) -> bytes:
    """With our bytes in the extras of `asset`, where applications put what is theirs."""
    scene, binary = _scene(data)
    asset = scene.setdefault("asset", {"version": "2.0"})
    extras = asset.get("extras")
    asset["extras"] = {**(extras if isinstance(extras, dict) else {}), "safelight": base64.b64encode(packed).decode()}
    return join(scene, binary)


def extract(data: bytes) -> bytes | None:
    try:
        found = _scene(data)[0]["asset"]["extras"]["safelight"]
    except (KeyError, TypeError):
        return None
    try:
        return base64.b64decode(found, validate=True)
    except (ValueError, TypeError):
        raise broken("the workflow in it cannot be read") from None


def without_extras(data: bytes) -> bytes:
    """The same mesh without what applications have put beside it."""
    scene, binary = _scene(data)
    scene["asset"] = {"version": "2.0"}
    todo: list[Any] = [scene]
    while todo:
        at = todo.pop()
        if isinstance(at, dict):
            at.pop("extras", None)
            todo += at.values()
        elif isinstance(at, list):
            todo += at
    return join(scene, binary)


def _scene(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        return split(data)
    except NotMesh as error:
        raise broken(str(error)) from None


def pack(mesh: Triangles) -> bytes:
    """A GLB with one mesh."""
    import numpy

    pieces: list[bytes] = []
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def add(values: ndarray, kind: int, shape: str, target: int, **more: Any) -> int:
        raw = numpy.ascontiguousarray(values.astype(_TYPES[kind])).tobytes()
        offset = sum(map(len, pieces))
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(raw), "target": target})
        pieces.append(raw)
        accessors.append(
            {"bufferView": len(views) - 1, "componentType": kind, "count": len(values), "type": shape, **more}
        )
        return len(accessors) - 1

    low, high = (found.astype(float).tolist() for found in (mesh.vertices.min(0), mesh.vertices.max(0)))
    attributes = {"POSITION": add(mesh.vertices, _FLOAT, "VEC3", 34962, min=low, max=high)}
    if mesh.colors is not None:
        attributes["COLOR_0"] = add(mesh.colors, _FLOAT, f"VEC{mesh.colors.shape[1]}", 34962)
    if mesh.uv is not None:
        attributes["TEXCOORD_0"] = add(mesh.uv, _FLOAT, "VEC2", 34962)
    primitive: dict[str, Any] = {"attributes": attributes, "mode": _TRIANGLES}
    if len(mesh.faces):
        primitive["indices"] = add(mesh.faces.reshape(-1), _UINT, "SCALAR", 34963)
    binary = b"".join(pieces)
    scene = {
        "asset": {"version": "2.0", "generator": "Safelight"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    return join(scene, binary)


def unpack(data: bytes) -> Triangles:
    """All triangles of the scene as one mesh, each where its node puts it. Raises NotMesh."""
    import numpy

    scene, binary = split(data)
    found: list[Triangles] = []
    vertices = 0
    try:
        for number, place in _placed(scene):
            for primitive in scene["meshes"][number]["primitives"]:
                if primitive.get("mode", _TRIANGLES) == _TRIANGLES:
                    found.append(_primitive(scene, binary, primitive, place))
                    vertices += len(found[-1].vertices)
                if vertices > MOST_VERTICES:
                    raise NotMesh(f"it has more than {MOST_VERTICES:,} vertices")
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise error if isinstance(error, NotMesh) else NotMesh("its description is damaged") from error
    if not found:
        raise NotMesh("there are no triangles in it")
    starts = numpy.cumsum([0, *(len(one.vertices) for one in found)])
    faces = [one.faces + start for one, start in zip(found, starts, strict=False)]
    colors = [one.colors for one in found if one.colors is not None]
    uv = [one.uv for one in found if one.uv is not None]
    # What some parts have and others have not is left out: there is no value to make up for the others.
    alike = len(colors) == len(found) and len({one.shape[1] for one in colors}) == 1
    return Triangles(
        numpy.concatenate([one.vertices for one in found]),
        numpy.concatenate(faces),
        numpy.concatenate(colors) if alike else None,
        numpy.concatenate(uv) if len(uv) == len(found) else None,
    )


def _placed(scene: Mapping[str, Any]) -> list[tuple[int, ndarray]]:
    """The meshes of the scene by number, each with its matrix (4, 4)."""
    import numpy

    nodes = scene.get("nodes", [])
    scenes = scene.get("scenes", [])
    below = {child for node in nodes for child in node.get("children", ())}
    tops = [number for number in range(len(nodes)) if number not in below]
    roots = scenes[scene.get("scene", 0)].get("nodes", []) if scenes else tops
    todo = [(number, numpy.eye(4)) for number in reversed(roots)]
    found: list[tuple[int, ndarray]] = []
    seen: set[int] = set()
    while todo:
        number, outer = todo.pop()
        # glTF 2.0, 3.5.2: a node has one parent at most, so this also ends circles.
        if number in seen:
            raise NotMesh("a node of its scene stands in two places")
        seen.add(number)
        node = nodes[number]
        place = outer @ _matrix(node)
        if "mesh" in node:
            found.append((node["mesh"], place))
        todo += [(child, place) for child in reversed(node.get("children", ()))]
    return found


def _matrix(node: Mapping[str, Any]) -> ndarray:
    import numpy

    if "matrix" in node:
        return numpy.array(node["matrix"], numpy.float64).reshape(4, 4).T
    made = numpy.eye(4)
    x, y, z, w = (float(part) for part in node.get("rotation", (0, 0, 0, 1)))
    made[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made[:3, :3] *= numpy.array(node.get("scale", (1, 1, 1)), numpy.float64)
    made[:3, 3] = node.get("translation", (0, 0, 0))
    return made


def _primitive(scene: Mapping[str, Any], binary: bytes, primitive: Mapping[str, Any], place: ndarray) -> Triangles:
    import numpy

    if "KHR_draco_mesh_compression" in primitive.get("extensions", {}):
        raise NotMesh("it is packed with Draco, which is not read: export it without compression")
    attributes = primitive["attributes"]
    positions = _accessor(scene, binary, attributes["POSITION"]).astype(numpy.float64)
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise NotMesh("its description is damaged")
    count = len(positions)
    vertices = (positions @ place[:3, :3].T + place[:3, 3]).astype(numpy.float32)
    if not numpy.isfinite(vertices).all():
        raise NotMesh("it holds numbers that are not finite")
    if "indices" in primitive:
        faces = _accessor(scene, binary, primitive["indices"]).reshape(-1).astype(numpy.int64)
    else:
        faces = numpy.arange(count)
    faces = faces[: len(faces) // 3 * 3].reshape(-1, 3)
    if faces.size and (faces.min() < 0 or faces.max() >= count):
        raise NotMesh("its faces name vertices that are not there")
    if numpy.linalg.det(place[:3, :3]) < 0:  # mirrored: what was outside stays outside
        faces = faces[:, ::-1]
    return Triangles(
        vertices,
        faces,
        _beside(scene, binary, attributes.get("COLOR_0"), count),
        _beside(scene, binary, attributes.get("TEXCOORD_0"), count),
    )


def _beside(scene: Mapping[str, Any], binary: bytes, number: int | None, count: int) -> ndarray | None:
    import numpy

    if number is None:
        return None
    values = _accessor(scene, binary, number)
    if values.dtype.kind in "iu":
        values = values / numpy.iinfo(values.dtype).max
    values = values.astype(numpy.float32)
    return values if len(values) == count and numpy.isfinite(values).all() else None


def _accessor(scene: Mapping[str, Any], binary: bytes, number: int) -> ndarray:
    """(count, width) numbers."""
    import numpy

    if not isinstance(number, int) or number < 0:
        raise NotMesh("its description is damaged")
    one = scene["accessors"][number]
    dtype, width, count = numpy.dtype(_TYPES[one["componentType"]]), _WIDTHS[one["type"]], one["count"]
    if "sparse" in one or "bufferView" not in one:
        raise NotMesh("it holds sparse numbers, which are not read")
    view = scene["bufferViews"][one["bufferView"]]
    if scene["buffers"][view["buffer"]].get("uri"):
        raise NotMesh("its numbers lie in another file")
    start = view.get("byteOffset", 0) + one.get("byteOffset", 0)
    stride = view.get("byteStride") or dtype.itemsize * width
    if count < 1 or start < 0 or stride < dtype.itemsize * width:
        raise NotMesh("its description is damaged")
    end = start + stride * (count - 1) + dtype.itemsize * width
    if end > len(binary) or end > view.get("byteOffset", 0) + view["byteLength"]:
        raise NotMesh("it breaks off")
    shape, strides = (count, width), (stride, dtype.itemsize)
    return numpy.ndarray(shape, dtype, binary, start, strides)
