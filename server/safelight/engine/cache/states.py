"""Checkpoints of samplers: one file a key, replaced whole, checked by itself."""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safelight.disk import STALE_SECONDS, write_file
from safelight.sdk.codec import Codec, canonical, hash_text

from .container import Damaged, on_cpu, pack, unpack

log = logging.getLogger(__name__)

_TRAILER = struct.Struct("<4sI")
_MAGIC = b"SLcp"
KEEP_SECONDS = 30 * 24 * 3600


class States:
    """A file is a safetensors body, followed by a mark and the CRC-32 of the body.

    They stand apart from the index: a checkpoint is worth most when the machine has just failed.
    """

    def __init__(self, folder: Path | None, codec: Codec, limit: int) -> None:
        """`limit`: bytes on disk above which the oldest go."""
        self._folder = folder / "states" if folder is not None else None
        self._codec = codec
        self._limit = limit
        self._memory: dict[str, Mapping[str, Any]] = {}
        self._warned = False
        self._tidied = False

    def save(self, key: str, state: Mapping[str, Any]) -> None:
        encoded = self._codec.encode({"key": key, "state": dict(state)})
        payload = pack(canonical(encoded.json), on_cpu(encoded.tensors) if encoded.tensors else {})
        if self._folder is None:
            self._memory[key] = dict(state)
            return
        try:
            write_file(self._path(key), payload.chunks, lambda crc: _TRAILER.pack(_MAGIC, crc))
            _sync_folder(self._folder)
        except OSError as error:
            self._memory[key] = dict(state)
            if not self._warned:
                self._warned = True
                log.warning("a checkpoint could not be written (%s): it is kept in memory only.", error)
            return
        self._memory.pop(key, None)
        if not self._tidied:
            self._tidied = True
            self.tidy()

    def load(self, key: str) -> Mapping[str, Any] | None:
        if key in self._memory:
            return dict(self._memory[key])
        if self._folder is None:
            return None
        path = self._path(key)
        try:
            with path.open("rb", buffering=0) as file:
                length = os.fstat(file.fileno()).st_size - _TRAILER.size
                encoded = unpack(file, length, self._crc(file, length))
            found = self._codec.decode(encoded)
            return found["state"] if found["key"] == key else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            log.warning("checkpoint %s cannot be read (%s): the run starts again.", path.name, error.strerror or error)
            return None
        except Exception as error:  # whatever a damaged or foreign file leads to, the run starts at its first step
            log.warning("checkpoint %s cannot be read (%s): the run starts again.", path.name, error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def raw(self, key: str) -> bytes | None:
        """The file of a checkpoint, for another machine; None when there is none on disk."""
        try:
            return self._path(key).read_bytes() if self._folder is not None else None
        except OSError:
            return None

    def adopt(self, key: str, data: bytes) -> Mapping[str, Any] | None:
        """What the file of another machine holds, which is kept here, too; None where it is no use."""
        if self._folder is None:
            with tempfile.TemporaryDirectory() as folder:
                return States(Path(folder), self._codec, len(data)).adopt(key, data)
        try:
            write_file(self._path(key), [data])
        except OSError as error:
            log.warning("a checkpoint could not be written (%s): the run starts again.", error)
            return None
        return self.load(key)

    def drop(self, key: str) -> None:
        self._memory.pop(key, None)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._path(key).unlink()

    def clear(self) -> None:
        self._memory.clear()
        for path in self._files():
            with contextlib.suppress(OSError):
                path.unlink()

    def tidy(self) -> None:
        """Removes what nobody came back for, what is beyond the limit, and temporary files of killed processes."""
        now = time.time()
        found: list[tuple[float, int, Path]] = []
        for path in self._files(temporary=True):
            with contextlib.suppress(OSError):
                look = path.stat()
                found.append((now - look.st_mtime, look.st_size, path))
        total = 0
        for number, (age, size, path) in enumerate(sorted(found)):
            total += size
            old = age > (STALE_SECONDS if path.name.startswith(".") else KEEP_SECONDS)
            if old or (number and total > self._limit and not path.name.startswith(".")):
                with contextlib.suppress(OSError):
                    path.unlink()

    def totals(self) -> tuple[int, int]:
        """How many there are, and their bytes on disk."""
        count, size = len(self._memory), 0
        for path in self._files():
            with contextlib.suppress(OSError):
                size += path.stat().st_size
                count += 1
        return count, size

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / (hash_text(key) + ".state")

    def _files(self, temporary: bool = False) -> Iterator[Path]:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            for path in list(self._folder.iterdir()):
                if path.suffix == ".state" or (temporary and path.suffix == ".tmp"):
                    yield path

    @staticmethod
    def _crc(file: Any, length: int) -> int:
        if length < 0:
            raise Damaged("the file ends early.")
        file.seek(length)
        magic, crc = _TRAILER.unpack(file.read(_TRAILER.size))
        if magic != _MAGIC:
            raise Damaged("the mark at its end is missing.")
        file.seek(0)
        return crc


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable, where the system knows how."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
