"""GGUF: weights in blocks of few bits. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 2 and 3.

Denoisers are written so with the names of their makers, text encoders with those of llama.cpp. A header is read here
without the package `gguf`; numbers are taken out of their blocks by it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from safelight.families.files import Header, TensorEntry

from .gguf_names import plain_name

if TYPE_CHECKING:
    from torch import Tensor

GGUF = ".gguf"
MAGIC = b"GGUF"
_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""Before the name of a tensor whose shape its blocks could not have, in the metadata."""
_MOST = 10_000_000
_PLAIN = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 0: "<B", 1: "<b", 2: "<H", 3: "<h", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9


class Block(NamedTuple):
    """Numbers in a block, and its bytes."""

    name: str
    numbers: int
    bytes: int


TYPES: dict[int, Block] = {
    0: Block("F32", 1, 4),
    1: Block("F16", 1, 2),
    2: Block("Q4_0", 32, 18),
    3: Block("Q4_1", 32, 20),
    6: Block("Q5_0", 32, 22),
    7: Block("Q5_1", 32, 24),
    8: Block("Q8_0", 32, 34),
    10: Block("Q2_K", 256, 84),
    11: Block("Q3_K", 256, 110),
    12: Block("Q4_K", 256, 144),
    13: Block("Q5_K", 256, 176),
    14: Block("Q6_K", 256, 210),
    16: Block("IQ2_XXS", 256, 66),
    17: Block("IQ2_XS", 256, 74),
    18: Block("IQ3_XXS", 256, 98),
    20: Block("IQ4_NL", 32, 18),
    21: Block("IQ3_S", 256, 110),
    22: Block("IQ2_S", 256, 82),
    23: Block("IQ4_XS", 256, 136),
    30: Block("BF16", 1, 2),
}
"""The number formats that are read, by their number in the format."""
_NUMBERS = {block.name: number for number, block in TYPES.items()}


class Unreadable(Exception):
    """The file is not whole, or not of this format; its text goes on after the file's path."""


def is_gguf(path: Path) -> bool:
    return path.suffix.lower() == GGUF


def gguf_header(path: Path) -> Header:
    """Names, shapes (as torch has them), number formats and places of a file's tensors.

    Raises:
        Unreadable: it is damaged, or has a number format that is not read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            metadata, tensors = _read(file)
        except (struct.error, UnicodeDecodeError, OverflowError, MemoryError, RecursionError):
            raise Unreadable("is not a whole GGUF file") from None
        align = metadata.get("general.alignment", 32)
        if not isinstance(align, int) or align < 1:
            raise Unreadable(f"says that its tensors are aligned to {str(align)[:40]!r}, which is no number of bytes")
        start = -(-file.tell() // align) * align
    end = max((entry.data_offsets[1] for entry in tensors.values()), default=0)
    if start + end > size:
        raise Unreadable(f"is cut off: {(start + end - size) / 1e6:,.1f} MB are missing")
    _require_in_a_row(tensors, align)
    return Header(tensors, {key: str(value) for key, value in metadata.items() if not isinstance(value, list)}, start)


def _require_in_a_row(tensors: Mapping[str, TensorEntry], align: int) -> None:
    """Raises Unreadable unless each tensor begins where the one before it ends, as the format has it: one of a wrong
    type or place would be read as numbers all the same."""
    reached = 0
    for name, entry in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        first, past = entry.data_offsets
        if first != reached:
            raise Unreadable(f"has {name!r} at byte {first} of its weights, and the one before it ends at {reached}")
        reached = -(-past // align) * align


def gguf_metadata(path: Path) -> dict[str, Any]:
    """What a file says beside its tensors, lists among it."""
    with path.open("rb") as file:
        return _read(file)[0]


def gguf_tensors(path: Path, header: Header, wanted: Callable[[str], bool] | None) -> Iterator[tuple[str, Tensor]]:
    """The tensors in float32 (those that are kept plain in their own type), one at a time."""
    import torch

    with path.open("rb") as file:
        for name, entry in header.tensors.items():
            if wanted is not None and not wanted(name):
                continue
            first, past = entry.data_offsets
            file.seek(header.start + first)
            data = bytearray(file.read(past - first))
            if len(data) < past - first:
                raise Unreadable("was cut off while it was read")
            if not data:
                yield name, torch.empty(entry.shape)
                continue
            plain = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}.get(entry.dtype)
            if plain is not None:
                yield name, torch.frombuffer(data, dtype=plain).reshape(entry.shape)
            else:
                yield name, _unpacked(data, entry)


def _unpacked(data: bytearray, entry: TensorEntry) -> Tensor:
    import gguf
    import numpy
    import torch

    kind = gguf.GGMLQuantizationType(_NUMBERS[entry.dtype])
    numbers = gguf.quants.dequantize(numpy.frombuffer(data, dtype=numpy.uint8), kind)
    return torch.from_numpy(numpy.array(numbers, dtype=numpy.float32)).reshape(entry.shape)


def _read(file: BinaryIO) -> tuple[dict[str, Any], dict[str, TensorEntry]]:
    magic, version, count, pairs = struct.unpack("<4sIQQ", file.read(24))
    if magic != MAGIC or version not in (2, 3) or max(count, pairs) > _MOST:
        raise Unreadable("is not a GGUF file of version 2 or 3")
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = _text(file)
        metadata[key] = _value(file, _number(file, "<I"))
    architecture = str(metadata.get("general.architecture", ""))
    tensors: dict[str, TensorEntry] = {}
    names: set[str] = set()
    for _ in range(count):
        name = _text(file)
        if name in names:
            raise Unreadable(f"has two tensors called {name!r}")
        names.add(name)
        axes = _number(file, "<I")
        if axes > 8:
            raise Unreadable(f"has a tensor of {axes} axes")
        shape = tuple(reversed(struct.unpack(f"<{axes}Q", file.read(8 * axes))))
        kind, offset = _number(file, "<I"), _number(file, "<Q")
        block = TYPES.get(kind)
        if block is None:
            raise Unreadable(f"holds weights of the number format {kind} of GGUF, which is not read")
        numbers = math.prod(shape)
        if numbers % block.numbers:
            raise Unreadable(f"has {numbers} numbers in {name!r}, which blocks of {block.numbers} do not hold")
        length = numbers // block.numbers * block.bytes
        told = metadata.get(_ORIGINAL_SHAPE + name)
        if isinstance(told, list) and all(isinstance(side, int) and side > 0 for side in told):
            shape = tuple(told) if math.prod(told) == numbers else shape
        tensors[plain_name(name, architecture)] = TensorEntry(block.name, shape, (offset, offset + length))
    return metadata, tensors


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > _MOST:
        raise Unreadable("is not a whole GGUF file")
    text = file.read(length)
    if len(text) < length:
        raise Unreadable("is not a whole GGUF file")
    return text.decode()


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if count > _MOST:
            raise Unreadable("is not a whole GGUF file")
        return [_value(file, inner) for _ in range(count)]
    if kind not in _PLAIN:
        raise Unreadable("is not a whole GGUF file")
    return _number(file, _PLAIN[kind])
