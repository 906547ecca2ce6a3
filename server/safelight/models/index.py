"""What is known of the models of this machine, kept in the data folder, so that the next start reads no header again.

It is a cache: what cannot be read or written here is found out again. Rows hold what a file was at a size and time.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .headers import is_safetensors

INDEX = "models.sqlite"
_TABLES = """
CREATE TABLE IF NOT EXISTS fact (path TEXT PRIMARY KEY, stamp TEXT, version TEXT, entry BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hash (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT, auto1 TEXT, auto3 TEXT) WITHOUT ROWID;
"""
_BLOCK = 4 << 20
_AUTO1 = (0x100000, 0x10000)


class Hashes(NamedTuple):
    """SHA-256 of a file, and the short hashes that A1111 writes into images.

    AutoV1 is the first 8 digits of that of 64 KiB at 1 MiB, AutoV2 the first 10 of the whole file's, AutoV3 the first
    12 of that of a safetensors file without its header (empty for others).
    """

    sha256: str
    auto1: str
    auto3: str = ""

    @property
    def auto2(self) -> str:
        return self.sha256[:10]

    def are(self, given: str) -> bool:
        """Whether a hash that somebody has written means this file."""
        given = given.lower()
        return len(given) >= 8 and (given in (self.auto1, self.auto3) or self.sha256.startswith(given))


class Index:
    """`version` says which code reads models: what another one found is found out again. Safe for threads."""

    def __init__(self, home: Path) -> None:
        self._file = home / INDEX
        self._lock = threading.Lock()
        self._hashes: dict[str, tuple[str, Hashes]] = {}

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection | None]:
        connection = None
        try:
            with self._lock:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    connection = _connect(self._file)
                except sqlite3.DatabaseError as error:
                    if isinstance(error, sqlite3.OperationalError):
                        raise
                    self._file.unlink(missing_ok=True)  # damaged: it can all be found out again
                    connection = _connect(self._file)
                with connection:
                    yield connection
        except (sqlite3.Error, OSError):
            if connection is None:
                yield None
        finally:
            if connection is not None:
                connection.close()

    def facts(self, version: str) -> dict[str, tuple[str, bytes]]:
        """Stamp and entry of every model that this code has looked at, by path."""
        with self._open() as database:
            if database is None:
                return {}
            rows = database.execute("SELECT path, stamp, entry FROM fact WHERE version = ?", (version,))
            return {path: (stamp, entry) for path, stamp, entry in rows}
        return {}

    def learn(self, version: str, rows: Iterable[tuple[str, str, bytes]], gone: Iterable[str] = ()) -> None:
        """Keeps (path, stamp, entry) of each row, and forgets the paths that are `gone`."""
        with self._open() as database:
            if database is not None:
                database.executemany(
                    "INSERT OR REPLACE INTO fact VALUES (?, ?, ?, ?)",
                    ((path, stamp, version, entry) for path, stamp, entry in rows),
                )
                for table in ("fact", "hash"):
                    database.executemany(f"DELETE FROM {table} WHERE path = ?", ((path,) for path in gone))

    def hashes(self) -> dict[str, tuple[str, Hashes]]:
        """Stamp and hashes of every file that has been hashed, by path."""
        with self._open() as database:
            if database is None:
                return dict(self._hashes)
            rows = database.execute("SELECT path, stamp, sha256, auto1, auto3 FROM hash")
            self._hashes.update({path: (stamp, Hashes(*found)) for path, stamp, *found in rows})
        return dict(self._hashes)

    def hash(self, path: Path, going_on: Callable[[], None] | None = None) -> Hashes:
        """The hashes of a file: known ones, or made now. `going_on` is called between blocks, and may raise.

        Raises:
            OSError: the file cannot be read.
        """
        stamp = file_stamp(path)
        known = self._hashes.get(str(path)) or self.hashes().get(str(path))
        if known is not None and known[0] == stamp:
            return known[1]
        made = hashes_of(path, going_on)
        self._hashes[str(path)] = (stamp, made)
        with self._open() as database:
            if database is not None:
                database.execute("INSERT OR REPLACE INTO hash VALUES (?, ?, ?, ?, ?)", (str(path), stamp, *made))
        return made


def file_stamp(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size}.{found.st_mtime_ns}"


def hashes_of(path: Path, going_on: Callable[[], None] | None = None) -> Hashes:
    """All hashes of a file, in one reading of it.

    Raises:
        OSError: it cannot be read.
    """
    whole, body = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        file.seek(_AUTO1[0])
        auto1 = hashlib.sha256(file.read(_AUTO1[1])).hexdigest()[:8]
        file.seek(0)
        first = file.read(8)
        header = file.read(int.from_bytes(first, "little")) if is_safetensors(path) and _bounded(first, path) else b""
        whole.update(first + header)
        while block := file.read(_BLOCK):
            whole.update(block)
            if header:
                body.update(block)
            if going_on is not None:
                going_on()
    return Hashes(whole.hexdigest(), auto1, body.hexdigest()[:12] if header else "")


def _bounded(first: bytes, path: Path) -> bool:
    return len(first) == 8 and int.from_bytes(first, "little") <= min(path.stat().st_size - 8, 100_000_000)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=5)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_TABLES)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
