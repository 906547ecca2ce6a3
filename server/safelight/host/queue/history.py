"""The history: runs read back, found by words, and paged. Every function works on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.protocol.records import WAITING, NodeState, Run, RunDetail
from safelight.sdk.problem import Problem

from .rows import IS_WAITING, Options, fields_of, number_of, problems_in, row_of, run_of


def get(connection: sqlite3.Connection, run_id: str) -> RunDetail:
    row = row_of(connection, number_of(run_id))
    position: int | None = None
    if row["status"] in WAITING:
        (position,) = connection.execute(
            f"SELECT count(*) FROM run WHERE {IS_WAITING} AND "
            "((status = 'interrupted') > ?1 OR ((status = 'interrupted') = ?1 AND "
            "(priority > ?2 OR (priority = ?2 AND (rank < ?3 OR (rank = ?3 AND number < ?4))))))",
            (row["status"] == "interrupted", row["priority"], row["rank"], row["number"]),
        ).fetchone()
    options = msgspec.json.decode(row["options"], type=Options)
    fields = {**fields_of(row), "position": position}
    nodes = msgspec.json.decode(row["nodes"], type=dict[str, NodeState])
    return RunDetail(**fields, nodes=nodes, targets=options.targets, force=options.force)


def options_of(connection: sqlite3.Connection, run_id: str) -> Options:
    return msgspec.json.decode(row_of(connection, number_of(run_id))["options"], type=Options)


def document_of(connection: sqlite3.Connection, run_id: str) -> bytes:
    digest = row_of(connection, number_of(run_id))["document"]
    return connection.execute("SELECT body FROM document WHERE digest = ?", (digest,)).fetchone()[0]


def standing(connection: sqlite3.Connection) -> list[Run]:
    """All runs that wait or are paused, in no order."""
    rows = connection.execute(f"SELECT * FROM run WHERE {IS_WAITING} OR status = 'paused'")
    return [run_of(row) for row in rows]


def history(
    connection: sqlite3.Connection,
    *,
    statuses: Sequence[str] = (),
    search: str = "",
    workflow: str | None = None,
    batch: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[list[Run], int, int | None]:
    """A page of runs, newest first; how many there are in all; the number to go on before."""
    where, values = ["1"], list[Any]()
    if statuses:
        where.append(f"status IN ({', '.join('?' * len(statuses))})")
        values += statuses
    for word in search.casefold().split()[:10]:
        where.append("instr(search, ?)")
        values.append(word)
    for column, value in (("workflow", workflow), ("batch", batch)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    (total,) = connection.execute(f"SELECT count(*) FROM run WHERE {' AND '.join(where)}", values).fetchone()
    if before is not None:
        where.append("number < ?")
        values.append(before)
    rows = connection.execute(
        f"SELECT * FROM run WHERE {' AND '.join(where)} ORDER BY number DESC LIMIT ?", (*values, limit + 1)
    ).fetchall()
    more = rows[limit - 1]["number"] if len(rows) > limit else None
    return [run_of(row) for row in rows[:limit]], total, more


def ids(connection: sqlite3.Connection) -> list[str]:
    """The ids of all runs on record."""
    return [f"r{number}" for (number,) in connection.execute("SELECT number FROM run")]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT status, count(*) FROM run GROUP BY status").fetchall())


def problems_of(connection: sqlite3.Connection, run_id: str) -> tuple[Problem, ...]:
    """The problems of a run with their tracebacks."""
    return problems_in(row_of(connection, number_of(run_id)))
