"""Values as bytes: JSON, or a safetensors file whose header carries the JSON. Written and read without a second copy.

The layout is that of safetensors (8 bytes of header length, JSON header, raw tensors), so the files open in any tool
that reads it. It is written here rather than by the library because the library wants all bytes in one piece first.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from safelight.sdk.codec import CodecError, Encoded

from .compact import WAYS, compacted, widened
from .mapped import MappedFile

if TYPE_CHECKING:
    import torch
    from torch import Tensor

B = TypeVar("B", bytearray, memoryview)

_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "complex64": "C64",
}


INLINE_BYTES = 16 << 10
"""Payloads up to this size stand in the index: a row is cheaper than a file with its fsync."""


class Damaged(Exception):
    """Bytes that are not what was written."""


class Source(Protocol):
    """A file, or bytes that look like one."""

    def readinto(self, buffer: Any, /) -> int | None: ...


@dataclass(slots=True)
class Payload:
    """Bytes in pieces, their length, and their CRC-32.

    CRC-32 is there to find accidents, not forgeries: here it runs at 4 GB/s, blake2b at 0.85 GB/s, and the content's
    own blake2b digest is already the name of the entry.
    """

    chunks: Sequence[bytes | memoryview]
    length: int
    crc: int

    @classmethod
    def of(cls, chunks: Sequence[bytes | memoryview]) -> Payload:
        crc = length = 0
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
            length += len(chunk)
        if length <= INLINE_BYTES:
            chunks = [b"".join(chunks)]
        return cls(chunks, length, crc)


def encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Plain dense CPU tensors with the same content, each copied only if it has to be.

    Raises:
        CodecError: a sparse, quantized or meta tensor.
    """
    import torch

    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise CodecError("a sparse, quantized or meta tensor cannot be kept: make it dense first.")
        found[name] = tensor.detach().to("cpu").resolve_conj().resolve_neg()
    return found


def pack(text: str, tensors: dict[str, Tensor]) -> Payload:
    """A safetensors file: `text` in the metadata, then the tensors, the widest type first so that all stay aligned.

    Tensors that lose nothing by it are written in a narrower type (`compact.py`), which is noted.

    A transposed tensor is written in the order it has in memory, and the order is noted: arithmetic on what is read
    back then takes the same paths, and gives the same bits, as on what was written.
    """
    header: dict[str, Any] = {}
    layout: dict[str, Any] = {}
    chunks: list[bytes | memoryview] = []
    offset = 0
    kept: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stored, order = _in_memory_order(tensor)
        dtype = str(stored.dtype).removeprefix("torch.")
        narrow = compacted(stored)
        if order is not None or narrow is not None or dtype not in _NAMES:
            layout[name] = {"order": order, "dtype": dtype, "shape": list(stored.shape)}
        if narrow is not None:
            layout[name]["way"] = narrow[1]
        kept[name] = narrow[0].reshape(stored.shape) if narrow is not None else stored
    for name in sorted(kept, key=lambda name: (-kept[name].element_size(), name)):
        stored = kept[name]
        length = stored.numel() * stored.element_size()
        shape = list(stored.shape)
        known = _NAMES.get(str(stored.dtype).removeprefix("torch."))
        header[name] = {
            "dtype": known or "U8",
            "shape": shape if known else [length],
            "data_offsets": [offset, offset + length],
        }
        offset += length
        if length:
            chunks.append(_view(stored))
    metadata = {"format": "pt", "safelight": text}
    if layout:
        metadata["layout"] = json.dumps(layout)
    head = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return Payload.of([struct.pack("<Q", len(head)) + head, *chunks])


