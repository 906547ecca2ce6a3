"""The gallery as the server offers it: the record and the files together, off the event loop."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from safelight.graph import Document
from safelight.host.database import Database
from safelight.host.documents import filled
from safelight.host.queue import history
from safelight.protocol.files import Board, MarkBody
from safelight.protocol.records import FileChanged, GalleryChanged, GalleryDetail, GalleryItem
from safelight.sdk.problem import Problem, ProblemError

from .boards import all_boards, make_board, mark, remove_board, rename_board
from .records import (
    Record,
    Wanted,
    add,
    all_rows,
    detail,
    facets,
    forget,
    forget_gone,
    missing,
    moved,
    named,
    number_of,
    page,
    rows_of,
    set_restored,
    set_trashed,
)
from .shelf import Shelf

log = logging.getLogger(__name__)

_PIECE = 200
_LOOK_AGAIN = 5.0
_BREATH = 0.05
_TOLD = 20
_HALF_WRITTEN = 600.0


class Archive:
    """`publish` is told of files that come and go, and of what is said of them."""

    def __init__(
        self, database: Database, shelf: Shelf, publish: Callable[[FileChanged | GalleryChanged], object]
    ) -> None:
        self._database = database
        self._shelf = shelf
        self._publish = publish
        self._comparing = asyncio.Lock()
        self._compared: tuple[float, float] = (0.0, 0.0)

    def path_of(self, row: sqlite3.Row) -> Path:
        """Where the bytes of an output lie, in the trash or out of it."""
        return self._shelf.path_of(row)

    async def rows(self, items: Sequence[str]) -> list[sqlite3.Row]:
        """The rows of outputs, in the trash or out of it, in the order of their ids here.

        Raises:
            ProblemError: `output_missing`, for one that is not there.
        """
        found = await self._database.read(lambda connection: rows_of(connection, items, trashed=None))
        by_number = {row["number"]: row for row in found}
        for item in items:
            if number_of(item) not in by_number:
                raise missing(item)
        return [by_number[number_of(item)] for item in dict.fromkeys(items)]

    async def page(self, wanted: Wanted, offset: int, limit: int) -> tuple[list[GalleryItem], int]:
        return await self._database.read(lambda connection: page(connection, wanted, offset, limit, self._shelf.media))

    async def facets(self) -> dict[str, dict[str, int]]:
        found = await self._database.read(facets)
        return {key: dict(counter.most_common(500)) for key, counter in found.items()}

    async def detail(self, item: str) -> GalleryDetail:
        return await self._database.read(lambda connection: detail(connection, item, self._shelf.media))

    async def document(self, item: str) -> Document:
        """The workflow of an output: the one that it carries, else that of the run that made it.

        Raises:
            ProblemError: `output_missing`, `no_workflow_inside`, `foreign_workflow`.
        """
        found = await self.detail(item)
        number = number_of(item)
        path = self._shelf.trashed_path(number, found.name) if found.trashed else self._shelf.output / found.name
        try:
            return await asyncio.to_thread(self._shelf.document, path)
        except ProblemError as error:
            told = error
        try:
            if found.run is None:
                raise missing(item)
            run = found.run
            body = await self._database.read(lambda connection: history.document_of(connection, run))
            return await asyncio.to_thread(lambda: filled(Document.loads(body), found.inputs))
        except ProblemError:
            if told.problems[0].code == "foreign_workflow":
                raise told from None
            message = f"{found.name!r} carries no workflow, and the run that made it is forgotten."
            raise ProblemError(Problem(code="no_workflow_inside", message=message, value=item)) from None

    async def mark(self, body: MarkBody) -> list[str]:
        """Rates outputs, tags them, lays them on boards; gives the ids of those that are there."""
        numbers = [number_of(item) for item in dict.fromkeys(body.items)]
        changed = await self._database.write(lambda connection: mark(connection, numbers, body))
        self._publish(GalleryChanged())
        return [f"p{number}" for number in changed]

    async def boards(self) -> list[Board]:
        return await self._database.read(all_boards)

    async def make_board(self, name: str, items: Sequence[str]) -> Board:
        numbers = [number_of(item) for item in dict.fromkeys(items)]
        made = await self._database.write(lambda connection: make_board(connection, name, numbers))
        self._publish(GalleryChanged())
        return made

    async def rename_board(self, board: str, name: str) -> Board:
        found = await self._database.write(lambda connection: rename_board(connection, board, name))
        self._publish(GalleryChanged())
        return found

    async def remove_board(self, board: str) -> list[str]:
        """Removes a board and gives the ids of what lay on it."""
        found = await self._database.write(lambda connection: remove_board(connection, board))
        self._publish(GalleryChanged())
        return found

    async def throw_away(self, items: Sequence[str]) -> list[str]:
        """Moves outputs into the trash and gives their ids; those that are there already are left out."""
        rows = await self._database.read(lambda connection: rows_of(connection, items, trashed=False))
        await self._throw_away(rows)
        return [f"p{row['number']}" for row in rows]

    async def throw_away_named(self, name: str) -> list[str]:
        """The same for whatever lies in the output folder under a name, on record or not."""
        found = await self._database.read(lambda connection: named(connection, [name]))
        if name not in found:
            await self.compare()
            found = await self._database.read(lambda connection: named(connection, [name]))
        rows = found.get(name, [])
        await self._throw_away(rows)
        return [f"p{row['number']}" for row in rows]

    async def _throw_away(self, rows: Sequence[sqlite3.Row]) -> None:
        # On record first: what a crash leaves in between is thrown away after the next start.
        numbers = [row["number"] for row in rows]
        await self._database.write(lambda connection: set_trashed(connection, numbers))
        await asyncio.to_thread(self._shelf.throw_away, rows)
        for row in rows:
            self._publish(FileChanged(folder="output", name=row["name"], removed=True))

    async def restore(self, items: Sequence[str]) -> list[str]:
        """Takes outputs out of the trash and gives their ids; what is not there any more is left out."""
        rows = await self._database.read(lambda connection: rows_of(connection, items, trashed=True))
        names = await asyncio.to_thread(self._shelf.take_back, rows)
        await self._database.write(lambda connection: set_restored(connection, names))
        for name in names.values():
            self._publish(FileChanged(folder="output", name=name))
        return [f"p{number}" for number in names]

    async def empty_trash(self, older_than: float = 0.0) -> int:
        """Removes for good what has been in the trash for so many seconds."""
        limit = time.time() - older_than
        trashed = await self._database.read(lambda connection: all_rows(connection, trashed=True))
        rows = [row for row in trashed if row["trashed"] <= limit]
        await asyncio.to_thread(self._shelf.burn, rows)
        await self._database.write(lambda connection: forget(connection, [row["number"] for row in rows]))
        return len(rows)

    async def compare(self) -> None:
        """Puts on record what has come into the output folder by other ways, and forgets what is gone from it."""
        async with self._comparing:
            known, trashed = await self._database.read(
                lambda connection: (
                    all_rows(connection, trashed=False),
                    all_rows(connection, trashed=True),
                )
            )
            self._compared = time.monotonic(), await asyncio.to_thread(self._shelf.changed)
            new, numbers = await asyncio.to_thread(self._shelf.compare, known, trashed)
            names = {row["number"]: row["name"] for row in known}
            gone = {number: names[number] for number in numbers}
            for start in range(0, len(new), _PIECE):
                records: list[Record] = []
                for one in new[start : start + _PIECE]:
                    record = await asyncio.to_thread(self._shelf.describe, one)
                    records += [record] if record is not None else []
                await self._database.write(
                    lambda connection, records=records: add(connection, moved(connection, records, gone))
                )
                await asyncio.sleep(_BREATH)  # thousands of images must not keep anybody else waiting
            if gone:
                # After what is new: a file that was only moved is on record under its new name by now.
                await self._database.write(lambda connection: forget_gone(connection, gone))
            if new or gone:
                log.info("output folder: %d files that were new are on record, %d were gone", len(new), len(gone))
                # Of thousands a few are enough: who lists the folder asks again at the first.
                for one in new[:_TOLD]:
                    self._publish(FileChanged(folder="output", name=one.name))

    async def sweep(self) -> None:
        """Removes what killed workers have left half-written."""
        await asyncio.to_thread(self._shelf.sweep, _HALF_WRITTEN)

    async def outdated(self) -> bool:
        """Whether the folder has changed since it was last compared."""
        at, changed = self._compared
        if self._comparing.locked() or time.monotonic() - at < _LOOK_AGAIN:
            return False
        return await asyncio.to_thread(self._shelf.changed) != changed
