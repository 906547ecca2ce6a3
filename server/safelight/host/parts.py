"""The personal library: subgraphs kept by name, to be put into any workflow. A save names the revision it is of."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from safelight.sdk.problem import Problem, ProblemError, did_you_mean

from .records import Part, PartInfo

_COLUMNS = "name, revision, created, modified, description, nodes"


def save(
    connection: sqlite3.Connection, name: str, body: bytes, *, revision: int, description: str, nodes: int
) -> PartInfo:
    """Saves a subgraph. `revision` is the one that was edited, 0 for a new name.

    Raises:
        ProblemError: `part_conflict`; `value` is the revision that is there (0: it was deleted).
    """
    row = connection.execute("SELECT revision FROM part WHERE name = ?", (name,)).fetchone()
    there = row["revision"] if row else 0
    if there != revision:
        raise _conflict(name, there)
    connection.execute(
        f"INSERT INTO part ({_COLUMNS}, body) VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6) "
        "ON CONFLICT (name) DO UPDATE SET revision = ?2, modified = ?3, description = ?4, nodes = ?5, body = ?6",
        (name, there + 1, time.time(), description, nodes, body),
    )
    return info(connection, name)


def remove(connection: sqlite3.Connection, name: str, revision: int | None) -> None:
    there = info(connection, name).revision
    if revision is not None and revision != there:
        raise _conflict(name, there)
    connection.execute("DELETE FROM part WHERE name = ?", (name,))


def rename(connection: sqlite3.Connection, name: str, new: str, revision: int) -> PartInfo:
    there = info(connection, name).revision
    if there != revision:
        raise _conflict(name, there)
    if new != name and connection.execute("SELECT 1 FROM part WHERE name = ?", (new,)).fetchone():
        message = f"The library has {new!r} already."
        raise ProblemError(Problem(code="name_taken", message=message, hint="Choose another name.", value=new))
    connection.execute("UPDATE part SET name = ? WHERE name = ?", (new, name))
    return info(connection, new)


def info(connection: sqlite3.Connection, name: str) -> PartInfo:
    row = connection.execute(f"SELECT {_COLUMNS} FROM part WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = [one[0] for one in connection.execute("SELECT name FROM part")]
        message = f"The library has no {name!r}."
        raise ProblemError(Problem(code="part_missing", message=message, hint=did_you_mean(name, names), value=name))
    return PartInfo(**dict(row))


def get(connection: sqlite3.Connection, name: str) -> Part:
    found = info(connection, name)
    (body,) = connection.execute("SELECT body FROM part WHERE name = ?", (name,)).fetchone()
    return Part(**msgspec.structs.asdict(found), document=msgspec.json.decode(body, type=dict))


def listed(connection: sqlite3.Connection) -> list[PartInfo]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM part ORDER BY name").fetchall()
    return [PartInfo(**dict(row)) for row in rows]


def _conflict(name: str, there: int) -> ProblemError:
    if there:
        message = f"{name!r} is in the library already, as revision {there}."
        hint = "Load it first, or save yours under another name."
    else:
        message, hint = f"The library has no {name!r} any more.", "Save it with revision 0 to make it again."
    return ProblemError(Problem(code="part_conflict", message=message, hint=hint, value=there))
