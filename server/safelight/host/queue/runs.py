"""Queue and history: the runs as they stand on disk. Every function works on a connection, inside a transaction.

A run's final status is written by one statement that demands that it is still running in that very attempt, so it is
given once, whatever dies or repeats in between.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from safelight.host.documents import keep_document
from safelight.host.preferences import is_paused
from safelight.protocol.records import ENDED, WAITING, NodeState, OutputItem, Run, RunFile, RunOrder, RunState
from safelight.sdk.problem import Problem, ProblemError

from .rows import IS_WAITING, QUEUE_ORDER, Options, number_of, row_of, run_missing, run_of, to_json

_STEP = 1024.0
_PIN = "coalesce(json_extract(options, '$.device'), '')"
_SEARCH_LIMIT = 4_000


Choose = Callable[[str, Callable[[], tuple[bytes, dict[str, Any]]]], str | None]
"""Gets the device that a run is pinned to, and what gives its document and inputs; gives a worker for it, where there
is one."""


class Claimed(msgspec.Struct, frozen=True):
    """A run that was given to a worker."""

    run: Run
    document: bytes
    options: Options


class End(msgspec.Struct, kw_only=True):
    """How an attempt ended."""

    status: RunState
    seconds: float | None = None
    problems: Sequence[Problem] = ()
    outputs: dict[str, list[OutputItem]] = {}
    files: Sequence[RunFile] = ()
    nodes: dict[str, NodeState] = {}


def add(connection: sqlite3.Connection, orders: Iterable[RunOrder]) -> list[tuple[Run, bool]]:
    """Accepts runs, and says of each whether it is new: a used key gives the old run. See `_Ranks` for their places."""
    ranks = _Ranks(connection)
    found: list[tuple[Run, bool]] = []
    for order in orders:
        if order.key is not None:
            known = connection.execute("SELECT * FROM run WHERE key = ?", (order.key,)).fetchone()
            if known is not None:
                found.append((run_of(known), False))
                continue
        digest = keep_document(connection, order.document)
        options = Options(order.targets, order.force, order.checkpoint_seconds, list(order.cell), order.device)
        inputs = to_json(order.inputs)
        cursor = connection.execute(
            "INSERT INTO run (name, status, priority, rank, document, workflow, batch, retry_of, key, options, inputs, "
            "search, created, estimate) VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                order.name,
                order.priority,
                ranks.next(order.priority, order.batch),
                digest,
                order.workflow,
                order.batch,
                order.retry_of,
                order.key,
                to_json(options),
                inputs,
                f"{order.name}\n{order.workflow or ''}\n{inputs}"[:_SEARCH_LIMIT].casefold(),
                time.time(),
                order.estimate,
            ),
        )
        found.append((run_of(row_of(connection, cursor.lastrowid or 0)), True))
    return found


class _Ranks:
    """Places in the queue that share it fairly among sweeps of one priority.

    Their runs take turns, and so do those that belong to no sweep; within each they come in the order in which they
    were accepted. (Start-time fair queueing, Goyal et al. 1996, with runs of equal length.)
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last: dict[tuple[int, str | None], float] = {}
        (self._number,) = connection.execute("SELECT coalesce(max(number), 0) FROM run").fetchone()

    def next(self, priority: int, batch: str | None) -> float:
        """The rank of one more run. No two that wait have the same, so that any run can be moved between two others."""
        flow = priority, batch
        if flow not in self._last:
            self._last[flow] = self._begin(priority, batch)
        self._number += 1
        rank = self._last[flow] + _STEP
        self._last[flow] = rank
        return rank + (self._number % (1 << 20)) / (1 << 11)

    def _begin(self, priority: int, batch: str | None) -> float:
        """Where the last run of a sweep waits, or what is next in the queue."""
        waiting = f"FROM run WHERE {IS_WAITING} AND priority = ?"
        ask = self._connection.execute
        (last,) = ask(f"SELECT max(rank) {waiting} AND batch IS ?", (priority, batch)).fetchone()
        (first,) = ask(f"SELECT min(rank) {waiting}", (priority,)).fetchone()
        if first is None:
            (first,) = ask("SELECT coalesce(max(rank), 0) + ? FROM run", (_STEP,)).fetchone()
        floor = (first - _STEP) // _STEP * _STEP
        return floor if last is None else max(floor, last // _STEP * _STEP)


def claim(connection: sqlite3.Connection, choose: Choose, refused: set[str]) -> Claimed | None:
    """The next run that a worker is found for, from now on running there; None when there is none or the queue is
    paused. The pins of runs that no worker was found for are added to `refused`."""
    if is_paused(connection):
        return None

    @cache
    def work(number: int) -> tuple[bytes, dict[str, Any]]:
        query = "SELECT body, inputs FROM run JOIN document ON digest = document WHERE number = ?"
        body, inputs = connection.execute(query, (number,)).fetchone()
        return body, msgspec.json.decode(inputs)

    while True:
        unlike = " ".join(f"AND {_PIN} != ?" for _ in refused)
        query = f"SELECT number, options FROM run WHERE {IS_WAITING} {unlike} ORDER BY {QUEUE_ORDER} LIMIT 1"
        found = connection.execute(query, tuple(refused)).fetchone()
        if found is None:
            return None
        number, text = found
        options = msgspec.json.decode(text, type=Options)
        worker = choose(options.device, lambda number=number: work(number))
        if worker is not None:
            break
        refused.add(options.device)  # others that are pinned so need not be asked for
    connection.execute(
        "UPDATE run SET status = 'running', intent = NULL, worker = ?, attempts = attempts + 1, started = ? "
        "WHERE number = ?",
        (worker, time.time(), number),
    )
    return Claimed(run_of(row_of(connection, number)), work(number)[0], options)


def end(connection: sqlite3.Connection, run_id: str, attempt: int, how: End) -> Run | None:
    """Ends an attempt, with a final status or as `interrupted` or `paused`. None if it is over already."""
    number = number_of(run_id)
    final = how.status in ENDED
    cursor = connection.execute(
        "UPDATE run SET status = ?, intent = NULL, worker = NULL, finished = ?, seconds = coalesce(?, seconds), "
        "problems = ?, outputs = ?, files = ?, nodes = ?, ends = ends + ? "
        "WHERE number = ? AND status = 'running' AND attempts = ?",
        (
            how.status,
            time.time() if final else None,
            how.seconds,
            to_json(how.problems),
            to_json(how.outputs),
            to_json(how.files),
            to_json(how.nodes),
            int(final),
            number,
            attempt,
        ),
    )
    if cursor.rowcount != 1:
        return None
    return run_of(row_of(connection, number))


def died(connection: sqlite3.Connection, run_id: str, attempt: int, problem: Problem, limit: int) -> Run | None:
    """The worker of a run is gone: it waits for another, or fails after `limit` deaths; what was asked of it counts."""
    number = number_of(run_id)
    row = connection.execute(
        "SELECT intent, deaths FROM run WHERE number = ? AND status = 'running' AND attempts = ?", (number, attempt)
    ).fetchone()
    if row is None:
        return None
    if row["intent"] == "cancel":
        return end(connection, run_id, attempt, End(status="cancelled"))
    connection.execute("UPDATE run SET deaths = deaths + 1 WHERE number = ?", (number,))
    if row["deaths"] + 1 >= limit:
        return end(connection, run_id, attempt, End(status="failed", problems=[problem]))
    return end(connection, run_id, attempt, End(status="paused" if row["intent"] == "pause" else "interrupted"))


def stopped(connection: sqlite3.Connection, run_id: str, attempt: int, how: End) -> Run | None:
    """Ends an attempt that stopped because it was told to: what was asked of it says what becomes of it."""
    row = connection.execute("SELECT intent FROM run WHERE number = ?", (number_of(run_id),)).fetchone()
    intent: str | None = row["intent"] if row else None
    status: RunState = "interrupted"
    if intent == "cancel":
        status = "cancelled"
    elif intent == "pause":
        status = "paused"
    return end(connection, run_id, attempt, msgspec.structs.replace(how, status=status))


def recover(connection: sqlite3.Connection) -> int:
    """After a start: what was running when the last server ended waits again. Returns how many there were."""
    now = time.time()
    connection.execute(
        "UPDATE run SET status = 'cancelled', finished = ?, worker = NULL, ends = ends + 1 "
        "WHERE status = 'running' AND intent = 'cancel'",
        (now,),
    )
    connection.execute(
        "UPDATE run SET status = 'paused', intent = NULL, worker = NULL WHERE status = 'running' AND intent = 'pause'"
    )
    return connection.execute("UPDATE run SET status = 'interrupted', worker = NULL WHERE status = 'running'").rowcount


def ask(connection: sqlite3.Connection, run_id: str, what: str) -> tuple[Run, bool]:
    """Cancels, pauses or resumes a run. True when a worker has to be told.

    Raises:
        ProblemError: `run_missing`, or `run_ended` when its state does not allow it.
    """
    number = number_of(run_id)
    row = connection.execute("SELECT status, intent FROM run WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise run_missing(run_id)
    status: RunState = row["status"]
    if status == "running" and what in ("cancel", "pause"):
        intent = "cancel" if "cancel" in (what, row["intent"]) else "pause"
        connection.execute("UPDATE run SET intent = ? WHERE number = ?", (intent, number))
        return run_of(row_of(connection, number)), True
    if status == "running" and what == "resume" and row["intent"] == "pause":
        # Its worker is about to stop: the run goes on from there, by whichever worker is free.
        connection.execute("UPDATE run SET intent = NULL WHERE number = ?", (number,))
    elif what == "cancel" and status in (*WAITING, "paused"):
        connection.execute(
            "UPDATE run SET status = 'cancelled', finished = ?, ends = ends + 1 WHERE number = ?", (time.time(), number)
        )
    elif what == "pause" and status in WAITING:
        connection.execute("UPDATE run SET status = 'paused' WHERE number = ?", (number,))
    elif what == "resume" and status == "paused":
        connection.execute(
            "UPDATE run SET status = CASE WHEN attempts THEN 'interrupted' ELSE 'queued' END WHERE number = ?",
            (number,),
        )
    elif not ((what == "pause" and status == "paused") or (what == "resume" and status in (*WAITING, "running"))):
        message = f"The run {run_id} is {status}; it cannot be {_PAST[what]}."
        raise ProblemError(Problem(code="run_ended", message=message, hint="`retry` runs it again.", value=status))
    return run_of(row_of(connection, number)), False


_PAST = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}


def cancel_waiting(connection: sqlite3.Connection, batch: str | None = None) -> list[Run]:
    """Cancels all that waits; of a batch alone also what is paused."""
    which, given = (
        (IS_WAITING, ()) if batch is None else (f"({IS_WAITING} OR status = 'paused') AND batch = ?", (batch,))
    )
    numbers = [row[0] for row in connection.execute(f"SELECT number FROM run WHERE {which}", given)]
    connection.execute(
        f"UPDATE run SET status = 'cancelled', finished = ?, ends = ends + 1 WHERE {which}", (time.time(), *given)
    )
    return [run_of(row_of(connection, number)) for number in numbers]


def edit(
    connection: sqlite3.Connection,
    run_id: str,
    *,
    name: str | None = None,
    priority: int | None = None,
    ahead_of: str | None = None,
    behind: str | None = None,
) -> Run:
    """Renames or moves a run. Raises ProblemError `run_missing`, or `run_not_waiting` for a move of one that began."""
    number = number_of(run_id)
    row = connection.execute("SELECT status FROM run WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise run_missing(run_id)
    moving = priority is not None or ahead_of is not None or behind is not None
    if moving:
        _must_wait(run_id, row["status"])
    if name is not None:
        connection.execute(
            "UPDATE run SET name = ?1, search = substr(?2 || char(10) || search, 1, ?3) WHERE number = ?4",
            (name, name.casefold(), _SEARCH_LIMIT, number),
        )
    if priority is not None:
        connection.execute("UPDATE run SET priority = ? WHERE number = ?", (priority, number))
    if ahead_of is not None or behind is not None:
        _move(connection, number, ahead_of or behind or "", ahead=ahead_of is not None)
    return run_of(row_of(connection, number))


def _move(connection: sqlite3.Connection, number: int, other_id: str, *, ahead: bool) -> None:
    other = number_of(other_id)
    for attempt in (1, 2):
        row = connection.execute("SELECT status, priority, rank FROM run WHERE number = ?", (other,)).fetchone()
        if row is None:
            raise run_missing(other_id)
        _must_wait(other_id, row["status"])
        side, direction = ("<", "DESC") if ahead else (">", "ASC")
        beyond = connection.execute(
            f"SELECT rank FROM run WHERE status = ? AND priority = ? AND rank {side} ? AND number != ? "
            f"ORDER BY rank {direction} LIMIT 1",
            (row["status"], row["priority"], row["rank"], number),
        ).fetchone()
        far = beyond[0] if beyond else row["rank"] + (-2 * _STEP if ahead else 2 * _STEP)
        rank = (row["rank"] + far) / 2
        if rank not in (row["rank"], far) or attempt == 2:
            connection.execute(
                "UPDATE run SET status = ?, priority = ?, rank = ? WHERE number = ?",
                (row["status"], row["priority"], rank, number),
            )
            return
        # Fifty halvings between two neighbours use up a float: all ranks are spread again.
        connection.execute(
            "UPDATE run SET rank = (SELECT count(*) FROM run AS other WHERE (other.rank, other.number) <= "
            f"(run.rank, run.number)) * {_STEP}"
        )


def _must_wait(run_id: str, status: str) -> None:
    if status not in WAITING:
        message = f"The run {run_id} is {status}; only those that wait can be moved."
        raise ProblemError(Problem(code="run_not_waiting", message=message, value=status))


def remove(connection: sqlite3.Connection, run_id: str) -> None:
    """Takes a run out of the list. Raises ProblemError `run_missing`, or `run_busy` while it runs."""
    number = number_of(run_id)
    row = connection.execute("SELECT status FROM run WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise run_missing(run_id)
    if row["status"] == "running":
        message = f"The run {run_id} is running."
        raise ProblemError(Problem(code="run_busy", message=message, hint="Cancel it first.", value=run_id))
    connection.execute("DELETE FROM run WHERE number = ?", (number,))


def trim(connection: sqlite3.Connection, limit: int) -> None:
    """Forgets the oldest ended runs beyond `limit`, and documents that nothing names any more."""
    connection.execute(
        "DELETE FROM run WHERE number IN (SELECT number FROM run WHERE status IN ('done', 'failed', 'cancelled') "
        "ORDER BY number DESC LIMIT -1 OFFSET ?)",
        (limit,),
    )
    connection.execute("DELETE FROM batch WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.batch = batch.id)")
    connection.execute(
        "DELETE FROM document WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.document = digest) "
        "AND NOT EXISTS (SELECT 1 FROM revision WHERE revision.document = digest)"
    )
