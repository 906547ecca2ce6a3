"""Documents on disk by the digest of their text: runs and workflows share what is equal."""

from __future__ import annotations

import sqlite3

from safelight.sdk.codec import hash_bytes


def keep_document(connection: sqlite3.Connection, body: bytes) -> str:
    """Puts a document on record, if it is not there, and gives its digest."""
    digest = hash_bytes(body)
    connection.execute("INSERT OR IGNORE INTO document VALUES (?, ?)", (digest, body))
    return digest
