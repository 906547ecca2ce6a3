"""Locks among processes, which the system gives back when the process ends, however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds a lock, and waits for it as long as it takes. Raises OSError where it cannot be made."""
    from filelock import FileLock

    with FileLock(path, thread_local=False):
        yield


def try_lock(path: Path) -> Callable[[], None] | None:
    """Takes a lock and gives what releases it; None when another process or another part of this one holds it.

    Raises:
        OSError: it cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock.release
