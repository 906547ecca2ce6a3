"""Batches on record: the axes along which the runs of a sweep differ, and the grid they make."""

from __future__ import annotations

import math
import sqlite3
import time

import msgspec

from safelight.protocol.records import Axis, Batch, BatchOrder, BatchRun, OutputItem, RunFile
from safelight.sdk.problem import Problem, ProblemError

from .rows import Options, without_details


def add(connection: sqlite3.Connection, order: BatchOrder) -> None:
    """Puts a batch on record; one that is there already stays as it is."""
    connection.execute(
        "INSERT OR IGNORE INTO batch VALUES (?, ?, ?, ?)",
        (order.id, order.name, time.time(), msgspec.json.encode(order.axes).decode()),
    )


def axes(connection: sqlite3.Connection, batch: str) -> list[Axis]:
    """Raises ProblemError `batch_missing`."""
    return msgspec.json.decode(_row(connection, batch)["axes"], type=list[Axis])


def get(connection: sqlite3.Connection, batch: str) -> Batch:
    """Raises ProblemError `batch_missing`."""
    row = _row(connection, batch)
    axes = msgspec.json.decode(row["axes"], type=list[Axis])
    rows = connection.execute(
        "SELECT number, status, options, files, outputs, problems FROM run WHERE batch = ? ORDER BY number", (batch,)
    ).fetchall()
    runs = [_run(one, axes) for one in rows]
    wanted = math.prod(len(axis.values) for axis in axes)
    return Batch(
        id=batch,
        name=row["name"],
        created=row["created"],
        axes=axes,
        runs=runs,
        missing=max(0, wanted - len(runs)),
    )


def _row(connection: sqlite3.Connection, batch: str) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM batch WHERE id = ?", (batch,)).fetchone()
    if row is None:
        raise ProblemError(
            Problem(code="batch_missing", message=f"There is no batch {batch[:50]!r}.", value=batch[:50])
        )
    return row


def _run(row: sqlite3.Row, axes: list[Axis]) -> BatchRun:
    cell = msgspec.json.decode(row["options"], type=Options).cell
    problems = msgspec.json.decode(row["problems"], type=tuple[Problem, ...])
    return BatchRun(
        id=f"r{row['number']}",
        status=row["status"],
        cell=cell,
        values=[axis.values[place] for axis, place in zip(axes, cell, strict=False)],
        files=msgspec.json.decode(row["files"], type=list[RunFile]),
        outputs=msgspec.json.decode(row["outputs"], type=dict[str, list[OutputItem]]),
        problems=tuple(without_details(problem) for problem in problems),
    )
