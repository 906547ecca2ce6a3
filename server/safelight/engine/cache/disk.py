"""The disk tier: payloads in files named by content, an SQLite index over them, a budget in bytes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.disk import STALE_SECONDS, draft, write_file
from safelight.sdk.codec import Encoded

from .batch import BLOB, TENSORS, Item, Keep, Row, evict, insert, parts_of, unpack_action
from .container import INLINE_BYTES, Damaged, Payload, read_all, unpack, unpack_text
from .index import OVERHEAD, Index, NewerSchema, is_busy, is_damage
from .mapped import LARGE, MappedFile, map_file
from .pins import Pins
from .refs import BLOB_MARK, Action
from .taken import ROOM
from .writer import Writer

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
ROW_BYTES = 500
_NOTHING = Row("SELECT 1", ())


class Entry(NamedTuple):
    """A row of the index, without its payload unless it was asked for."""

    kind: int
    size: int
    bytes: int
    crc: int
    parts: bytes | None
    inline: bool


class Loaded(NamedTuple):
    """A payload that was read and verified, with what is needed to hold it in memory.

    `held` are its tensors that take memory; `mapped` are the bytes of the others, which stay in their file: what lies
    there takes no memory that the system could not have back at once.
    """

    kind: int
    size: int
    seconds: float
    parts: tuple[str, ...]
    content: Encoded | bytes
    held: tuple[Tensor, ...] = ()
    mapped: int = 0
    fetched: bytes | None = None
    """The payload where it is not on this disk yet."""


class Raw(NamedTuple):
    """A payload as it lies on disk, unread, with its row."""

    kind: int
    size: int
    bytes: int
    crc: int
    seconds: float
    parts: bytes | None
    payload: bytes | Path


class Disk:
    """All methods may be called from any thread. Nothing here raises for a disk that fails: see `trouble`."""

    def __init__(
        self, folder: Path, limit: int, *, queue_bytes: int, action_rows: int, lost: Callable[[Keep], None], pins: Pins
    ) -> None:
        """`lost` is told of what was to be written and could not be; what is in `pins` is not evicted."""
        self._pins = pins
        self.folder = folder
        self.limit = limit
        self.trouble = ""
        self._action_rows = action_rows
        self._lost = lost
        self._retry_at = 0.0
        self._warned = False
        self._lock = threading.Lock()
        self._used: dict[str, int] = {}
        self._pending: dict[str, Keep] = {}
        self._reader: Index | None = None
        self._writing: Index | None = None
        self._sweep_asked = False
        self.writer: Writer[Item] = Writer(self._process, queue_bytes)
        try:
            self._reader = Index(folder)
        except (OSError, sqlite3.Error, NewerSchema) as error:
            self._fail(error, for_good=isinstance(error, NewerSchema))

    # Reading

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._reader is None:
                return []
            try:
                return self._reader.read(sql, values)
            except (OSError, sqlite3.Error, NewerSchema) as error:
                self._reader.close()
                self._reader = None
                self._fail(error, for_good=isinstance(error, NewerSchema))
                return []

    def entry(self, key: str) -> Entry | None:
        found = self.rows("SELECT kind, size, bytes, crc, parts, body IS NOT NULL FROM entry WHERE id = ?", (key,))
        return Entry(*found[0]) if found else None

    def pending(self, key: str) -> Keep | None:
        return self._pending.get(key)

    def whole(self, key: str) -> Entry | None:
        """The entry, if its payload is there and as long as it should be."""
        entry = self.entry(key)
        if entry is None or entry.inline:
            return entry
        try:
            return entry if self.path(key).stat().st_size == entry.bytes else None
        except OSError:
            return None

    def action(self, key: str) -> Action | None:
        found = self.rows("SELECT body, at FROM action WHERE key = ?", (key,))
        if not found:
            return None
        body, at = found[0]
        action = unpack_action(key, body)
        if action is None:
            self.write(Row("DELETE FROM action WHERE key = ?", (key,)))
            return None
        now = int(time.time())
        if now - at > 3600:
            self.write(Row("UPDATE action SET at = ? WHERE key = ?", (now, key)))
        return action

    def load(self, key: str) -> Loaded | None:
        """The payload, verified. A damaged one is removed, so that it is written again the next time."""
        found = self.rows("SELECT kind, bytes, crc, body, size, seconds, parts FROM entry WHERE id = ?", (key,))
        if not found:
            return None
        kind, length, crc, body, size, seconds, parts = found[0]
        mapped: MappedFile | None = None
        try:
            if (kind == BLOB) != key.startswith(BLOB_MARK):
                raise Damaged("it is not of the kind that its name says.")
            if body is None:
                with self.path(key).open("rb", buffering=0) as file:
                    if os.fstat(file.fileno()).st_size != length:
                        raise Damaged("the file has another length.")
                    mapped = map_file(file) if kind == TENSORS and length >= LARGE else None
                    content = read_payload(mapped or file, kind, length, crc)
            elif isinstance(body, bytes) and len(body) == length:
                content = read_payload(io.BytesIO(body), kind, length, crc)
            else:
                raise Damaged("the row has another length.")
        except (Damaged, OSError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("cache entry %s cannot be read (%s): it will be computed again.", key, error)
            self.forget(key)
            return None
        with self._lock:
            self._used[key] = self._used.get(key, 0) + 1
        found = content.tensors.values() if isinstance(content, Encoded) else ()
        if mapped is None:
            return Loaded(kind, size, seconds, parts_of(parts), content, tuple(found))
        held = tuple(tensor for tensor in found if tensor.data_ptr() not in mapped.places)
        return Loaded(kind, size, seconds, parts_of(parts), content, held, mapped.bytes)

    def raw(self, key: str) -> Raw | None:
        """The payload as it lies there, for others to verify; None when it is not there."""
        found = self.rows("SELECT kind, size, bytes, crc, seconds, parts, body FROM entry WHERE id = ?", (key,))
        if not found:
            return None
        kind, size, length, crc, seconds, parts, body = found[0]
        return Raw(kind, size, length, crc, seconds, parts, self.path(key) if body is None else body)

    def forget(self, key: str) -> None:
        """Removes an entry at once, so that nobody is told that it is there."""
        with self._lock:
            if self._reader is not None:
                with contextlib.suppress(sqlite3.Error, OSError, NewerSchema), self._reader.writing() as connection:
                    connection.execute("DELETE FROM entry WHERE id = ?", (key,))
        with contextlib.suppress(OSError):
            self.path(key).unlink()

    def path(self, key: str) -> Path:
        if key.startswith(BLOB_MARK):
            name = key.removeprefix(BLOB_MARK)
            return self.folder / "blobs" / name[:2] / name
        return self.folder / "values" / key[:2] / (key + ".safetensors")

    # Writing

    def write(self, item: Item) -> None:
        """Hands work to the writer thread; waits when too much is waiting already."""
        if not self._may_write():
            return
        if not isinstance(item, Keep):
            self.writer.submit(item, ROW_BYTES)
        elif item.payload.length + OVERHEAD <= self.limit:
            with self._lock:
                self._pending[item.id] = item
            if not self.writer.submit(item, item.size):
                self._done([item])

    def draft(self) -> AbstractContextManager[Path]:
        """Where a file can be written for `adopt`. What a killed process leaves there is swept away."""
        folder = self.folder / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        return draft(folder)

    def adopt(
        self,
        key: str,
        path: Path,
        *,
        kind: int = BLOB,
        size: int | None = None,
        seconds: float = 0.0,
        parts: tuple[str, ...] = (),
    ) -> bool:
        """Moves a file here as the payload of an entry, a blob or another one, which is there when this returns.
        False: it does not fit, or the disk does not take it; then the file lies where it was."""
        try:
            length = path.stat().st_size
            if not self._may_write() or not INLINE_BYTES < length <= self.limit - OVERHEAD:
                return False
            if self.whole(key) is not None:
                return True
            crc = 0
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    crc = zlib.crc32(chunk, crc)
                os.fsync(file.fileno())
            place = self.path(key)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        except OSError as error:
            self._fail(error)
            return False
        size = length + ROOM if size is None else size
        item = Keep(key, kind, size, Payload((b"",), length, crc), seconds, None, parts, placed=True)
        if self.writer.submit(item, 0) and self.writer.flush() and self.whole(key) is not None:
            return True
        with contextlib.suppress(OSError):  # no row names it: whoever made it has it again
            place.replace(path)
        return False

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        if self._used:
            self.write(_NOTHING)  # the batch it makes carries the counts of use with it
        self.writer.close()
        with self._lock:
            for index in (self._reader, self._writing):
                if index is not None:
                    index.close()
            self._reader = self._writing = None

    def clear(self) -> None:
        """Removes all entries and files. Other processes that read meanwhile see misses."""
        self.flush()
        with self._lock:
            self._used.clear()
            if self._reader is None:
                return
            try:
                with self._reader.writing() as connection:
                    for table in ("entry", "action", "pace", "file"):
                        connection.execute(f"DELETE FROM {table}")
            except (sqlite3.Error, OSError) as error:
                log.warning("the cache could not be cleared: %s", error)
                return
            with contextlib.suppress(sqlite3.Error):
                self._reader.vacuum()
        for path in self._files():
            # What another process is just writing is left to it.
            if not path.name.startswith("."):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _may_write(self) -> bool:
        return not self.trouble or time.monotonic() >= self._retry_at

    def _fail(self, error: BaseException, for_good: bool = False) -> None:
        self.trouble = str(error) or type(error).__name__
        self._retry_at = float("inf") if for_good else time.monotonic() + RETRY_SECONDS
        if not self._warned:
            self._warned = True
            why = (isinstance(error, OSError) and error.strerror) or self.trouble
            log.warning("the cache folder %s cannot be used (%s): results are kept in memory only.", self.folder, why)

    def _process(self, batch: list[Item]) -> None:
        """Files first, then one transaction for their rows and for the actions that name them."""
        kept = [item for item in batch if isinstance(item, Keep)]
        done = False
        try:
            if not self._may_write():
                return
            index = self._index()
            self._commit(index, batch, [item for item in kept if self._write_payload(item)])
            done = True
            evict(index, self.limit, self.path, self._pins)
            self._sweep(index)
            self.trouble = ""
        except (OSError, sqlite3.Error, NewerSchema) as error:
            self._fail(error, for_good=isinstance(error, NewerSchema))
        finally:
            for item in () if done else kept:
                self._lost(item)
            self._done(kept)

    def _done(self, kept: list[Keep]) -> None:
        with self._lock:
            for item in kept:
                if self._pending.get(item.id) is item:
                    del self._pending[item.id]

    def _index(self) -> Index:
        if self._writing is None:
            self._writing = Index(self.folder)
        if self._writing.follow():
            self._sweep_asked = True
        with self._lock:
            if self._reader is None:
                self._reader = Index(self.folder)
            else:
                self._reader.follow()
        return self._writing

    def _write_payload(self, item: Keep) -> bool:
        """Puts a payload into place. False when it is there already, or is small enough for the index."""
        if item.placed or item.payload.length <= INLINE_BYTES:
            return True
        if self.whole(item.id) is not None:
            return False
        path = self.path(item.id)
        crc = write_file(path, item.payload.chunks)
        if crc != item.payload.crc:
            # The tensor was changed in place after it was digested: what lies on disk is not what its name says.
            log.warning("a value was changed after a node had returned it; it is not kept on disk.")
            path.unlink(missing_ok=True)
            return False
        return True

    def _commit(self, index: Index, batch: list[Item], written: list[Keep]) -> None:
        with self._lock:
            used, self._used = self._used, {}
        for attempt in (1, 2, 3):
            try:
                with index.writing() as connection:
                    insert(connection, batch, {id(item) for item in written}, used, self._action_rows)
                return
            except sqlite3.DatabaseError as error:
                if attempt == 3 or not (is_damage(error) or is_busy(error)):
                    raise
                self._sweep_asked = self._sweep_asked or is_damage(error)

    def _sweep(self, index: Index) -> None:
        """Once a day: removes temporary files of killed processes, and payloads that no row names."""
        now = int(time.time())
        due = index.read("SELECT value FROM total WHERE name = 'swept' AND value < ?", (now - STALE_SECONDS,))
        if not due and not self._sweep_asked:
            return
        # After a damage all old payloads are orphans; an hour is enough for what others are writing.
        grace = 3600 if self._sweep_asked else STALE_SECONDS
        self._sweep_asked = False
        with index.writing() as connection:
            connection.execute("UPDATE total SET value = ? WHERE name = 'swept'", (now,))
            connection.execute("DELETE FROM file WHERE at < ?", (now - 90 * STALE_SECONDS,))
        for path in self._files():
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime < (STALE_SECONDS if path.name.startswith(".") else grace):
                    continue
                key = BLOB_MARK + path.name if path.parent.parent.name == "blobs" else path.stem
                if path.name.startswith(".") or not index.read("SELECT 1 FROM entry WHERE id = ?", (key,)):
                    path.unlink()

    def _files(self) -> Iterator[Path]:
        for kind in ("values", "blobs"):
            for place, _, names in os.walk(self.folder / kind):
                for name in names:
                    yield Path(place, name)


def read_payload(source: Any, kind: int, length: int, crc: int) -> Encoded | bytes:
    """What a payload holds. Raises Damaged when it is not what was written."""
    if kind == TENSORS:
        return unpack(source, length, crc)
    data = read_all(source, length)
    if kind == BLOB:
        if zlib.crc32(data) != crc:
            raise Damaged("the checksum differs.")
        return data
    return unpack_text(data, crc)
