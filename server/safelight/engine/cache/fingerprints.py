"""Digests of files, remembered as long as the files look unchanged."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

from safelight.sdk.codec import DIGEST_BYTES

from .batch import Row
from .disk import Disk

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago may change again within one tick of its clock, so its digest is not remembered."""


class Fingerprints:
    """Digests by path, size, times of change and inode: in memory, and in the index where there is one."""

    def __init__(self, disk: Disk | None) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[int, int, int, str]] = {}

    def digest(self, path: Path) -> str:
        name = os.fsencode(path.absolute())
        look = _look(path)
        with self._lock:
            known = self._known.get(name)
        if known is None and self._disk is not None:
            rows = self._disk.rows("SELECT size, mtime, inode, digest FROM file WHERE path = ?", (name,))
            known = rows[0] if rows else None
        if known is not None and known[:3] == look:
            with self._lock:
                self._known[name] = known
            return known[3]
        digest, look = _read(path)
        if time.time_ns() - max(look[1], path.stat().st_ctime_ns) > SETTLED_NS:
            with self._lock:
                self._known[name] = (*look, digest)
            if self._disk is not None:
                values = (name, *look, digest, int(time.time()))
                self._disk.write(Row("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?)", values))
        return digest

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


def _look(path: Path | int) -> tuple[int, int, int]:
    found = os.stat(path)  # noqa: PTH116  a descriptor has no Path
    # A program may set the time of change back, but not the time at which that was done. The index has one column for
    # what the file is; SQLite holds 63 bits and a sign there.
    return found.st_size, found.st_mtime_ns, (found.st_ino * 1_000_003 ^ found.st_ctime_ns) & (2**63 - 1)


def _read(path: Path) -> tuple[str, tuple[int, int, int]]:
    """The digest of a file, and how it looked. Read again when it changes meanwhile, three times at most."""
    for left in (2, 1, 0):
        with path.open("rb", buffering=0) as file:
            before = _look(file.fileno())
            state = hashlib.blake2b(digest_size=DIGEST_BYTES)
            buffer = memoryview(bytearray(1 << 20))
            while count := file.readinto(buffer):
                state.update(buffer[:count])
            if not left or _look(file.fileno()) == before:
                return state.hexdigest(), before
    raise AssertionError("the last round returns.")
