"""How to tell that memory has run out."""

from __future__ import annotations

import sys

_SAID = ("can't allocate memory", "not enough memory", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was no memory left, in main memory or on a device."""
    # Another thread may be importing torch this moment: then it has no such name yet.
    of_torch = getattr(sys.modules.get("torch"), "OutOfMemoryError", MemoryError)
    if isinstance(error, (MemoryError, of_torch)):
        return True
    # torch's allocator for the CPU, and the one for MPS, have no exception of their own.
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)
