"""What runs have made, as it stands on record: found by words, node, model and date; in the trash and out of it.

Every function works on a connection, inside a transaction. The files themselves are `shelf.py`.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from safelight.host.ids import number_in
from safelight.media.registry import MediaRegistry
from safelight.protocol.facts import Facts
from safelight.protocol.records import GalleryDetail, GalleryItem, RunFile
from safelight.sdk.problem import Problem, ProblemError

from .boards import all_tags, board_number, boards_of, tags_of

SEARCH_LIMIT = 8_000
_FIELDS = (
    "number, name, digest, made, run, media_type, size, width, height, frames, seconds, workflow, batch, trashed, "
    "rating"
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for. `since` and `until` are times; `trash` looks into the trash, and nowhere else.

    `rating` is the lowest, `tag` a word, `board` an id.
    """

    search: str = ""
    node: str | None = None
    model: str | None = None
    workflow: str | None = None
    batch: str | None = None
    run: int | None = None
    since: float | None = None
    until: float | None = None
    trash: bool = False
    digest: str | None = None
    rating: int = 0
    tag: str | None = None
    board: str | None = None


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
    number = number_in(item, "p")
    if number is None:
        raise missing(item)
    return number


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


def moved(connection: sqlite3.Connection, records: Iterable[Record], gone: Mapping[int, str]) -> list[Record]:
    """Of files that are new, those that are none of the gone ones (names by number) at another place.

    One that is keeps its number, and with it its rating, its tags and its boards.
    """
    rows = rows_of(connection, [f"p{number}" for number in gone], trashed=False)
    lost = {row["digest"]: row["number"] for row in rows if row["name"] == gone[row["number"]]}
    new: list[Record] = []
    for one in records:
        twin = connection.execute(
            "SELECT 1 FROM output WHERE name = ? AND digest = ?", (one.name, one.digest)
        ).fetchone()
        number = None if twin else lost.pop(one.digest, None)
        if number is None:
            new.append(one)
        else:
            connection.execute("UPDATE output SET name = ? WHERE number = ?", (one.name, number))
    return new


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
    """A page of items, the newest first, and how many there are in all.

    Raises:
        ProblemError: `board_missing`.
    """
    where, values = _where(connection, wanted)
    (total,) = connection.execute(f"SELECT count(*) FROM output WHERE {where}", values).fetchone()
    rows = connection.execute(
        f"SELECT {_FIELDS}, facts FROM output WHERE {where} ORDER BY made DESC, number DESC LIMIT ? OFFSET ?",
        (*values, limit, offset),
    ).fetchall()
    return _items(connection, rows, media), total


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
    return found | {"tags": all_tags(connection)}


class _Lists(msgspec.Struct):
    nodes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def detail(connection: sqlite3.Connection, item: str, media: MediaRegistry) -> GalleryDetail:
    """Raises ProblemError `output_missing`."""
    row = connection.execute(f"SELECT {_FIELDS}, facts FROM output WHERE number = ?", (number_of(item),)).fetchone()
    if row is None:
        raise missing(item)
    facts = msgspec.json.decode(row["facts"], type=Facts)
    fields = msgspec.structs.asdict(_items(connection, [row], media)[0])
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


def rows_of(connection: sqlite3.Connection, items: Iterable[str], *, trashed: bool | None) -> list[sqlite3.Row]:
    """The rows of these ids that are in the trash, or are not, or (None) either; unknown ids are left out."""
    numbers = [number_of(item) for item in items]
    marks = ", ".join("?" * len(numbers))
    state = {True: " AND trashed IS NOT NULL", False: " AND trashed IS NULL", None: ""}[trashed]
    return connection.execute(f"SELECT {_FIELDS} FROM output WHERE number IN ({marks}){state}", numbers).fetchall()


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


def forget_gone(connection: sqlite3.Connection, gone: Mapping[int, str]) -> None:
    """Forgets files that are gone from the folder, names by number, but not those thrown away or moved meanwhile."""
    connection.executemany("DELETE FROM output WHERE number = ? AND name = ? AND trashed IS NULL", list(gone.items()))


def forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    connection.executemany("DELETE FROM output WHERE number = ?", [(number,) for number in numbers])


def _where(connection: sqlite3.Connection, wanted: Wanted) -> tuple[str, list[Any]]:
    where = ["trashed IS NOT NULL" if wanted.trash else "trashed IS NULL"]
    values: list[Any] = []
    for word in wanted.search.casefold().split()[:10]:
        where.append(
            "(instr(search, ?) OR EXISTS (SELECT 1 FROM tag WHERE tag.output = output.number AND instr(folded, ?)))"
        )
        values += [word, word]
    for key, name in (("nodes", wanted.node), ("models", wanted.model)):
        if name is not None:
            where.append(f"EXISTS (SELECT 1 FROM json_each(facts, '$.{key}') WHERE value = ?)")
            values.append(name)
    for column, operator, value in (
        ("digest", "=", wanted.digest),
        ("rating", ">=", wanted.rating or None),
        ("workflow", "=", wanted.workflow),
        ("batch", "=", wanted.batch),
        ("run", "=", wanted.run),
        ("made", ">=", wanted.since),
        ("made", "<", wanted.until),
    ):
        if value is not None:
            where.append(f"{column} {operator} ?")
            values.append(value)
    if wanted.tag is not None:
        where.append("number IN (SELECT tag.output FROM tag WHERE folded = ?)")
        values.append(wanted.tag.casefold())
    if wanted.board is not None:
        where.append("number IN (SELECT board_output.output FROM board_output WHERE board = ?)")
        values.append(board_number(connection, wanted.board))
    return " AND ".join(where), values


def _items(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row], media: MediaRegistry) -> list[GalleryItem]:
    numbers = [row["number"] for row in rows]
    tags, lying = tags_of(connection, numbers), boards_of(connection, numbers)
    return [_item(row, media, tags.get(row["number"], ()), lying.get(row["number"], ())) for row in rows]


def _item(row: sqlite3.Row, media: MediaRegistry, tags: tuple[str, ...], lying: tuple[str, ...]) -> GalleryItem:
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
        rating=row["rating"],
        tags=tags,
        boards=lying,
    )


def missing(item: str) -> ProblemError:
    hint = "It was removed for good, or never was."
    return ProblemError(
        Problem(code="output_missing", message=f"There is no output {item[:30]!r}.", hint=hint, value=item[:30])
    )
