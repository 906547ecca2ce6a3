"""Saved workflows and their revisions. A save names the revision it started from; any other one is a conflict."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from safelight.protocol.records import RevisionInfo, Workflow, WorkflowInfo
from safelight.sdk.problem import Problem, ProblemError, did_you_mean

from .kept import keep_document

KEEP_REVISIONS = 200
AUTOSAVE_SECONDS = 300.0
_COLUMNS = "name, revision, created, modified, description, nodes, title, draft, folder, starred, opened"


def save(
    connection: sqlite3.Connection,
    name: str,
    body: bytes,
    *,
    revision: int,
    message: str,
    description: str,
    nodes: int,
    title: str = "",
    autosave: bool = False,
    draft: bool = False,
) -> WorkflowInfo:
    """Saves a new revision. `revision` is the one that was edited, 0 for a new workflow, which `draft` speaks of.

    An `autosave` takes the place of the autosave before it, except where more than `AUTOSAVE_SECONDS` would then lie
    between two revisions: a day of typing leaves one every five minutes, and those saved by hand all stay.

    Raises:
        ProblemError: `workflow_conflict`; `value` is the revision that is there (0: it was deleted).
    """
    row = connection.execute("SELECT revision, created FROM workflow WHERE name = ?", (name,)).fetchone()
    there = row["revision"] if row else 0
    if there != revision:
        raise _conflict(name, there, revision)
    now = time.time()
    digest = keep_document(connection, body)
    last = connection.execute(
        "SELECT document FROM revision WHERE workflow = ? AND number = ?", (name, there)
    ).fetchone()
    if last is not None and last["document"] == digest:
        return info(connection, name)  # nothing has changed, so neither does the revision
    connection.execute(
        "INSERT INTO workflow (name, revision, created, modified, description, nodes, title, draft) "
        "VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7) "
        "ON CONFLICT (name) DO UPDATE SET revision = ?2, modified = ?3, description = ?4, nodes = ?5, title = ?6",
        (name, there + 1, now, description, nodes, title, draft),
    )
    if autosave:
        _thin(connection, name, there, now)
    connection.execute(
        "INSERT INTO revision VALUES (?, ?, ?, ?, ?, ?)", (name, there + 1, digest, now, message, autosave)
    )
    connection.execute("DELETE FROM revision WHERE workflow = ? AND number <= ?", (name, there + 1 - KEEP_REVISIONS))
    return info(connection, name)


def _thin(connection: sqlite3.Connection, name: str, last: int, now: float) -> None:
    """Drops the last revision when it is an autosave and the one before it is young."""
    rows = connection.execute(
        "SELECT number, created, autosave FROM revision WHERE workflow = ? ORDER BY number DESC LIMIT 2", (name,)
    ).fetchall()
    if len(rows) == 2 and rows[0]["autosave"] and now - rows[1]["created"] < AUTOSAVE_SECONDS:
        connection.execute("DELETE FROM revision WHERE workflow = ? AND number = ?", (name, last))


def rename(connection: sqlite3.Connection, name: str, new: str, revision: int) -> WorkflowInfo:
    """A draft becomes a workflow by this.

    Raises:
        ProblemError: `workflow_missing`, `workflow_conflict`, or `name_taken`.
    """
    there = info(connection, name).revision
    if there != revision:
        raise _conflict(name, there, revision)
    if new != name and connection.execute("SELECT 1 FROM workflow WHERE name = ?", (new,)).fetchone():
        message = f"There is already a workflow named {new!r}."
        raise ProblemError(Problem(code="name_taken", message=message, hint="Choose another name.", value=new))
    connection.execute("UPDATE workflow SET name = ?, draft = 0 WHERE name = ?", (new, name))
    return info(connection, new)


def place(
    connection: sqlite3.Connection, name: str, *, folder: str | None = None, starred: bool | None = None, opened: bool
) -> WorkflowInfo:
    """Says where a workflow is listed. Its revisions and the time of its last change stay.

    Raises:
        ProblemError: `workflow_missing`.
    """
    info(connection, name)
    connection.execute(
        "UPDATE workflow SET folder = coalesce(?, folder), starred = coalesce(?, starred), "
        "opened = coalesce(?, opened) WHERE name = ?",
        (folder, starred, time.time() if opened else None, name),
    )
    return info(connection, name)


def remove(connection: sqlite3.Connection, name: str, revision: int | None) -> None:
    there = info(connection, name).revision
    if revision is not None and revision != there:
        raise _conflict(name, there, revision)
    connection.execute("DELETE FROM workflow WHERE name = ?", (name,))


def info(connection: sqlite3.Connection, name: str) -> WorkflowInfo:
    row = connection.execute(f"SELECT {_COLUMNS} FROM workflow WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _missing(connection, name)
    return _info(row)


def _info(row: sqlite3.Row) -> WorkflowInfo:
    return WorkflowInfo(**{**dict(row), "draft": bool(row["draft"]), "starred": bool(row["starred"])})


def body(connection: sqlite3.Connection, name: str, number: int | None = None) -> bytes:
    """The JSON text of a revision, by default of the latest."""
    number = number or info(connection, name).revision
    row = connection.execute(
        "SELECT body FROM revision JOIN document ON digest = document WHERE workflow = ? AND number = ?", (name, number)
    ).fetchone()
    if row is None:
        info(connection, name)
        message = f"The workflow {name!r} has no revision {number}."
        raise ProblemError(Problem(code="revision_missing", message=message, value=number))
    return row["body"]


def get(connection: sqlite3.Connection, name: str, number: int | None = None) -> Workflow:
    found = info(connection, name)
    number = number or found.revision
    document = msgspec.json.decode(body(connection, name, number), type=dict)
    fields = msgspec.structs.asdict(found)
    return Workflow(**{**fields, "revision": number}, document=document)


def listed(connection: sqlite3.Connection, search: str = "", drafts: bool = False) -> list[WorkflowInfo]:
    """The newest first; `drafts` are among them only where they are asked for."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM workflow WHERE draft <= ? ORDER BY modified DESC", (drafts,)
    ).fetchall()
    words = search.casefold().split()
    return [one for one in map(_info, rows) if all(word in _searched(one) for word in words)]


def _searched(one: WorkflowInfo) -> str:
    return f"{'' if one.draft else one.name} {one.title} {one.folder} {one.description}".casefold()


def revisions(connection: sqlite3.Connection, name: str) -> list[RevisionInfo]:
    info(connection, name)
    rows = connection.execute(
        "SELECT number AS revision, created, message, autosave, document AS digest FROM revision WHERE workflow = ? "
        "ORDER BY number DESC",
        (name,),
    ).fetchall()
    return [RevisionInfo(**{**dict(row), "autosave": bool(row["autosave"])}) for row in rows]


def _missing(connection: sqlite3.Connection, name: str) -> ProblemError:
    names = [row[0] for row in connection.execute("SELECT name FROM workflow")]
    message = f"There is no saved workflow named {name!r}."
    return ProblemError(Problem(code="workflow_missing", message=message, hint=did_you_mean(name, names), value=name))


def _conflict(name: str, there: int, given: int) -> ProblemError:
    if there == 0:
        message = f"The workflow {name!r} does not exist any more."
        hint = "Save it with revision 0 to make it again."
    elif given == 0:
        message, hint = f"There is already a workflow named {name!r}.", "Choose another name, or open that one."
    else:
        message = f"The workflow {name!r} was saved elsewhere in the meantime: revision {there}, not {given}."
        hint = "Load the newer one, or save yours under another name."
    return ProblemError(Problem(code="workflow_conflict", message=message, hint=hint, value=there))
