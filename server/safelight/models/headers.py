"""The header of a safetensors file: names, types and shapes of its tensors, without reading them.

Format: https://huggingface.co/docs/safetensors: eight bytes of little-endian length, that much JSON, then the tensors.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec

from safelight.sdk.problem import Problem, ProblemError

_LONGEST = 100_000_000
"""The format's own bound on the length of a header, in bytes."""


class TensorEntry(msgspec.Struct, frozen=True):
    """A tensor of a file. `data_offsets` are its first byte and the one past its last, counted from `Header.start`."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


class Header(msgspec.Struct, frozen=True):
    """`start` is where the tensors begin in the file, `metadata` what its maker wrote beside them."""

    tensors: dict[str, TensorEntry]
    metadata: dict[str, str]
    start: int

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, or () when there is none of that name."""
        found = self.tensors.get(name)
        return found.shape if found else ()

    def dtypes(self) -> str:
        """The type that most bytes of the file are in, as the format writes it (`F16`, `BF16`, `F32`)."""
        sizes: dict[str, int] = {}
        for tensor in self.tensors.values():
            size = tensor.data_offsets[1] - tensor.data_offsets[0]
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + size
        return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else ""


def read_header(path: Path) -> Header:
    """The header of a safetensors file.

    Raises:
        ProblemError: `weights_damaged`, when the file is no whole safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if first.startswith(b"version "):
            raise damaged(path, "holds a Git LFS pointer instead of weights", "Run `git lfs pull` in its folder.")
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 2 <= length <= min(_LONGEST, size - 8):
            raise damaged(path, "is not a whole safetensors file")
        text = file.read(length)
    try:
        parts = msgspec.json.decode(text, type=dict[str, Any])
        metadata = msgspec.convert(parts.pop("__metadata__", {}), dict[str, str])
        tensors = msgspec.convert(parts, dict[str, TensorEntry])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise damaged(path, "is not a safetensors file") from None
    end = max((tensor.data_offsets[1] for tensor in tensors.values()), default=0)
    if 8 + length + end > size:
        missing = (8 + length + end - size) / 1e6
        raise damaged(path, f"is cut off: {missing:,.1f} MB are missing")
    return Header(tensors, metadata, 8 + length)


def damaged(path: Path, what: str, hint: str = "Copy or download it again.") -> ProblemError:
    """The problem of a file of weights that is not whole; `what` goes on from its path."""
    return ProblemError(Problem(code="weights_damaged", message=f"{path} {what}.", hint=hint, value=str(path)))
