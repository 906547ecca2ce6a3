"""As much of EXIF (a TIFF structure) as texts need: reading tags, and adding one without touching the others.

Source: TIFF Revision 6.0 (Adobe, 1992), Exif 2.32 (CIPA DC-008).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
EXIF_IFD = 0x8769
USER_COMMENT = 0x9286
UNICODE = b"UNICODE\0"
"""How a UserComment in UTF-16 begins."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_OURS = 65112
"""A tag of the range 65000 to 65535, which TIFF leaves to everybody: UserComment may hold another program's text."""
_MARK = b"safelight\0"
_UNDEFINED = 7


class Broken(ValueError):
    """Bytes that are no EXIF."""


class _Tag(NamedTuple):
    number: int
    raw: bytes
    start: int
    length: int


class _Tiff:
    def __init__(self, data: bytes) -> None:
        if data[:4] not in (b"II*\0", b"MM\0*") or len(data) < 8:
            raise Broken("there is no TIFF header.")
        self.data = data
        self.order = "<" if data[:1] == b"I" else ">"
        (self.first,) = struct.unpack_from(self.order + "I", data, 4)
        if self.first and not 8 <= self.first <= len(data) - 2:
            raise Broken("the first directory lies outside.")

    def tags(self, offset: int) -> Iterator[_Tag]:
        """The tags of the directory at `offset`; those that point outside are left out."""
        data = self.data
        if not 8 <= offset <= len(data) - 2:
            return
        (count,) = struct.unpack_from(self.order + "H", data, offset)
        for place in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
            number, kind, items, value = struct.unpack_from(self.order + "HHII", data, place)
            length = _SIZES.get(kind, 0) * items
            start = place + 8 if length <= 4 else value
            if length and start + length <= len(data):
                yield _Tag(number, data[place : place + 12], start, length)

    def bytes_of(self, tag: _Tag) -> bytes:
        return self.data[tag.start : tag.start + tag.length]


def read(exif: bytes) -> dict[int, bytes]:
    """The raw values of the tags in the first directory and in the EXIF one. Raises Broken."""
    tiff = _Tiff(exif.removeprefix(PREFIX))
    found: dict[int, bytes] = {}
    for tag in tiff.tags(tiff.first):
        if tag.number == EXIF_IFD and tag.length == 4:
            (offset,) = struct.unpack(tiff.order + "I", tiff.bytes_of(tag))
            for inner in tiff.tags(offset):
                found.setdefault(inner.number, tiff.bytes_of(inner))
        found[tag.number] = tiff.bytes_of(tag)
    return found


def orientation_only(orientation: int) -> bytes:
    """EXIF (without its prefix) that says how the camera was held, and nothing else."""
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, ORIENTATION, 3, 1, orientation, 0)


def comment_only(text: str) -> bytes:
    """EXIF (without its prefix) that holds a text in UTF-16, and nothing else. What UTF-16 has not becomes `?`."""
    value = UNICODE + text.encode("utf-16-be", "replace")
    # Big-endian in header and text: readers that go by the one or the other find the same.
    head = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, EXIF_IFD, 4, 1, 26, 0)
    return head + struct.pack(">HHHIII", 1, USER_COMMENT, _UNDEFINED, len(value), 44, 0) + value


def get_ours(exif: bytes) -> bytes | None:
    """The bytes that `set_ours` added. Raises Broken."""
    value = read(exif).get(_OURS)
    return value[len(_MARK) + 8 :] if value is not None and value.startswith(_MARK) else None


def set_ours(exif: bytes, payload: bytes) -> bytes:
    """The same EXIF with our tag holding `payload`, in the place of an earlier one.

    All that was there stays where it is, because tags (and maker notes, undocumented) point by absolute offsets: the
    payload and a new first directory are put behind it. Bytes that are no EXIF are replaced.
    """
    prefix = PREFIX if exif.startswith(PREFIX) else b""
    try:
        tiff = _without_ours(exif.removeprefix(PREFIX))
    except Broken:
        tiff = _Tiff(b"II*\0" + struct.pack("<I", 0))
    order = tiff.order
    base = tiff.data + b"\0" * (len(tiff.data) % 2)
    value = _MARK + struct.pack("<II", len(tiff.data), tiff.first) + payload
    ours = struct.pack(order + "HHII", _OURS, _UNDEFINED, len(value), len(base))
    value += b"\0" * (len(value) % 2)
    following = 0
    entries = [ours]
    if tiff.first:
        (count,) = struct.unpack_from(order + "H", tiff.data, tiff.first)
        entries += [tag.raw for tag in tiff.tags(tiff.first) if tag.number != _OURS][: 0xFFFF - 1]
        end = tiff.first + 2 + 12 * count
        if end + 4 <= len(tiff.data):
            (following,) = struct.unpack_from(order + "I", tiff.data, end)
    entries.sort(key=lambda raw: struct.unpack_from(order + "H", raw))
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + struct.pack(order + "I", following)
    start = struct.pack(order + "I", len(base) + len(value))
    return prefix + base[:4] + start + base[8:] + value + directory


def _without_ours(data: bytes) -> _Tiff:
    tiff = _Tiff(data)
    for tag in tiff.tags(tiff.first):
        value = tiff.bytes_of(tag)
        if tag.number == _OURS and value.startswith(_MARK) and len(value) >= len(_MARK) + 8:
            length, first = struct.unpack_from("<II", value, len(_MARK))
            if 8 <= length <= tag.start:
                return _Tiff(data[:4] + struct.pack(tiff.order + "I", first) + data[8:length])
    return tiff
