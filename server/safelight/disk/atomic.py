"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import FileIO
from pathlib import Path

STALE_SECONDS = 24 * 3600
"""A temporary file older than this was left by a process that was killed."""
_counter = itertools.count()


def write_file(path: Path, chunks: Iterable[bytes | memoryview], trailer: Callable[[int], bytes] | None = None) -> int:
    """Writes a file whole or not at all, durable when it returns. Gives the CRC-32 of the chunks.

    `trailer` makes what follows them from that CRC.

    Raises:
        OSError: the disk is full or cannot be written; nothing is left behind.
    """
    crc = 0
    temporary = path.with_name(f".{os.getpid()}-{threading.get_ident()}-{next(_counter)}.tmp")
    try:
        with _create(temporary) as file:
            for chunk in chunks:
                _write(file, chunk)
                crc = zlib.crc32(chunk, crc)
            if trailer is not None:
                _write(file, trailer(crc))
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return crc


@contextlib.contextmanager
def unnamed(folder: Path, data: bytes) -> Iterator[Callable[[Path], bool]]:
    """A file in a folder that is written and durable, and has no name yet.

    What is given claims a name for it, and says whether nobody had that name; to be called until it says so.

    Raises:
        OSError: the disk is full or cannot be written; nothing is left behind.
    """
    with draft(folder) as temporary:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield lambda path: claim(temporary, path)


@contextlib.contextmanager
def draft(folder: Path) -> Iterator[Path]:
    """Where a file of a folder can be written that has no name yet; what still lies there afterwards is removed."""
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def claim(temporary: Path, path: Path) -> bool:
    """Gives a draft its name, and says whether nobody had that name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        temporary.replace(path)
    return True


def _create(path: Path) -> FileIO:
    try:
        return FileIO(path, "wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(path, "wb")


def _write(file: FileIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