def unpack(source: Source, length: int, crc: int | None) -> Encoded:
    """Reads what `pack` wrote, each tensor straight into its own memory, or left in a `MappedFile`.

    Raises:
        Damaged: the bytes are too few, or do not add up to `crc`.
    """
    seen = 0
    try:
        start = _fill(source, bytearray(8))
        (size,) = struct.unpack("<Q", start)
        if size > length - 8:
            raise Damaged("the header is longer than the file.")
        head = _fill(source, bytearray(size))
        seen = zlib.crc32(head, zlib.crc32(start))
        header = json.loads(bytes(head))
        metadata = header.pop("__metadata__")
        layout = json.loads(metadata.get("layout", "{}"))
        tensors: dict[str, Tensor] = {}
        left = length - 8 - size
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            how = layout.get(name, {})
            way = how.get("way") if how else None
            if way not in (None, *WAYS):
                raise Damaged(f"it is kept in a way that is not known here: {way!r}.")
            dtype = _dtype(WAYS[way] if way else how["dtype"] if how else entry["dtype"])
            shape = [int(side) for side in (how["shape"] if how else entry["shape"])]
            # Checked before memory is asked for: a flipped bit must not become an allocation of terabytes.
            if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > left:
                raise Damaged("a tensor is larger than the file.")
            mapped = isinstance(source, MappedFile) and not way and math.prod(shape) > 0
            tensor = _mapped(source, shape, dtype) if mapped else _empty(shape, dtype)
            if tensor.numel():
                seen = zlib.crc32(_view(tensor) if mapped else _fill(source, _view(tensor)), seen)
                left -= tensor.numel() * dtype.itemsize
            tensor = widened(tensor, way) if way else tensor
            order = how.get("order") if how else None
            tensors[name] = tensor if order is None else tensor.permute(_inverse(order))
        if left:
            raise Damaged("there are bytes that belong to no tensor.")
        text = metadata["safelight"]
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError, struct.error) as error:
        raise Damaged(f"the header cannot be read: {error}") from error
    if crc is not None and seen != crc:
        raise Damaged("the checksum differs.")
    return Encoded(json.loads(text), tensors)


def unpack_text(data: bytes, crc: int) -> Encoded:
    """Reads a payload that is JSON alone. Raises Damaged like `unpack`."""
    if zlib.crc32(data) != crc:
        raise Damaged("the checksum differs.")
    try:
        return Encoded(json.loads(data.decode("utf-8", "surrogatepass")), {})
    except ValueError as error:
        raise Damaged(str(error)) from error


def read_all(source: Source, length: int) -> bytes:
    return bytes(_fill(source, bytearray(length)))


def _fill(source: Source, buffer: B) -> B:
    view, done = memoryview(buffer), 0
    while done < len(view):
        count = source.readinto(view[done:])
        if not count:
            raise Damaged("the file ends early.")
        done += count
    return buffer


def _mapped(source: Source, shape: list[int], dtype: torch.dtype) -> Tensor:
    found = source.tensor(math.prod(shape), dtype) if isinstance(source, MappedFile) else None
    if found is None:
        raise Damaged("the file ends early.")
    return found.reshape(shape)


def _empty(shape: list[int], dtype: torch.dtype) -> Tensor:
    import torch  # here, so that reading a checkpoint without tensors does not load it

    return torch.empty(shape, dtype=dtype)


def _view(tensor: Tensor) -> memoryview:
    import torch

    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _in_memory_order(tensor: Tensor) -> tuple[Tensor, list[int] | None]:
    """A contiguous tensor with the same bytes in memory, and the permutation that leads to it (None: none needed)."""
    if tensor.is_contiguous():
        return tensor, None
    order = sorted(range(tensor.dim()), key=lambda axis: -tensor.stride(axis))
    turned = tensor.permute(order)
    return (turned, order) if turned.is_contiguous() else (tensor.contiguous(), None)


def _inverse(order: list[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


def _dtype(name: str) -> torch.dtype:
    import torch

    known = {short: long for long, short in _NAMES.items()}
    found = getattr(torch, known.get(name, name), None)
    if not isinstance(found, torch.dtype):
        raise Damaged(f"unknown element type {name!r}.")
    return found
