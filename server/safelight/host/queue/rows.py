"""A run's row in the database as a struct, and what all who read runs share."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from safelight.host.ids import number_in
from safelight.protocol.records import OutputItem, Run, RunFile
from safelight.sdk.problem import Problem, ProblemError

QUEUE_ORDER = "status = 'interrupted' DESC, priority DESC, rank, number"
IS_WAITING = "status IN ('queued', 'interrupted')"


class Options(msgspec.Struct):
    """How a run is to be run."""

    targets: list[str] | None = None
    force: list[str] = []
    checkpoint_seconds: float | None = None
    cell: list[int] = []
    device: str = ""


def number_of(run_id: str) -> int:
    """The number in a run's id. Raises ProblemError `run_missing` for what is none."""
    number = number_in(run_id, "r")
    if number is None:
        raise run_missing(run_id)
    return number


def row_of(connection: sqlite3.Connection, number: int) -> sqlite3.Row:
    row = connection.execute("SELECT * FROM run WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise run_missing(f"r{number}")
    return row


def run_missing(run_id: str) -> ProblemError:
    return ProblemError(Problem(code="run_missing", message=f"There is no run {run_id!r}.", value=run_id))


_PLAIN = (
    "name",
    "status",
    "priority",
    "rank",
    "attempts",
    "deaths",
    "created",
    "started",
    "finished",
    "seconds",
    "estimate",
    "workflow",
    "batch",
    "retry_of",
    "key",
    "worker",
)


def fields_of(row: sqlite3.Row) -> dict[str, Any]:
    decode: Callable[..., Any] = msgspec.json.decode
    return {
        "id": f"r{row['number']}",
        **{name: row[name] for name in _PLAIN},
        "inputs": decode(row["inputs"]),
        "problems": tuple(without_details(problem) for problem in problems_in(row)),
        "outputs": decode(row["outputs"], type=dict[str, list[OutputItem]]),
        "files": decode(row["files"], type=list[RunFile]),
    }


def without_details(problem: Problem) -> Problem:
    """The problem as clients get it: tracebacks stay here."""
    return msgspec.structs.replace(problem, details=None) if problem.details is not None else problem


def problems_in(row: sqlite3.Row) -> tuple[Problem, ...]:
    return msgspec.json.decode(row["problems"], type=tuple[Problem, ...])


def run_of(row: sqlite3.Row) -> Run:
    return Run(**fields_of(row))


def to_json(data: Any) -> str:
    return msgspec.json.encode(data).decode()
