"""What clients of ComfyUI's API have posted, beside the runs that it became. Every function works on a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from safelight.protocol.records import NodeState, Prompt, Run

from .rows import IS_WAITING, QUEUE_ORDER, number_of, run_of
from .runs import edit

KEY = "comfyui:"
"""What the key of such a run begins with; the id that its client knows it by stands behind it."""

_JOIN = "FROM run JOIN prompt ON prompt.run = run.number"
_SELECT = f"SELECT run.*, place, body {_JOIN}"


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A run with what was posted. `number` is its place by ComfyUI's count, `nodes` what became of its nodes."""

    run: Run
    number: float
    prompt: Prompt
    nodes: dict[str, NodeState]

    @property
    def id(self) -> str:
        """What its client knows it by."""
        return (self.run.key or "").removeprefix(KEY)


def add(connection: sqlite3.Connection, run: Run, prompt: Prompt) -> Run:
    """Puts on record what a new run was posted as, and moves it to its place."""
    number = float(number_of(run.id))
    place = prompt.number if prompt.number is not None else -number if prompt.front else number
    connection.execute(
        "INSERT INTO prompt (run, place, body) VALUES (?, ?, ?)",
        (number_of(run.id), place, msgspec.json.encode(prompt)),
    )
    later = connection.execute(
        f"SELECT run.number {_JOIN} WHERE {IS_WAITING} AND place > ? ORDER BY {QUEUE_ORDER} LIMIT 1", (place,)
    ).fetchone()
    return run if later is None else edit(connection, run.id, ahead_of=f"r{later[0]}")


def find(connection: sqlite3.Connection, run_ids: Iterable[str]) -> list[Posted]:
    """Those of these runs that were posted, in the same order."""
    found: list[Posted] = []
    for run_id in run_ids:
        row = connection.execute(f"{_SELECT} WHERE run.number = ?", (number_of(run_id),)).fetchone()
        if row is not None:
            found.append(_posted(row))
    return found


def by_id(connection: sqlite3.Connection, name: str) -> Posted | None:
    """The run that a client knows by this id."""
    row = connection.execute(f"{_SELECT} WHERE run.key = ?", (KEY + name,)).fetchone()
    return _posted(row) if row is not None else None


def every(connection: sqlite3.Connection) -> list[Posted]:
    """All of them, the oldest first."""
    return [_posted(row) for row in connection.execute(f"{_SELECT} ORDER BY run.number")]


def ended(connection: sqlite3.Connection, limit: int | None = None, offset: int | None = None) -> list[Posted]:
    """Those that have ended after they had begun, the oldest first. With a limit and no offset the newest ones."""
    query = f"{_SELECT} WHERE status IN ('done', 'failed', 'cancelled') AND attempts > 0"
    if offset is None or offset < 0:
        rows = connection.execute(
            f"{query} ORDER BY run.number DESC LIMIT ?",
            (-1 if limit is None else limit,),
        ).fetchall()[::-1]
    else:
        rows = connection.execute(
            f"{query} ORDER BY run.number LIMIT ? OFFSET ?",
            (-1 if limit is None else limit, offset),
        ).fetchall()
    return [_posted(row) for row in rows]


def _posted(row: sqlite3.Row) -> Posted:
    prompt = msgspec.json.decode(row["body"], type=Prompt)
    nodes = msgspec.json.decode(row["nodes"], type=dict[str, NodeState])
    return Posted(run=run_of(row), number=row["place"], prompt=prompt, nodes=nodes)
