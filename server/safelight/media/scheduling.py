"""How the system shares the processor among threads: what a library changed is put back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def same_scheduling() -> Iterator[None]:
    """Threads that are scheduled otherwise after the block are as they were; those that it began, as its caller was.

    SVT-AV1 gives its threads, and the one that opens it, the first place in real time where it runs as root: before all
    other programs, for as long as the process lives, and so for all that this one starts. Other systems than Linux have
    nothing of the kind.
    """
    if sys.platform != "linux":
        yield
        return
    own, before = _scheduled(0), _everyone()
    try:
        yield
    finally:
        for thread, now in _everyone().items():
            wanted = before.get(thread, own)
            if now != wanted:
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.sched_setscheduler(thread, wanted[0], os.sched_param(wanted[1]))


def _everyone() -> dict[int, tuple[int, int]]:
    """All threads of this process."""
    found: dict[int, tuple[int, int]] = {}
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            found[int(task.name)] = _scheduled(int(task.name))
    return found


def _scheduled(thread: int) -> tuple[int, int]:
    """The policy and the priority of a thread; 0: the one that asks."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
