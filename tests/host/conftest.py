"""A database as the host makes it, in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from safelight.host.database import migrate


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.row_factory = sqlite3.Row
    made.execute("PRAGMA foreign_keys = ON")
    migrate(made, 0)
    yield made
    made.close()
