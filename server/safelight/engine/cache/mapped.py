"""Large payloads as memory that the system reads from their file where it is looked at, and lets go of again."""

from __future__ import annotations

import mmap
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LARGE = 32 << 20
"""Bytes of a payload from which on it is mapped rather than read."""


class MappedFile:
    """A file that `container.unpack` reads from. What it takes by `tensor` stays in the file.

    The mapping is private: whoever writes to such a tensor changes a copy of that page, and never the file.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._place = 0
        self.bytes = 0
        """Bytes of tensors that stay in the file, and where they lie in memory."""
        self.places: set[int] = set()

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._map) - self._place)
        view[:count] = memoryview(self._map)[self._place : self._place + count]
        self._place += count
        return count

    def tensor(self, count: int, dtype: torch.dtype) -> Tensor | None:
        """The next `count` elements as a flat tensor; None when the file ends before."""
        import torch

        size = count * dtype.itemsize
        if self._place + size > len(self._map):
            return None
        found = torch.frombuffer(self._map, dtype=dtype, count=count, offset=self._place)
        self._place += size
        self.bytes += size
        self.places.add(found.data_ptr())
        return found


def map_file(file: IO[bytes]) -> MappedFile | None:
    """The file mapped; None where the system cannot, and it has to be read."""
    try:
        return MappedFile(file)
    except (OSError, ValueError):
        return None
