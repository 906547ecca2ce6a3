"""What an ONNX file says of itself: what it takes and gives, and its weights. Nothing of it is run.

Format: onnx.proto of https://github.com/onnx/onnx (Apache-2.0), which is protobuf: fields of a number, a kind and a
value each, and messages in messages. What is not needed is passed over without reading it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from safelight.families.files import Header, TensorEntry

from .gguf_files import Unreadable

ONNX = ".onnx"
_TYPES = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32",
    13: "U64", 16: "BF16",
}  # fmt: skip
_DEEPEST = 32
"""Levels of graphs in graphs that are read: loops and branches have a few."""
_GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE = "graph", "function", "node", "attribute", "tensor", "sparse"
_HOLDS: dict[str, dict[int, str]] = {
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {},
}
"""By message, the fields in which tensors may lie, and what those are."""

Field = tuple[int, int, int, int]
"""Number, kind, and where the value begins and ends; of one that is a number itself, that number and 0."""


class Socket(NamedTuple):
    """What a network takes or gives. `shape` has 0 for a side that may be any; it is empty where nothing is said."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class OnnxFile(NamedTuple):
    """What a file says of itself. `operators` are the names of those it computes with. `header` has its weights, as
    those of other files; their places only say sizes."""

    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]
    operators: frozenset[str]
    header: Header


def is_onnx(path: Path) -> bool:
    return path.suffix.lower() == ONNX


def read_onnx(path: Path) -> OnnxFile:
    """What a file says of itself.

    Raises:
        Unreadable: it is damaged, no ONNX, or keeps weights in other files. Those could lie anywhere, and a model is
            what lies in its own file.
    """
    if not path.stat().st_size:
        raise Unreadable("is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(data).model()


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._operators: set[str] = set()

    def model(self) -> OnnxFile:
        graph: Field | None = None
        for field in self._fields(0, len(self._data)):
            if field[:2] == (7, 2) and graph is not None:
                raise Unreadable("has more than one network")
            if field[:2] == (7, 2):
                graph = field
            elif field[:2] == (25, 2):
                self._search(_FUNCTION, field, 0)
            elif field[:2] == (20, 2):
                raise Unreadable("is a network in training, which is not read")
        if graph is None:
            raise Unreadable("is no ONNX file")
        self._search(_GRAPH, graph, 0)
        fields = list(self._fields(*graph[2:]))
        tensors = dict(self._tensor(field) for field in fields if field[:2] == (5, 2))
        named = [self._socket(field) for field in fields if field[:2] == (11, 2)]
        outputs = tuple(self._socket(field) for field in fields if field[:2] == (12, 2))
        # Older files count their weights among what they take.
        inputs = tuple(one for one in named if one.name not in tensors)
        if not inputs or not outputs:
            raise Unreadable("is no ONNX file of a network")
        return OnnxFile(inputs, outputs, frozenset(self._operators), Header(tensors, {"format": "onnx"}, 0))

    def _fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of a message."""
        at = start
        while at < end:
            tag, at = self._number(at, end)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, at = self._number(at, end)
                yield number, kind, value, 0
                continue
            length = {1: 8, 5: 4}.get(kind, -1)
            if kind == 2:
                length, at = self._number(at, end)
            if length < 0 or at + length > end or not number:
                raise Unreadable("is no ONNX file, or not a whole one")
            yield number, kind, at, at + length
            at += length

    def _number(self, at: int, end: int) -> tuple[int, int]:
        found = shift = 0
        while at < end and shift < 64:
            byte = self._data[at]
            at += 1
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found, at
        raise Unreadable("is no ONNX file, or not a whole one")

    def _search(self, message: str, within: Field, depth: int) -> None:
        """Looks at every tensor of a message, wherever it lies, for one whose numbers are in another file."""
        if depth > 4 * _DEEPEST:
            raise Unreadable("has graphs in graphs, more levels of them than are read")
        for field in self._fields(*within[2:]):
            number, kind = field[:2]
            if message == _TENSOR and (number == 13 or (number == 14 and (kind != 0 or field[2] != 0))):
                raise Unreadable("keeps weights in files beside it, which are not read")
            if message == _NODE and (number, kind) == (4, 2):
                self._operators.add(self._text(*field[2:]))
            inner = _HOLDS[message].get(number)
            if inner is not None and kind == 2:
                self._search(inner, field, depth + 1)

    def _tensor(self, within: Field) -> tuple[str, TensorEntry]:
        name, dtype, shape = "", 0, list[int]()
        for number, kind, start, end in self._fields(*within[2:]):
            if number == 1 and kind == 0:
                shape.append(start)
            elif number == 1 and kind == 2:
                shape += self._numbers(start, end)
            elif number == 2 and kind == 0:
                dtype = start
            elif number == 8 and kind == 2:
                name = self._text(start, end)
        return name, TensorEntry(_TYPES.get(dtype, "?"), tuple(shape), (0, within[3] - within[2]))

    def _numbers(self, start: int, end: int) -> Sequence[int]:
        found: list[int] = []
        while start < end:
            one, start = self._number(start, end)
            found.append(one)
        return found

    def _socket(self, within: Field) -> Socket:
        name, dtype, shape = "", "", list[int]()
        for number, kind, start, end in self._fields(*within[2:]):
            if number == 1 and kind == 2:
                name = self._text(start, end)
            elif number == 2 and kind == 2:
                for tensor in self._inner(start, end, 1):
                    for inner in self._fields(*tensor):
                        if inner[:2] == (1, 0):
                            dtype = _TYPES.get(inner[2], "?")
                        elif inner[:2] == (2, 2):
                            shape = [self._side(*side) for side in self._inner(*inner[2:], 1)]
        return Socket(name, dtype, tuple(shape))

    def _inner(self, start: int, end: int, wanted: int) -> list[tuple[int, int]]:
        return [field[2:] for field in self._fields(start, end) if field[:2] == (wanted, 2)]

    def _side(self, start: int, end: int) -> int:
        found = [field[2] for field in self._fields(start, end) if field[:2] == (1, 0)]
        # A side that is only named, or written as a number below 0, may be any.
        return found[-1] if found and found[-1] < 2**31 else 0

    def _text(self, start: int, end: int) -> str:
        return self._data[start:end].decode("utf-8", "replace")
