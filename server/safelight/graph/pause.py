"""Rest for Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Looks for no cyclic garbage inside the block. For short work that makes many objects and drops few.

    Reading a graph is such: the collector walked it again and again while it grew, which took two fifths of the time
    of a check, and more the larger the graph.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
