"""The server's SQLite file: one thread that writes, others that read, and nobody waits on the event loop.

The standard library's `sqlite3` is used as it is. Asynchronous wrappers around it run every statement through a thread
of their own, one after the other; here all writes that have come in while a transaction was being synced share the next
one, so a thousand submissions cost a few dozen syncs, and readers (WAL) never wait for a writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from safelight.sdk.problem import Problem, ProblemError

from .schema import MIGRATIONS

log = logging.getLogger(__name__)
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BATCH = 500
_ASK_AGAIN = 1.0
_ROOM = 1 << 20
_Job = tuple[Work[Any], "asyncio.Future[Any]"]


class Database:
    """Write with `write`, read with `read`; both take a function that is given a connection, in another thread."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file and brings it to the newest schema.

        Raises:
            ProblemError: `database_newer` when a later version made it, `database_damaged` when it is none.
        """
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="database-reader")
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._closed = False
        self._asked = -_ASK_AGAIN
        self._fault: ProblemError | None = None
        self._connection = self._prepare()
        self._thread = threading.Thread(target=self._work, name="database-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Runs `work` in a transaction. When this returns, what it wrote is on disk.

        What `work` raises is raised here, and only its own changes are undone.
        """
        if self._closed:
            raise ProblemError(Problem(code="shutting_down", message="The server is shutting down."))
        self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((work, future))
        # A request that is given up must not undo what was accepted for it.
        return await asyncio.shield(future)

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on a connection that cannot write; sees everything that was written before."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: work(self._reader()))

    async def must_write(self) -> None:
        """Raises ProblemError `database_failed` while the file cannot be written. Asks it, but not all the time."""
        now = time.monotonic()
        if now - self._asked >= _ASK_AGAIN:
            self._asked = now
            try:
                if shutil.disk_usage(self._path.parent).free < _ROOM:
                    raise _failed("the disk is full")
                # The same number again: a write to the disk that changes nothing.
                await self.write(lambda connection: connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}"))
            except ProblemError as error:
                self._fault = error
            else:
                self._fault = None
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """Waits until all is written, and closes."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join(60)
        self._readers.shutdown()
        for connection in [*self._open, self._connection]:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _prepare(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = _connect(self._path)
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                message = f"{str(self._path)!r} was made by a later version of Safelight (schema {version})."
                raise ProblemError(
                    Problem(code="database_newer", message=message, hint="Update Safelight, or use another folder.")
                )
            migrate(connection, version)
        except sqlite3.DatabaseError as error:
            message = f"The server's database {str(self._path)!r} cannot be used: {error}."
            hint = "Move the file away to start with an empty history, or put a backup in its place."
            raise ProblemError(Problem(code="database_damaged", message=message, hint=hint)) from error
        return connection

    def _reader(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = _connect(self._path)
            connection.execute("PRAGMA query_only = 1")
            self._open.append(connection)
        return connection

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            batch: list[_Job] = [job]
            last = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < _BATCH:
                    more = self._jobs.get_nowait()
                    if more is None:
                        last = True
                        break
                    batch.append(more)
            self._transaction(batch)
            if last:
                return

    def _transaction(self, batch: Sequence[_Job]) -> None:
        done: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                connection.execute("SAVEPOINT job")
                try:
                    done.append((future, work(connection), None))
                except sqlite3.OperationalError:
                    raise  # the file, not the job: a full disk is met by the first write, or by the commit
                except Exception as error:  # the job's own failure; the others of the batch go on
                    connection.execute("ROLLBACK TO job")
                    done.append((future, None, error))
                connection.execute("RELEASE job")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.exception("the database refused a transaction")
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            problem = _failed(str(error))
            done = [(future, None, problem) for _, future in batch]
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop may end between the two lines
                self._loop.call_soon_threadsafe(_resolve, done)


def _failed(why: str) -> ProblemError:
    message = f"The server's database cannot be written: {why}."
    hint = "Look for a full disk or missing rights in the data folder."
    return ProblemError(Problem(code="database_failed", message=message, hint=hint))


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Brings a file from schema `version` to the newest, each step in a transaction of its own."""
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    # Synchronous FULL: a run that was accepted is still there after a power cut.
    connection.executescript("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")
    return connection


def _resolve(done: Sequence[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in done:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
