"""The elements that WebM files are made of, and the tags in them. Nothing is decoded.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska), the WebM container guidelines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from . import xmp
from .packed import broken

WORKFLOW, MADE_BY = b"SAFELIGHT_WORKFLOW", b"DIGITAL_SOURCE_TYPE"
_HEAD, _SEGMENT, _TAGS, _TAG, _TARGETS = 0x1A45DFA3, 0x18538067, 0x1254C367, 0x7373, 0x63C0
_SIMPLE, _NAME, _TEXT, _BINARY = 0x67C8, 0x45A3, 0x4487, 0x4485
_MANY = 1_000_000


class Element(NamedTuple):
    """Its kind, where it starts, where its content starts, and where it ends."""

    kind: int
    start: int
    content: int
    end: int


def elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """Those that lie beside each other, up to where the file breaks off. One without a length goes on to the end."""
    for _ in range(_MANY):
        if start >= end:
            return
        kind, place = _number(data, start, end, keep=True)
        size, content = _number(data, place, end, keep=False)
        if kind < 0 or content < 0:
            return
        stop = end if size == (1 << 7 * (content - place)) - 1 else content + size
        if stop > end:
            return
        yield Element(kind, start, content, stop)
        start = stop


def _number(data: bytes, place: int, end: int, *, keep: bool) -> tuple[int, int]:
    """A number of one to eight bytes and where it ends, with the bits that say its length if they are to be kept; -1
    for what breaks off."""
    length = 9 - data[place].bit_length() if 0 <= place < end else 9
    if length > 8 or place + length > end:
        return -1, -1
    found = int.from_bytes(data[place : place + length], "big")
    return found if keep else found & ((1 << 7 * length) - 1), place + length


def element(kind: int, content: bytes) -> bytes:
    size = (1 << 56) | len(content)
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + size.to_bytes(8, "big") + content


def embed(data: bytes, packed: bytes) -> bytes:
    """The file with a tag at its end that holds these bytes, in the place of one that was there."""
    return _with(data, WORKFLOW, element(_BINARY, packed))


def mark(data: bytes) -> bytes:
    """The file with a tag that says that a model made it, in the words of the IPTC."""
    return _with(data, MADE_BY, element(_TEXT, xmp.MADE_BY_MODEL.encode()))


def extract(data: bytes) -> bytes | None:
    segment = _segment(data)
    if segment is None:
        raise broken("it breaks off")
    last = segment.content
    for one in elements(data, segment.content, segment.end):
        last = one.end
        if _named(data, one, WORKFLOW):
            return next((data[part.content : part.end] for part in _leaves(data, one) if part.kind == _BINARY), None)
    if last != segment.end:
        raise broken("it breaks off")
    return None


def tags(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and texts of all tags of a file."""
    segment = _segment(data)
    for one in elements(data, segment.content, segment.end) if segment is not None else ():
        for tag in elements(data, one.content, one.end) if one.kind == _TAGS else ():
            for simple in elements(data, tag.content, tag.end) if tag.kind == _TAG else ():
                parts = {
                    part.kind: data[part.content : part.end] for part in elements(data, simple.content, simple.end)
                }
                if simple.kind == _SIMPLE and _NAME in parts and _TEXT in parts:
                    yield parts[_NAME], parts[_TEXT]


def _with(data: bytes, name: bytes, value: bytes) -> bytes:
    """Places inside the file, which others name by number, stay where they are: what is added follows all else."""
    segment = _segment(data)
    if segment is None or segment.end != len(data) or segment.content - segment.start < 12:
        raise broken("it breaks off")
    found = list(elements(data, segment.content, segment.end))
    if not found or found[-1].end != segment.end:
        raise broken("it breaks off")
    ours = [one for one in found if _ours(data, one)]
    if ours != found[len(found) - len(ours) :]:
        raise broken("something was written behind the workflow in it")
    kept = [data[one.start : one.end] for one in ours if not _named(data, one, name)]
    place = ours[0].start if ours else segment.end
    simple = element(_SIMPLE, element(_NAME, name) + value)
    added = b"".join([*kept, element(_TAGS, element(_TAG, element(_TARGETS, b"") + simple))])
    size = (1 << 56) | (place - segment.content + len(added))
    head = segment.content - 8
    return data[:head] + size.to_bytes(8, "big") + data[segment.content : place] + added


def _segment(data: bytes) -> Element | None:
    """The part of the file that holds all but its head; None for one that breaks off."""
    found = list(elements(data, 0, len(data)))
    if not found or found[0].kind != _HEAD:
        return None
    return next((one for one in found if one.kind == _SEGMENT), None)


def _ours(data: bytes, one: Element) -> bool:
    return _named(data, one, WORKFLOW) or _named(data, one, MADE_BY)


def _named(data: bytes, one: Element, name: bytes) -> bool:
    """Whether it is a list of tags with this one alone, as we write it."""
    leaves = _leaves(data, one) if one.kind == _TAGS else []
    return [data[part.content : part.end] for part in leaves if part.kind == _NAME] == [name]


def _leaves(data: bytes, tags: Element) -> list[Element]:
    """All parts of the tags of a list."""
    parts: list[Element] = []
    for tag in elements(data, tags.content, tags.end):
        for simple in elements(data, tag.content, tag.end) if tag.kind == _TAG else ():
            parts += elements(data, simple.content, simple.end) if simple.kind == _SIMPLE else ()
    return parts
