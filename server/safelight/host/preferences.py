"""Small things that are kept on disk by name: settings, whether the queue is paused, how often the server started."""

from __future__ import annotations

import sqlite3


def is_paused(connection: sqlite3.Connection) -> bool:
    return setting(connection, "paused") == "true"


def setting(connection: sqlite3.Connection, key: str) -> str | None:
    found = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return found[0] if found else None


def set_setting(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value))
