"""The SQLite index of the disk tier: one file that many processes read and write."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safelight.disk import exclusive

log = logging.getLogger(__name__)

SCHEMA = 1
NAME = "index.sqlite"
OVERHEAD = 256
"""Bytes charged for an entry beside its payload: its row, its index entries, its share of a folder."""

_TABLES = f"""
CREATE TABLE entry (
    id TEXT PRIMARY KEY,        -- digest of a value; "b:" + digest of a blob
    kind INTEGER NOT NULL,      -- 0 JSON, 1 safetensors, 2 list, 3 blob
    size INTEGER NOT NULL,      -- bytes in memory
    bytes INTEGER NOT NULL,     -- bytes of the payload
    crc INTEGER NOT NULL,       -- CRC-32 of the payload
    seconds REAL NOT NULL,      -- what computing it took
    uses INTEGER NOT NULL,
    priority REAL NOT NULL,     -- the lowest is evicted first
    parts BLOB,                 -- JSON: entries without which this one is not whole
    body BLOB                   -- the payload when it is small; NULL when it is a file
);
CREATE INDEX entry_priority ON entry (priority);
CREATE TABLE action (key TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX action_at ON action (at);
CREATE TABLE pace (type TEXT PRIMARY KEY, seconds REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE file (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL,
    digest TEXT NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE total (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO total VALUES ('bytes', 0), ('entries', 0), ('actions', 0), ('inflation', 0.0), ('swept', 0);
CREATE TRIGGER entry_in AFTER INSERT ON entry BEGIN
    UPDATE total SET value = value + new.bytes + {OVERHEAD} WHERE name = 'bytes';
    UPDATE total SET value = value + 1 WHERE name = 'entries';
END;
CREATE TRIGGER entry_out AFTER DELETE ON entry BEGIN
    UPDATE total SET value = value - old.bytes - {OVERHEAD} WHERE name = 'bytes';
    UPDATE total SET value = value - 1 WHERE name = 'entries';
END;
CREATE TRIGGER entry_change AFTER UPDATE OF bytes ON entry BEGIN
    UPDATE total SET value = value + new.bytes - old.bytes WHERE name = 'bytes';
END;
CREATE TRIGGER action_in AFTER INSERT ON action BEGIN
    UPDATE total SET value = value + 1 WHERE name = 'actions';
END;
CREATE TRIGGER action_out AFTER DELETE ON action BEGIN
    UPDATE total SET value = value - 1 WHERE name = 'actions';
END;
"""


class NewerSchema(Exception):
    """The index was made by a later version of the program."""


class Index:
    """One connection, for one thread at a time. A damaged file is moved aside and the index starts again.

    Any number of these may be open on one file, in one process or many.
    """

    def __init__(
        self, folder: Path, *, timeout: float = 10.0, name: str = NAME, schema: int = SCHEMA, tables: str = _TABLES
    ) -> None:
        """Opens or makes the index. `timeout`: seconds to wait for another process's transaction; `tables` make it,
        `schema` is their version.

        Raises:
            NewerSchema: a later version made it.
            OSError, sqlite3.Error: the folder cannot be written.
        """
        self._folder = folder
        self._name = name
        self._schema = schema
        self._tables = tables
        self._path = folder / name
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        self._open()

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows; none when the file is damaged (it is then made again) or locked for too long.

        Raises:
            OSError, sqlite3.Error, NewerSchema: the file cannot be used.
        """
        try:
            return self._handle().execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._mend(error)
            elif not is_busy(error):
                raise
            return []

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A short transaction. It is rolled back when the block raises.

        Raises:
            sqlite3.DatabaseError: as SQLite raises it; damage is mended first, so that the block may be tried again.
        """
        connection = self._handle()
        try:
            # Taken at once: a transaction that starts by reading and then writes can be refused without waiting.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if is_damage(error):
                self._mend(error)
            raise

    def vacuum(self) -> None:
        """Gives free pages back to the system. Raises sqlite3.Error when others are using the file."""
        self._handle().execute("VACUUM")

    def follow(self) -> bool:
        """Opens the file again when it was replaced or removed under us. True when it was."""
        if self._connection is not None and _inode(self._path) == self._inode:
            return False
        self.close()
        self._open()
        return True

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _handle(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _open(self) -> None:
        for attempt in (1, 2):
            try:
                self._connect()
                return
            except sqlite3.DatabaseError as error:
                self.close()
                if not is_damage(error) or attempt == 2:
                    raise
                self._move_aside(error)

    def _connect(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._inode = _inode(self._path)
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        self._connection = connection
        # Synchronous FULL: what flush() has promised is still there after a power cut. Only the writer thread waits.
        connection.executescript(
            "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY;"
        )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > self._schema:
            self.close()
            raise NewerSchema(f"{self._path} has version {version} of the index; this program knows {self._schema}.")
        if version < self._schema:
            self._create(connection)
        self._inode = _inode(self._path)

    def _create(self, connection: sqlite3.Connection) -> None:
        # Turning on WAL ignores the busy timeout when several processes start at once, so it is tried for a while.
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] < self._schema:
            # An older index is dropped: it is a cache, and a migration that is hardly ever run is a risk.
            for kind, name in connection.execute(
                "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                connection.execute(f'DROP {kind} "{name}"')
            for statement in _statements(self._tables):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self._schema}")
        connection.execute("COMMIT")

    def _mend(self, error: BaseException) -> None:
        self.close()
        with contextlib.suppress(sqlite3.Error, OSError, NewerSchema):
            self._move_aside(error)
            self._open()

    def _move_aside(self, error: BaseException) -> None:
        """Moves the damaged file away, unless another process has already done so."""
        with exclusive(self._folder / "index.lock"):
            if _inode(self._path) != self._inode:
                return
            stamp = f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
            log.warning("cache index %s is damaged (%s): moved aside, starting again.", self._path, error)
            for suffix in ("-wal", "-shm", ""):
                path = self._folder / (self._name + suffix)
                with contextlib.suppress(FileNotFoundError):
                    path.rename(self._folder / f"{self._name}.{stamp}{suffix}")


def is_damage(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    # A table that is not there was lost, since nobody but this module makes or drops them; texts are written as UTF-8.
    return isinstance(error, sqlite3.DatabaseError) and (
        (code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
        or "no such table" in str(error)
        or "no such column" in str(error)
        or "decode to UTF-8" in str(error)
    )


def is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
