"""The medium of this pack: a text with a mark of its own."""

from __future__ import annotations

from typing import Any

from points_pack.cloud import Mesh
from safelight.media import Accepted, Limits, Medium
from safelight.sdk.media import Format, Measures, MediaFile, file_format


class PointsMedium(Medium):
    """Points, shown as a row of dots."""

    name = "points"
    values = (Mesh,)
    formats = (file_format("PTS", "application/x-points", ".pts", rb"POINTS"),)
    written = ("pts",)
    carries = frozenset(("application/x-points",))
    view = "thumbnail"
    thumbnails = True
    limits = Limits(bytes=1000)

    def encode(self, value: Mesh, format: Format, **options: Any) -> list[MediaFile]:
        return [MediaFile(b"POINTS" + value.points.encode() + b"\n", format, Measures(frames=len(value.points)))]

    def decode(self, source: Any, shown: str) -> Mesh:
        data = source if isinstance(source, bytes) else source.read_bytes()
        return Mesh(data.partition(b"\n")[0].removeprefix(b"POINTS").decode())

    def thumbnail(self, source: Any, side: int) -> Any:
        from PIL import Image

        return Image.new("RGB", (side, side), "red")

    def embed(self, data: bytes, media_type: str, packed: bytes) -> bytes:
        return data.partition(b"\n")[0] + b"\n" + packed

    def extract(self, data: bytes, media_type: str) -> bytes | None:
        return data.partition(b"\n")[2] or None

    def accept(self, data: bytes, format: Format, shown: str) -> Accepted:
        return Accepted(data.partition(b"\n")[0] + b"\n", format, Measures())


POINTS = PointsMedium()
