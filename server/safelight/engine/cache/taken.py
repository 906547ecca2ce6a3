"""Values taken apart for keeping: their identity, their text, their tensors, their elements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import File
from safelight.sdk.codec import Codec, Encoded, canonical, hash_text

from .container import on_cpu
from .refs import BLOB_MARK, ValueRef

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 200
"""Bytes charged for a value beside its text and tensors."""


@dataclass(slots=True)
class Taken:
    """`elements` is None unless this is a list with tensors in it, which is kept as its elements.

    `parts` are the blobs that files in the value name: without them it is of no use.
    """

    ref: ValueRef
    value: Any
    text: str
    tensors: dict[str, Tensor]
    live: tuple[Tensor, ...]
    elements: list[Taken] | None
    parts: tuple[str, ...]


def list_ref(elements: Iterable[ValueRef]) -> ValueRef:
    """The identity of a list: a hash over those of its elements, however they came together."""
    elements = list(elements)
    # No canonical JSON starts with "list:", so this is never the digest of another value.
    digest = hash_text("list:" + ",".join(element.digest for element in elements))
    return ValueRef(digest, ROOM + sum(element.size for element in elements))


def take(value: Any, codec: Codec) -> Taken:
    """Takes a value apart and digests it.

    Raises:
        CodecError: it holds something that cannot be kept.
    """
    if isinstance(value, list):
        elements = [take(item, codec) for item in value]
        ref = list_ref(element.ref for element in elements)
        if any(element.elements is not None or element.tensors for element in elements):
            return Taken(ref, value, "", {}, (), elements, ())
        text = "[" + ",".join(element.text for element in elements) + "]"
        parts = tuple(dict.fromkeys(part for element in elements for part in element.parts))
        return Taken(ref, value, text, {}, (), None, parts)
    encoded = codec.encode(value)
    text = canonical(encoded.json)
    parts = tuple(dict.fromkeys(_blobs(encoded.json))) if _FILE in text else ()
    if not encoded.tensors:
        return Taken(ValueRef(hash_text(text), ROOM + len(text)), value, text, {}, (), None, parts)
    live = tuple(encoded.tensors.values())
    tensors = on_cpu(encoded.tensors)
    digest = codec.digest_encoded(Encoded(encoded.json, tensors))
    size = ROOM + len(text) + sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return Taken(ValueRef(digest, size), value, text, tensors, live, None, parts)


def fresh(value: Any) -> Any:
    """The value with its lists and dictionaries copied, so that changing what a node was given changes nothing here."""
    if isinstance(value, list):
        return [fresh(item) for item in value]
    if isinstance(value, dict):
        return {key: fresh(item) for key, item in value.items()}
    if type(value) is tuple:
        return tuple(fresh(item) for item in value)
    return value


_FILE = f'"$type":"{File.__name__}"'


def _blobs(data: Any) -> Iterator[str]:
    if isinstance(data, list):
        for item in data:
            yield from _blobs(item)
    elif isinstance(data, dict):
        if data.get("$type") == File.__name__ and isinstance(data.get("digest"), str):
            yield BLOB_MARK + data["digest"]
        for item in data.values():
            yield from _blobs(item)
