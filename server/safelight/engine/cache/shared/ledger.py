"""What a machine has on record of the team's cache: what is there, what has still to be sent, and how much went by."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from safelight.sdk.codec import hash_text

from ..index import Index, NewerSchema
from ..writer import Writer
from .seal import Entry

log = logging.getLogger(__name__)

Kind = Literal["action", "state", "drop"]
_KINDS: tuple[Kind, ...] = ("action", "state", "drop")
_SCHEMA = 1
_TABLES = """
CREATE TABLE known (                -- values that are in the bucket, as signed manifests tell
    id TEXT PRIMARY KEY, at INTEGER NOT NULL, sent INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX known_at ON known (at);
CREATE TABLE waiting (name TEXT NOT NULL, kind INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (name, kind));
CREATE INDEX waiting_at ON waiting (at);
CREATE TABLE state (name TEXT PRIMARY KEY) WITHOUT ROWID;   -- checkpoints of this machine's work in the bucket
CREATE TABLE spoiled (path TEXT PRIMARY KEY) WITHOUT ROWID; -- objects that were refused, to be replaced
CREATE TABLE count (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE told (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_KNOWN_ROWS = 500_000
_TRIM_EVERY = 500
"""Batches between two looks at how many rows there are."""
_IN_MEMORY = 50_000
_QUEUE_BYTES = 64 << 20


def record_name(url: str) -> str:
    """What files of a machine about a bucket begin with."""
    return f"shared-{hash_text(url)[:12]}"


class Waiting(NamedTuple):
    """What is to be sent: an action or a checkpoint by its key, or that a checkpoint is of no use any more."""

    name: str
    kind: Kind
    at: float


class _Write(NamedTuple):
    sql: str
    values: tuple[Any, ...]


class Ledger:
    """Any number of processes may share it. A disk that fails is never an error: then less is remembered.

    Writes are handed to a thread and are on the disk soon, or when `flush` returns.
    """

    def __init__(self, folder: Path | None, url: str, queue: int) -> None:
        """`queue` bounds what may wait; `url` is where the bucket is: each has a record of its own."""
        self._folder = folder
        self._queue = queue
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._reader: Index | None = None
        self._writing: Index | None = None
        self._writer: Writer[_Write] = Writer(self._process, _QUEUE_BYTES)
        self._counts: dict[str, int] = {}
        self._batches = 0
        self._warned = False
        self._last: dict[str, str] = {}
        self._name = f"{record_name(url)}.sqlite"
        if folder is not None:
            with self._failing():
                self._reader = self._open(folder)

    # What is in the bucket.

    def entry(self, id: str) -> Entry | None:
        with self._lock:
            found = self._known.get(id)
        if found is not None:
            return found
        rows = self.rows("SELECT body FROM known WHERE id = ?", id)
        if not rows:
            return None
        try:
            found = msgspec.msgpack.decode(rows[0][0], type=Entry)
        except (msgspec.DecodeError, TypeError):
            return None
        self._hold(found)
        return found

    def sent(self, entry: Entry, since: float) -> bool:
        """Whether this payload is known to have been in the bucket at that time or later."""
        rows = self.rows("SELECT body FROM known WHERE id = ? AND sent >= ?", entry.id, int(since))
        return bool(rows) and msgspec.msgpack.decode(rows[0][0], type=Entry).sha256 == entry.sha256

    def learn(self, entry: Entry, sent: float = 0.0) -> None:
        """A value is in the bucket; `sent` is when it was seen or put there by this machine, if it was."""
        self._hold(entry)
        self.write(
            "INSERT INTO known VALUES (?1, ?2, ?3, ?4) "
            "ON CONFLICT (id) DO UPDATE SET at = ?2, sent = iif(body = ?4, max(sent, ?3), ?3), body = ?4",
            entry.id,
            int(time.time()),
            int(sent),
            msgspec.msgpack.encode(entry),
        )

    def forget(self, id: str) -> None:
        """It is not there, or not what it should be."""
        with self._lock:
            self._known.pop(id, None)
        self.write("DELETE FROM known WHERE id = ?", id)

    # What has still to be sent.

    def wait(self, name: str, kind: Kind) -> None:
        self.write("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", name, _KINDS.index(kind), time.time())

    def waiting(self, most: int) -> list[Waiting]:
        """Checkpoints first: they are worth most when this machine fails."""
        rows = self.rows("SELECT name, kind, at FROM waiting ORDER BY kind = 0, at LIMIT ?", most)
        return [Waiting(name, _KINDS[kind], at) for name, kind, at in rows]

    def done(self, one: Waiting) -> None:
        """It is sent, or cannot be; what was handed in again meanwhile still waits."""
        self.write(
            "DELETE FROM waiting WHERE name = ? AND kind = ? AND at <= ?", one.name, _KINDS.index(one.kind), one.at
        )

    # The rest.

    def count(self, name: str, value: int = 1) -> None:
        if self._folder is None:
            with self._lock:
                self._counts[name] = self._counts.get(name, 0) + value
        self.write("INSERT INTO count VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2", name, value)

    def counts(self) -> Mapping[str, int]:
        return self._counts | dict(self.rows("SELECT name, value FROM count"))

    def tell(self, name: str, value: str) -> None:
        with self._lock:
            if self._last.get(name) == value:
                return
            self._last[name] = value
        self.write("INSERT OR REPLACE INTO told VALUES (?, ?)", name, value)

    def told(self) -> Mapping[str, str]:
        return dict(self.rows("SELECT name, value FROM told"))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, self._failing():
            if self._folder is None:
                return []
            if self._reader is None:
                self._reader = self._open(self._folder)
            return self._reader.read(sql, values)
        return []

    def write(self, sql: str, *values: Any) -> None:
        if self._folder is not None:
            self._writer.submit(_Write(sql, values), 300)

    def flush(self) -> None:
        """Waits until all of it is on disk."""
        if len(self._writer):
            self._writer.flush(10.0)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
        for table in ("known", "waiting", "spoiled"):
            self.write(f"DELETE FROM {table}")
        self.flush()

    def close(self) -> None:
        self._writer.close()
        with self._lock:
            for index in (self._reader, self._writing):
                if index is not None:
                    index.close()
            self._reader = self._writing = None

    def _hold(self, entry: Entry) -> None:
        with self._lock:
            self._known[entry.id] = entry
            self._known.move_to_end(entry.id)
            if len(self._known) > _IN_MEMORY:
                self._known.popitem(last=False)

    def _open(self, folder: Path) -> Index:
        return Index(folder, name=self._name, schema=_SCHEMA, tables=_TABLES)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, NewerSchema) as error:
            log.debug("the record of the shared cache cannot be used: %s", error)

    def _process(self, batch: list[_Write]) -> None:
        assert self._folder is not None, "nothing is written without a folder"
        for attempt in (1, 2):
            try:
                if self._writing is None:
                    self._writing = self._open(self._folder)
                self._writing.follow()
                with self._writing.writing() as connection:
                    for sql, values in batch:
                        connection.execute(sql, values)
                    self._trim(connection)
                return
            except (OSError, sqlite3.Error, NewerSchema) as error:
                if attempt == 2 and not self._warned:
                    self._warned = True
                    log.warning("the record of the shared cache cannot be written: %s", error)

    def _trim(self, connection: sqlite3.Connection) -> None:
        """Gives up what has waited longest, beyond the bound, and now and then forgets what was heard of long ago."""
        (count,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
        excess = count - self._queue
        if excess > 0:
            connection.execute(
                "DELETE FROM waiting WHERE (name, kind) IN (SELECT name, kind FROM waiting ORDER BY at LIMIT ?)",
                (excess,),
            )
            connection.execute(
                "INSERT INTO count VALUES ('lost', ?1) ON CONFLICT (name) DO UPDATE SET value = value + ?1", (excess,)
            )
        self._batches += 1
        if self._batches % _TRIM_EVERY == 0:
            connection.execute(
                "DELETE FROM known WHERE at < (SELECT at FROM known ORDER BY at DESC LIMIT 1 OFFSET ?)", (_KNOWN_ROWS,)
            )
