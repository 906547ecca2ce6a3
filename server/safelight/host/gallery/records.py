"""What runs have made, as it stands on record: found by words, node, model and date; in the trash and out of it.

Every function works on a connection, inside a transaction. The files themselves are `shelf.py`.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from safelight.media.registry import MediaRegistry
from safelight.protocol.facts import Facts
from safelight.protocol.records import GalleryDetail, GalleryItem, RunFile
from safelight.sdk.problem import Problem, ProblemError

SEARCH_LIMIT = 8_000
_FIELDS = "number, name, digest, made, run, media_type, size, width, height, frames, seconds, workflow, batch, trashed"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for. `since` and `until` are times; `trash` looks into the trash, and nowhere else."""

    search: str = ""
    node: str | None = None
    model: str | None = None
    workflow: str | None = None
    batch: str | None = None
    run: int | None = None
    since: float | None = None
    until: float | None = None
    trash: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is put on record."""

    name: str
    digest: str
    made: float
    media_type: str
    size: int
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    run: int | None = None
    workflow: str | None = None
    batch: str | None = None
    facts: Facts = Facts()


def number_of(item: str) -> int:
    """The number in an item's id. Raises ProblemError `output_missing` for what is none."""
    digits = item[1:]
    if item.startswith("p") and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits)
    raise missing(item)


