"""The files behind the gallery: into the trash and out of it, and the record held against what lies on disk."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from safelight.app import Studio
from safelight.graph import Document
from safelight.host.documents import facts_in
from safelight.host.files import Found, walk
from safelight.interop.reading import read
from safelight.media.registry import MediaRegistry
from safelight.protocol.facts import Facts
from safelight.sdk.media import Measures
from safelight.sdk.problem import ProblemError

from .records import Record

log = logging.getLogger(__name__)

_READ = 256 << 20


class Shelf:
    """The output folder and its trash. Everything here blocks: call it in a thread."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.output = studio.home / "output"
        self.trash = studio.home / "trash"

    @property
    def media(self) -> MediaRegistry:
        return self._studio.media

    def trashed_path(self, number: int, name: str) -> Path:
        return self.trash / f"{number}{Path(name).suffix.lower()}"

    def path_of(self, row: sqlite3.Row) -> Path:
        """Where the bytes of a row lie, in the trash or out of it."""
        return self.trashed_path(row["number"], row["name"]) if row["trashed"] else self.output / row["name"]

    def throw_away(self, rows: Iterable[sqlite3.Row]) -> None:
        """Moves files into the trash. One that is gone already is none the worse."""
        self.trash.mkdir(parents=True, exist_ok=True)
        for row in rows:
            source = self.output / row["name"]
            with contextlib.suppress(OSError):
                if not source.is_symlink():
                    source.replace(self.trashed_path(row["number"], row["name"]))

    def take_back(self, rows: Iterable[sqlite3.Row]) -> dict[int, str]:
        """Moves files out of the trash; their names by number. A name that was taken meanwhile gets a number."""
        names: dict[int, str] = {}
        for row in rows:
            source = self.trashed_path(row["number"], row["name"])
            target = self.output / row["name"]
            if not source.is_file():
                if target.is_file():
                    names[row["number"]] = row["name"]
                continue
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                number, path = 1, target
                while path.exists() or path.is_symlink():
                    number += 1
                    path = target.with_name(f"{target.stem}_{number}{target.suffix}")
                source.rename(path)
            except OSError as error:
                log.warning("%s cannot be taken out of the trash: %s", row["name"], error)
                continue
            names[row["number"]] = path.relative_to(self.output).as_posix()
        return names

    def burn(self, rows: Iterable[sqlite3.Row]) -> None:
        """Removes trashed files for good."""
        for row in rows:
            with contextlib.suppress(OSError):
                self.trashed_path(row["number"], row["name"]).unlink()

    def changed(self) -> float:
        """When something last came into the output folder or left it; 0 where there is none."""
        try:
            return self.output.stat().st_mtime
        except OSError:
            return 0.0

    def compare(self, known: Sequence[sqlite3.Row], trashed: Sequence[sqlite3.Row]) -> tuple[list[Found], list[int]]:
        """Files that are not on record, and the numbers of records whose file is gone.

        What a crash has left half thrown away is thrown away.
        """
        self.throw_away(row for row in trashed if not self.trashed_path(row["number"], row["name"]).exists())
        if not self.output.is_dir():
            return [], []
        there = {one.name: one for one in walk(self.output, self.media)}
        names = {row["name"] for row in known}
        gone = [row["number"] for row in known if row["name"] not in there]
        return [one for name, one in there.items() if name not in names], gone

    def sweep(self, older_than: float) -> int:
        """Removes the half-written files of workers that were killed, so many seconds old."""
        limit, count = time.time() - older_than, 0
        for folder in (self.output, self._studio.home / "input"):
            for path in folder.rglob(".*.part"):
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime < limit:
                        path.unlink()
                        count += 1
        return count

    def describe(self, found: Found) -> Record | None:
        """The record of a file that was found in the folder: what it carries says how it was made."""
        try:
            digest = self._studio.cache.fingerprint(found.path)
            facts, workflow, measures = self._look(found)
        except OSError:
            return None
        return Record(
            name=found.name,
            digest=digest,
            made=found.modified,
            media_type=found.media_type,
            size=found.size,
            **msgspec.structs.asdict(measures),
            workflow=workflow,
            facts=facts,
        )

    def _look(self, found: Found) -> tuple[Facts, str | None, Measures]:
        if found.size > _READ:
            return Facts(), None, Measures()
        measures = self.media.measure(found.path, found.media_type)
        if not self.media.can_embed(found.media_type):
            return Facts(), None, measures
        data = found.path.read_bytes()
        try:
            document = read(data, self.media).document
        except ProblemError:
            document = None
        if document is None:
            return Facts(), None, measures
        return facts_in(document, self._studio.catalogue), document.name or None, measures

    def document(self, path: Path) -> Document:
        """The workflow that a file carries. Raises ProblemError where there is none that can be read."""
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        return read(data, self.media, path.name, self._studio.models.library.of_hash).document
