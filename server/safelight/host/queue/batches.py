"""Batches on record: the axes along which the runs of a sweep differ, and the grid they make."""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import time
from typing import Any

import msgspec

from safelight.protocol.records import Axis, Batch, BatchOrder, BatchRun, OutputItem, RunFile, RunOrder
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
    runs = [_run(one, axes) for one in _rows(connection, batch)]
    wanted = math.prod(len(axis.values) for axis in axes)
    return Batch(
        id=batch,
        name=row["name"],
        created=row["created"],
        axes=axes,
        runs=runs,
        missing=max(0, wanted - len(runs)),
    )


def table(connection: sqlite3.Connection, batch: str) -> str:
    """A sweep as CSV, one line a run: its values, how it ended, its files and plain outputs, what was wrong.

    Raises:
        ProblemError: `batch_missing`.
    """
    axes = msgspec.json.decode(_row(connection, batch)["axes"], type=list[Axis])
    rows = _rows(connection, batch)
    runs = [_run(row, axes) for row in rows]
    values = [_named(axes, run.values) for run in runs]
    names = list(dict.fromkeys(name for given in values for name in given))
    outputs = list(dict.fromkeys(name for run in runs for name, items in run.outputs.items() if _plain(items)))
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write([*names, "run", "status", "seconds", *outputs, "files", "problems"])
    for row, run, given in zip(rows, runs, values, strict=True):
        write(
            [
                *(_cell(given.get(name, "")) for name in names),
                run.id,
                run.status,
                "" if row["seconds"] is None else round(row["seconds"], 3),
                *(" ".join(_plain(run.outputs.get(name, []))) for name in outputs),
                " ".join(file.name for file in run.files),
                "; ".join(problem.message for problem in run.problems if problem.level == "error"),
            ]
        )
    return text.getvalue()


def running(connection: sqlite3.Connection, batch: str) -> list[str]:
    """The runs of a sweep that workers have. Raises ProblemError `batch_missing`."""
    _row(connection, batch)
    found = connection.execute("SELECT number FROM run WHERE batch = ? AND status = 'running'", (batch,))
    return [f"r{number}" for (number,) in found]


def again(connection: sqlite3.Connection, batch: str) -> list[RunOrder]:
    """Orders for the cells of a sweep whose last run failed or was cancelled. Raises `batch_missing`."""
    _row(connection, batch)
    orders: list[RunOrder] = []
    bodies: dict[str, bytes] = {}  # all of a sweep may share one
    for row in _rows(connection, batch):
        if row["status"] not in ("failed", "cancelled"):
            continue
        options = msgspec.json.decode(row["options"], type=Options)
        if row["document"] not in bodies:
            found = connection.execute("SELECT body FROM document WHERE digest = ?", (row["document"],))
            bodies[row["document"]] = found.fetchone()[0]
        orders.append(
            RunOrder(
                document=bodies[row["document"]],
                name=row["name"],
                inputs=msgspec.json.decode(row["inputs"]),
                targets=options.targets,
                force=options.force,
                priority=row["priority"],
                workflow=row["workflow"],
                batch=batch,
                retry_of=f"r{row['number']}",
                key=f"again r{row['number']}",  # so that two who ask at once have one run of it
                estimate=row["estimate"],
                checkpoint_seconds=options.checkpoint_seconds,
                cell=tuple(options.cell),
                device=options.device,
            )
        )
    return orders


def _rows(connection: sqlite3.Connection, batch: str) -> list[sqlite3.Row]:
    """The runs of a sweep in the order of their cells: of those that were repeated the last."""
    found = connection.execute("SELECT * FROM run WHERE batch = ? ORDER BY number", (batch,))
    cells = {tuple(msgspec.json.decode(row["options"], type=Options).cell): row for row in found}
    return [cells[cell] for cell in sorted(cells)]


def _named(axes: list[Axis], values: list[Any]) -> dict[str, Any]:
    """What a run differs in, by name: of rows their columns."""
    given: dict[str, Any] = {}
    for axis, value in zip(axes, values, strict=False):
        given |= value if axis.name == "rows" else {axis.name: value}
    return given


def _plain(items: list[OutputItem]) -> list[str]:
    return [_cell(item.value) for item in items if item.file is None and item.type is None]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


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
