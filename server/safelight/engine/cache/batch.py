"""What the writer thread puts into the index, and what it takes out again."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from .container import INLINE_BYTES, Payload
from .index import OVERHEAD, Index
from .memory import CHEAPEST
from .pins import Pins
from .refs import Action

JSON, TENSORS, LIST, BLOB = range(4)


@dataclass(slots=True)
class Keep:
    """A payload to be written. `value` is what it was made of, with its tensors, served until it is on disk."""

    id: str
    kind: int
    size: int
    payload: Payload
    seconds: float
    value: Any
    parts: tuple[str, ...] = ()
    tensors: tuple[Any, ...] = ()
    placed: bool = False
    """The payload lies in its place already."""


@dataclass(slots=True)
class Note:
    key: str
    action: Action


@dataclass(slots=True)
class Row:
    """Any other statement for the index."""

    sql: str
    values: tuple[Any, ...]


Item = Keep | Note | Row


def parts_of(data: bytes | None) -> tuple[str, ...]:
    return tuple(json.loads(data)) if data else ()


def pack_action(key: str, action: Action) -> bytes:
    """The action behind a CRC-32 of it and its key: a flipped bit must not name another port, or answer another key."""
    body = msgspec.msgpack.encode(action)
    return struct.pack("<I", zlib.crc32(body, zlib.crc32(key.encode()))) + body


def unpack_action(key: str, data: bytes) -> Action | None:
    """The action of a row, or None when the row is damaged."""
    try:
        if struct.unpack_from("<I", data)[0] == zlib.crc32(data[4:], zlib.crc32(key.encode())):
            return msgspec.msgpack.decode(data[4:], type=Action)
    except (struct.error, TypeError, ValueError):
        pass
    return None


def insert(
    connection: sqlite3.Connection,
    batch: list[Item],
    written: set[int],
    used: dict[str, int],
    action_rows: int,
) -> None:
    """Writes rows.

    `written` holds the `id()` of each Keep whose payload is in place or goes into its row, `used` the reads by entry.
    """
    inflation = _total(connection, "inflation")
    now = int(time.time())
    for item in batch:
        if isinstance(item, Note):
            connection.execute(
                "INSERT INTO action VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET at = ?2, body = ?3",
                (item.key, now, pack_action(item.key, item.action)),
            )
        elif isinstance(item, Row):
            connection.execute(item.sql, item.values)
        elif id(item) in written:
            payload = item.payload
            body = bytes(payload.chunks[0]) if payload.length <= INLINE_BYTES else None
            connection.execute(
                "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7 + 1.0 * max(?6, ?8) / (?4 + ?9), ?10, ?11) "
                "ON CONFLICT (id) DO UPDATE SET kind = ?2, size = ?3, bytes = ?4, crc = ?5, "
                "seconds = max(seconds, ?6), uses = uses + 1, "
                "priority = ?7 + 1.0 * (uses + 1) * max(seconds, ?6, ?8) / (?4 + ?9), parts = ?10, body = ?11",
                (
                    item.id,
                    item.kind,
                    item.size,
                    payload.length,
                    payload.crc,
                    item.seconds,
                    inflation,
                    CHEAPEST,
                    OVERHEAD,
                    json.dumps(item.parts).encode() if item.parts else None,
                    body,
                ),
            )
            for part in item.parts:
                _use(connection, part, 0, item.seconds, inflation)
        else:
            _use(connection, item.id, 1, item.seconds, inflation)
    for key, count in used.items():
        _use(connection, key, count, 0.0, inflation)
    excess = _total(connection, "actions") - action_rows
    if excess > 0:
        excess += action_rows // 10
        connection.execute(
            "DELETE FROM action WHERE key IN (SELECT key FROM action ORDER BY at LIMIT ?)", (int(excess),)
        )


def evict(index: Index, limit: int, path: Callable[[str], Path], pins: Pins) -> None:
    """Removes what is worth least until the budget is met, or nothing is left but what runs need.

    Rows go first: a reader must not be promised a file.
    """
    while True:
        with index.writing() as connection:
            excess = _total(connection, "bytes") - limit
            if excess <= 0:
                return
            gone: list[str] = []
            inflation = 0.0
            found = connection.execute(
                "SELECT id, bytes, priority FROM entry ORDER BY priority LIMIT ?", (256 + len(pins),)
            ).fetchall()
            for key, length, priority in found:
                if key in pins:
                    continue
                gone.append(key)
                inflation = priority
                excess -= length + OVERHEAD
                if excess <= 0:
                    break
            if found and not gone:
                return
            if not gone:
                # The sum is wrong, as it may be after a damage: it is counted again.
                connection.execute(
                    f"UPDATE total SET value = (SELECT coalesce(sum(bytes + {OVERHEAD}), 0) FROM entry) "
                    "WHERE name = 'bytes'"
                )
                return
            connection.executemany("DELETE FROM entry WHERE id = ?", [(key,) for key in gone])
            connection.execute("UPDATE total SET value = max(value, ?) WHERE name = 'inflation'", (inflation,))
        for key in gone:
            with contextlib.suppress(OSError):
                path(key).unlink()


def _total(connection: sqlite3.Connection, name: str) -> float:
    found = connection.execute("SELECT value FROM total WHERE name = ?", (name,)).fetchone()
    return float(found[0]) if found else 0.0


def _use(connection: sqlite3.Connection, key: str, count: int, seconds: float, inflation: float) -> None:
    connection.execute(
        "UPDATE entry SET uses = uses + ?1, seconds = max(seconds, ?2), "
        "priority = ?3 + 1.0 * (uses + ?1) * max(seconds, ?2, ?4) / (bytes + ?5) WHERE id = ?6",
        (count, seconds, inflation, CHEAPEST, OVERHEAD, key),
    )