def add(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Puts files on record. One that is there already, bytes and name, keeps its place and its time."""
    for one in records:
        connection.execute(
            "DELETE FROM output WHERE name = ? AND digest != ? AND trashed IS NULL", (one.name, one.digest)
        )
        search = f"{one.name}\n{one.workflow or ''}\n{one.facts.words()}"[:SEARCH_LIMIT].casefold()
        connection.execute(
            "INSERT INTO output (name, digest, made, run, media_type, size, width, height, frames, seconds, workflow, "
            "batch, facts, search) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name, digest) DO UPDATE SET trashed = NULL, run = coalesce(excluded.run, run), "
            "batch = coalesce(excluded.batch, batch), workflow = coalesce(excluded.workflow, workflow), "
            "facts = excluded.facts, search = excluded.search",
            (
                one.name,
                one.digest,
                one.made,
                one.run,
                one.media_type,
                one.size,
                one.width,
                one.height,
                one.frames,
                one.seconds,
                one.workflow,
                one.batch,
                msgspec.json.encode(one.facts).decode(),
                search,
            ),
        )


def record_of(file: RunFile, run: int, workflow: str | None, batch: str | None, facts: Facts) -> Record:
    """The record of a file that a run has just made."""
    return Record(
        name=file.name,
        digest=file.digest,
        made=time.time(),
        media_type=file.media_type,
        size=file.size,
        width=file.width,
        height=file.height,
        frames=file.frames,
        seconds=file.seconds,
        run=run,
        workflow=workflow,
        batch=batch,
        facts=facts,
    )


def page(
    connection: sqlite3.Connection, wanted: Wanted, offset: int, limit: int, media: MediaRegistry
) -> tuple[list[GalleryItem], int]:
    """A page of items, the newest first, and how many there are in all."""
    where, values = _where(wanted)
    (total,) = connection.execute(f"SELECT count(*) FROM output WHERE {where}", values).fetchone()
    rows = connection.execute(
        f"SELECT {_FIELDS}, facts FROM output WHERE {where} ORDER BY made DESC, number DESC LIMIT ? OFFSET ?",
        (*values, limit, offset),
    ).fetchall()
    return [_item(row, media) for row in rows], total


def facets(connection: sqlite3.Connection) -> dict[str, Counter[str]]:
    """Which nodes, models and workflows there are to look for, with how often."""
    found: dict[str, Counter[str]] = {"nodes": Counter(), "models": Counter(), "workflows": Counter()}
    rows = connection.execute("SELECT facts, workflow, count(*) FROM output WHERE trashed IS NULL GROUP BY 1, 2")
    for text, workflow, count in rows:
        # Only the two lists are needed of each; decoding all of it takes ten times as long.
        lists = msgspec.json.decode(text, type=_Lists)
        for key, names in (("nodes", lists.nodes), ("models", lists.models)):
            for name in names:
                found[key][name] += count
        if workflow:
            found["workflows"][workflow] += count
    return found


class _Lists(msgspec.Struct):
    nodes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def detail(connection: sqlite3.Connection, item: str, media: MediaRegistry) -> GalleryDetail:
    """Raises ProblemError `output_missing`."""
    row = connection.execute(f"SELECT {_FIELDS}, facts FROM output WHERE number = ?", (number_of(item),)).fetchone()
    if row is None:
        raise missing(item)
    facts = msgspec.json.decode(row["facts"], type=Facts)
    fields = msgspec.structs.asdict(_item(row, media))
    inputs: dict[str, Any] = {}
    if row["run"] is not None:
        known = connection.execute("SELECT inputs FROM run WHERE number = ?", (row["run"],)).fetchone()
        inputs = msgspec.json.decode(known["inputs"]) if known is not None else {}
    return GalleryDetail(**fields, parameters=facts.parameters, inputs=inputs)


def named(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, list[sqlite3.Row]]:
    """What is on record of files by their names; several of one name have different bytes."""
    found: dict[str, list[sqlite3.Row]] = {}
    marks = ", ".join("?" * len(names))
    for row in connection.execute(f"SELECT {_FIELDS} FROM output WHERE name IN ({marks}) AND trashed IS NULL", names):
        found.setdefault(row["name"], []).append(row)
    return found


def with_digest(connection: sqlite3.Connection, digest: str) -> list[sqlite3.Row]:
    """Where bytes may lie."""
    return connection.execute(f"SELECT {_FIELDS} FROM output WHERE digest = ?", (digest,)).fetchall()


def rows_of(connection: sqlite3.Connection, items: Iterable[str], *, trashed: bool) -> list[sqlite3.Row]:
    """The rows of these ids that are in the trash, or are not; unknown ids are left out."""
    numbers = [number_of(item) for item in items]
    marks = ", ".join("?" * len(numbers))
    state = "trashed IS NOT NULL" if trashed else "trashed IS NULL"
    return connection.execute(f"SELECT {_FIELDS} FROM output WHERE number IN ({marks}) AND {state}", numbers).fetchall()


def all_rows(connection: sqlite3.Connection, *, trashed: bool) -> list[sqlite3.Row]:
    state = "trashed IS NOT NULL" if trashed else "trashed IS NULL"
    return connection.execute(f"SELECT {_FIELDS} FROM output WHERE {state}").fetchall()


def set_trashed(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    now = time.time()
    connection.executemany("UPDATE output SET trashed = ? WHERE number = ?", [(now, number) for number in numbers])


def set_restored(connection: sqlite3.Connection, names: dict[int, str]) -> None:
    """Out of the trash, under these names."""
    for number, name in names.items():
        digest = connection.execute("SELECT digest FROM output WHERE number = ?", (number,)).fetchone()
        if digest is None:
            continue
        # The same image may have been made again meanwhile: then one record is enough.
        connection.execute(
            "DELETE FROM output WHERE name = ? AND digest = ? AND number != ?", (name, digest[0], number)
        )
        connection.execute("UPDATE output SET trashed = NULL, name = ? WHERE number = ?", (name, number))


def forget_gone(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Forgets files that are gone from the folder, but not those that were thrown away meanwhile."""
    connection.executemany("DELETE FROM output WHERE number = ? AND trashed IS NULL", [(number,) for number in numbers])


def forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    connection.executemany("DELETE FROM output WHERE number = ?", [(number,) for number in numbers])


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    where = ["trashed IS NOT NULL" if wanted.trash else "trashed IS NULL"]
    values: list[Any] = []
    for word in wanted.search.casefold().split()[:10]:
        where.append("instr(search, ?)")
        values.append(word)
    for key, name in (("nodes", wanted.node), ("models", wanted.model)):
        if name is not None:
            where.append(f"EXISTS (SELECT 1 FROM json_each(facts, '$.{key}') WHERE value = ?)")
            values.append(name)
    for column, operator, value in (
        ("workflow", "=", wanted.workflow),
        ("batch", "=", wanted.batch),
        ("run", "=", wanted.run),
        ("made", ">=", wanted.since),
        ("made", "<", wanted.until),
    ):
        if value is not None:
            where.append(f"{column} {operator} ?")
            values.append(value)
    return " AND ".join(where), values


def _item(row: sqlite3.Row, media: MediaRegistry) -> GalleryItem:
    facts = msgspec.json.decode(row["facts"], type=Facts)
    return GalleryItem(
        id=f"p{row['number']}",
        name=row["name"],
        digest=row["digest"],
        media_type=row["media_type"],
        size=row["size"],
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
        seconds=row["seconds"],
        made=row["made"],
        url=f"/api/v1/blobs/{row['digest']}",
        thumbnail=f"/api/v1/thumbnails/{row['digest']}" if media.has_thumbnail(row["media_type"]) else "",
        run=None if row["run"] is None else f"r{row['run']}",
        workflow=row["workflow"],
        batch=row["batch"],
        prompts=facts.prompts,
        models=facts.models,
        seed=facts.seed,
        nodes=facts.nodes,
        trashed=row["trashed"],
    )


def missing(item: str) -> ProblemError:
    hint = "It was removed for good, or never was."
    return ProblemError(
        Problem(code="output_missing", message=f"There is no output {item[:30]!r}.", hint=hint, value=item[:30])
    )
