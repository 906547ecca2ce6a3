"""The boxes that MP4, QuickTime and AVIF files are made of. Nothing is decoded.

Source: ISO/IEC 14496-12 (ISO base media file format).
"""

from __future__ import annotations

import mmap
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from safelight.sdk.media import Measures

from . import xmp
from .packed import broken

Data = bytes | bytearray | mmap.mmap
OURS = uuid.uuid5(uuid.NAMESPACE_URL, "https://safelight/workflow").bytes
"""Names the box that holds a workflow: players leave boxes alone that they do not know."""
_XMP = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
"""Names the box of XMP (XMP part 3, ISO 16684-2)."""
_PRIVATE = (b"udta", b"meta", b"uuid", b"free", b"skip")
_NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
_DEEPEST = 8
_MANY = 10_000


def boxes(data: Data, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the content, and end of each box, up to where the file breaks off."""
    end = len(data) if end is None else end
    for _ in range(_MANY):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            if start + 16 > end:
                return
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            return
        yield kind, start, start + head, start + size
        start += size


class _End(NamedTuple):
    """What is written behind the first `cut` bytes of a file. `open_box`: where the last box kept begins, if it goes on
    to the end of the file and needs a length now."""

    cut: int
    open_box: int | None
    behind: bytes


def embed(data: bytes, packed: bytes) -> bytes:
    """The file with our box at its end: places inside the file, which others name by number, stay where they are."""
    return _ended(data, _embedded(data, packed))


def mark(data: bytes) -> bytes:
    """The file with XMP that says that a model made it, behind all but our own box."""
    return _ended(data, _marked(data))


def finish(path: Path, packed: bytes | None, *, marked: bool) -> None:
    """Does both to a file where it lies: its end is written, the rest is neither read nor copied."""
    changes = [*([_marked] if marked else []), *([lambda data: _embedded(data, packed)] if packed is not None else [])]
    for change in changes:
        with path.open("r+b") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                end = change(data)
            if end.open_box is not None:
                file.seek(end.open_box)
                file.write(struct.pack(">I", end.cut - end.open_box))
            file.truncate(end.cut)
            file.seek(end.cut)
            file.write(end.behind)


def _ended(data: bytes, end: _End) -> bytes:
    kept = bytearray(data[: end.cut])
    if end.open_box is not None:
        struct.pack_into(">I", kept, end.open_box, end.cut - end.open_box)
    return bytes(kept) + end.behind


def _embedded(data: Data, packed: bytes) -> _End:
    found = list(boxes(data))
    if not found or found[0][0] != b"ftyp" or found[-1][3] != len(data) or not any(one[0] == b"moov" for one in found):
        raise broken("it breaks off")
    ours = [one for one in found if _is_named(data, one, OURS)]
    if ours and ours != found[-len(ours) :]:
        raise broken("something was written behind the workflow in it")
    cut = ours[0][1] if ours else len(data)
    return _End(cut, _open_box(data, found[-1 - len(ours)]), _named(OURS, packed))


def _marked(data: Data) -> _End:
    found = list(boxes(data))
    if not found or found[0][0] != b"ftyp" or found[-1][3] != len(data):
        raise broken("it breaks off")
    last = [one for one in found if _is_named(data, one, OURS) or _is_named(data, one, _XMP)]
    if last != found[len(found) - len(last) :]:
        return _End(len(data), None, b"")  # XMP of another program
    ours = [bytes(data[one[1] : one[3]]) for one in last if _is_named(data, one, OURS)]
    cut = last[0][1] if last else len(data)
    return _End(cut, _open_box(data, found[-1 - len(last)]), b"".join([_named(_XMP, xmp.packet()), *ours]))


def _named(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 24 + len(content), b"uuid") + name + content


def _open_box(data: Data, last: tuple[bytes, int, int, int]) -> int | None:
    """Where the last box begins, if it goes on to the end of the file, which will not be its end any more."""
    if struct.unpack_from(">I", data, last[1])[0] != 0:
        return None
    if last[3] - last[1] >= 1 << 32:
        raise broken("its last part has no length")
    return last[1]


def extract(data: bytes) -> bytes | None:
    for one in boxes(data):
        if _is_named(data, one, OURS):
            return bytes(data[one[2] + 16 : one[3]])
    return None


def measure(data: bytes) -> Measures:
    """Pixels, frames and seconds of the first video track, and where there is none, the seconds of the whole."""
    for kind, _, start, end in boxes(data):
        if kind == b"moov":
            return _movie(data, start, end)
    return Measures()


def without_private(data: bytes) -> bytes:
    """The same file with all that is not the video blanked out: places, cameras, titles, workflows, thumbnails."""
    changed = bytearray(data)
    todo = [(0, len(changed), 0)]
    while todo:
        start, end, depth = todo.pop()
        for kind, at, content, stop in boxes(changed, start, end):
            if kind in _PRIVATE:
                changed[at + 4 : at + 8] = b"free"
                changed[content:stop] = bytes(stop - content)
            elif kind in _NESTED and depth < _DEEPEST:
                todo.append((content, stop, depth + 1))
    return bytes(changed)


def _is_named(data: Data, box: tuple[bytes, int, int, int], name: bytes) -> bool:
    return box[0] == b"uuid" and data[box[2] : box[2] + 16] == name


def _movie(data: bytes, start: int, end: int) -> Measures:
    seconds = 0.0
    for kind, _, content, stop in boxes(data, start, end):
        try:
            if kind == b"mvhd":
                seconds = _duration(data, content)
            elif kind == b"trak":
                found = _track(data, content, stop)
                if found is not None:
                    return found
        except struct.error:
            continue
    return Measures(seconds=seconds)


def _track(data: bytes, start: int, end: int) -> Measures | None:
    """The measures of a video track; None for another."""
    width = height = frames = 0
    seconds = 0.0
    video = False
    todo = [(start, end)]
    while todo:
        for kind, _, content, stop in boxes(data, *todo.pop()):
            if kind in (b"mdia", b"minf", b"stbl"):
                todo.append((content, stop))
            elif kind == b"hdlr":
                video = video or data[content + 8 : content + 12] == b"vide"
            elif kind == b"tkhd":
                width, height = (side >> 16 for side in struct.unpack_from(">II", data, stop - 8))
            elif kind == b"mdhd":
                seconds = _duration(data, content)
            elif kind == b"stsz":
                (frames,) = struct.unpack_from(">I", data, content + 8)
    return Measures(width=width, height=height, frames=frames, seconds=seconds) if video else None


def _duration(data: bytes, content: int) -> float:
    """Seconds of an `mvhd` or `mdhd` box."""
    if data[content] == 1:
        scale, length = struct.unpack_from(">IQ", data, content + 20)
    else:
        scale, length = struct.unpack_from(">II", data, content + 12)
    return length / scale if scale else 0.0
