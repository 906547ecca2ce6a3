"""Votes on the runs of a batch. They name places in its grid, so they outlive the runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from safelight.protocol.records import Axis
from safelight.protocol.votes import Vote, VoteBody
from safelight.sdk import votes as ratings
from safelight.sdk.problem import Problem, ProblemError, one_of

from .batches import axes as axes_of


def add(connection: sqlite3.Connection, batch: str, body: VoteBody) -> Vote:
    """Puts a vote on record.

    Raises:
        ProblemError: `batch_missing`, or `bad_vote` when a place is not in the grid, or both are the same.
    """
    axes = axes_of(connection, batch)
    for cell in (body.left, body.right):
        if len(cell) != len(axes) or any(at >= len(axis.values) for at, axis in zip(cell, axes, strict=True)):
            raise _bad(f"The grid has no place {cell}.", "Give an index on each axis of the sweep.", cell)
    if body.left == body.right:
        raise _bad(f"Both sides are the run at {body.left}.", "Give two runs.", body.left)
    made = time.time()
    sides = [msgspec.json.encode(cell).decode() for cell in (body.left, body.right)]
    found = connection.execute(
        "INSERT INTO vote (batch, one, other, preferred, made) VALUES (?, ?, ?, ?, ?)",
        (batch, *sides, body.preferred, made),
    )
    return Vote(id=f"v{found.lastrowid}", left=body.left, right=body.right, preferred=body.preferred, made=made)


def remove(connection: sqlite3.Connection, batch: str, vote: str) -> None:
    """Raises ProblemError `vote_missing`."""
    digits = vote.removeprefix("v")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else -1
    found = connection.execute("DELETE FROM vote WHERE batch = ? AND number = ?", (batch, number))
    if not found.rowcount:
        message = f"There is no vote {vote[:50]!r} on this sweep."
        raise ProblemError(Problem(code="vote_missing", message=message, value=vote[:50]))


def listed(connection: sqlite3.Connection, batch: str) -> list[Vote]:
    """All votes on a batch, the oldest first."""
    rows = connection.execute("SELECT * FROM vote WHERE batch = ? ORDER BY number", (batch,)).fetchall()
    return [
        Vote(
            id=f"v{row['number']}",
            left=msgspec.json.decode(row["one"]),
            right=msgspec.json.decode(row["other"]),
            preferred=row["preferred"],
            made=row["made"],
        )
        for row in rows
    ]


def named(votes: Sequence[Vote], axes: Sequence[Axis], by: str) -> list[ratings.Vote]:
    """The votes by name. `by` is the axis whose values are compared, and those count whose runs are else the same;
    empty compares every combination.

    Raises:
        ProblemError: `bad_vote`, when there is no such axis.
    """
    names = [axis.name for axis in axes]
    if by and by not in names:
        raise _bad(f"The sweep has no axis {by!r}.", f"It has {one_of(names)}.", by)
    compared = [names.index(by)] if by else list(range(len(axes)))

    def name(cell: Sequence[int]) -> str:
        return ", ".join(f"{axes[at].name}={_text(axes[at].values[cell[at]])}" for at in compared)

    return [
        ratings.Vote(name(vote.left), name(vote.right), vote.preferred)
        for vote in votes
        if all(at in compared or vote.left[at] == vote.right[at] for at in range(len(axes)))
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _bad(message: str, hint: str, value: Any) -> ProblemError:
    return ProblemError(Problem(code="bad_vote", message=message, hint=hint, value=value))
