"""The server's side of what goes to a worker's home and comes back from it. All of it blocks: call it in a thread."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from safelight.disk import claim, is_below, write_file
from safelight.host.placement import texts
from safelight.interop.delivery import deliver
from safelight.media.registry import MediaRegistry
from safelight.places import InputFolders
from safelight.sdk.codec import hash_file
from safelight.sdk.problem import ProblemError
from safelight.sdk.values import File

from ..wire import Begin, Made

log = logging.getLogger(__name__)

_COUNTER = re.compile(r"(?<=_)\d{5}(?!\d)")
_KEEP_SECONDS = 30 * 24 * 3600


class Inputs:
    """The input folders of the server, and the digests of the files that were asked for."""

    def __init__(self, folders: tuple[Path, ...], readers: Collection[str] = ()) -> None:
        """`readers`: ids of nodes that read what lies beside a file, and below its folder."""
        self._folders = InputFolders(folders)
        self._readers = readers
        self._digests: dict[Path, tuple[int, int, str]] = {}

    def named(self, begin: Begin) -> Iterator[tuple[str, Path, str]]:
        """The files that a run can ask for: each text of its document that names one is taken for its name, and where a
        node reads whole folders, all of the folder goes with it. Gives name, path and digest."""
        document = msgspec.json.decode(begin.document)
        told = list(dict.fromkeys([*texts(document), *texts(begin.inputs)]))
        whole = self.reads_folders(begin)
        given: set[str] = set()
        for text in told:
            if not text or len(text) > 1000:
                continue
            try:
                path = self._folders.path(text)
            except (ProblemError, OSError):
                continue
            for name, found in self._with_folder(text, path) if whole else [(text, path)]:
                if name in given:
                    continue
                given.add(name)
                try:
                    digest = self._digest(found)
                except OSError as error:
                    log.warning("%s cannot be sent to who computes: %s", name, error)
                    continue
                yield name, found, digest

    def reads_folders(self, begin: Begin) -> bool:
        """Whether a node of the run takes whatever lies in a folder."""
        told = [*texts(msgspec.json.decode(begin.document)), *texts(begin.inputs)]
        return any(one in self._readers for one in told)

    def _with_folder(self, name: str, path: Path) -> Iterator[tuple[str, Path]]:
        yield name, path
        within = PurePosixPath(name).parent
        for found in sorted(path.parent.rglob("*")):
            there = found.relative_to(path.parent)
            hidden = any(part.startswith(".") for part in there.parts)
            if not hidden and found.is_file() and any(is_below(found, top) for top in self._folders.folders):
                yield str(within / there.as_posix()), found

    def _digest(self, path: Path) -> str:
        look = path.stat()
        known = self._digests.get(path)
        if known is None or known[:2] != (look.st_size, look.st_mtime_ns):
            known = self._digests[path] = look.st_size, look.st_mtime_ns, hash_file(path)
        return known[2]


class Kept:
    """The checkpoints of runs that have not ended, a folder a run, so that any worker goes on from them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tidy(self) -> None:
        """Removes those of runs that nobody came back to."""
        for one in self._folder.glob("*"):
            if time.time() - one.stat().st_mtime > _KEEP_SECONDS:
                shutil.rmtree(one, ignore_errors=True)

    def of(self, run: str) -> list[Path]:
        return sorted(path for path in (self._folder / run).glob("*") if not path.name.startswith("."))

    def put(self, run: str, name: str, data: bytes) -> None:
        write_file(self._folder / run / Path(name).name, [data])

    def drop(self, run: str, name: str) -> None:
        (self._folder / run / Path(name).name).unlink(missing_ok=True)

    def forget(self, run: str) -> None:
        shutil.rmtree(self._folder / run, ignore_errors=True)


def placed(made: Made, name: str, copy: Path, output: Path, media: MediaRegistry) -> Path:
    """Gives a file that has arrived a name below the output folder: the one it had on its machine where that is free,
    else with another number. Nothing is overwritten; the same bytes are not kept twice.

    Raises:
        OSError, ProblemError: the folder cannot be written.
    """
    target = output / name
    if not is_below(target, output):
        raise OSError(f"{name!r} is no name below the output folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    if claim(copy, target) or (target.is_file() and hash_file(target) == made.digest):
        return target
    numbers = list(_COUNTER.finditer(name))
    pattern = name if not numbers else name[: numbers[-1].start()] + "{counter}" + name[numbers[-1].end() :]
    return Path(deliver(File(pattern, made.media_type, made.digest, made.size), copy, output, "", media).path)
