"""The host: accepts runs, gives them to workers, keeps what becomes of them, and tells everybody who listens.

All of it happens on one event loop, in short steps; SQLite, checking and hashing happen in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from safelight.app import Budgets, Studio
from safelight.engine import NodeFailed, NodeFinished
from safelight.engine.events import AnyEvent
from safelight.sdk.problem import Problem, ProblemError

from . import batches, gallery, history, preferences, runs
from .archive import Archive
from .database import Database
from .graphs import Graphs
from .live import Live
from .lock import FolderLock
from .models import ModelScan
from .pool import LocalPool, Pool, PoolOptions
from .records import (
    BatchOrder,
    HostEvent,
    QueueChanged,
    QueueInfo,
    Run,
    RunChanged,
    RunDetail,
    RunOrder,
    RunRemoved,
    Settings,
    Snapshot,
    WorkerChanged,
    WorkerInfo,
)
from .results import end_of, records_of
from .rows import without_details
from .shelf import Shelf
from .stream import Listener, Stream
from .wire import Begin, Ended, Preview, Setup

log = logging.getLogger(__name__)

BOOT = 1 << 32
"""Events a server may number before it is started again; the numbers of all starts fit into a JavaScript number."""
_SNAPSHOT_RUNS = 500
_QUEUE_PAUSE = 0.2
_STOP_GRACE = 10.0
_ANNOUNCED = 1_000
_DAY = 86_400.0


@dataclass(frozen=True)
class HostOptions:
    """How to open a host. `workers` is the number of processes, `threads` what each may use (0: an equal share)."""

    home: Path
    inputs: tuple[Path, ...] = ()
    workers: int = 1
    threads: int = 0
    budgets: Budgets = field(default_factory=Budgets)
    allow_download: bool = False
    warm: bool = True
    silence: float = 120.0


class Host:
    """Open it, use it from one event loop, close it. Everything here raises ProblemError for what cannot be done."""

    def __init__(self, options: HostOptions, pool: Pool | None = None) -> None:
        self.options = options
        self.home = options.home
        self.output = options.home / "output"
        self.id = secrets.token_hex(8)
        self.opened = time.time()
        self.settings = Settings()
        self.closing = False
        self.studio = Studio.open(options.home, options.inputs, options.budgets, allow_download=options.allow_download)
        self.graphs = Graphs(self.studio)
        self.lock = FolderLock(options.home)
        self.pool: Pool = pool or LocalPool(self._pool_options())
        self._database: Database | None = None
        self._stream: Stream | None = None
        self._archive: Archive | None = None
        self.live = Live(lambda: options.workers)
        self.models = ModelScan(self.graphs, self.publish)
        self._late_stops: dict[str, bool] = {}
        self._paused = False
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._queue_due: asyncio.TimerHandle | None = None
        self._since_trim = 0
        self._incoming = 0
        self._announced: OrderedDict[str, None] = OrderedDict()

    def _pool_options(self) -> PoolOptions:
        options = self.options
        setup = Setup(
            home=str(options.home),
            worker="",
            inputs=tuple(str(folder) for folder in options.inputs),
            memory=options.budgets.memory,
            disk=options.budgets.disk,
            allow_download=options.allow_download,
            warm=options.warm,
        )
        return PoolOptions(setup, options.workers, options.threads, options.silence)

    @property
    def database(self) -> Database:
        assert self._database is not None, "the host is open"
        return self._database

    @property
    def stream(self) -> Stream:
        assert self._stream is not None, "the host is open"
        return self._stream

    @property
    def archive(self) -> Archive:
        assert self._archive is not None, "the host is open"
        return self._archive

    async def open(self) -> None:
        """Takes the data folder, picks up what was pending there, and starts the workers.

        Raises:
            ProblemError: `folder_in_use`, `cannot_write`, `database_newer`, `database_damaged`.
        """
        self.lock.acquire()
        try:
            self._database = await asyncio.to_thread(Database, self.home / "server.sqlite")
            boot, recovered = await self.database.write(_boot)
            self._stream = Stream(boot * BOOT + 1, self.snapshot)
            self._archive = Archive(self.database, Shelf(self.studio), self.publish)
            kept = await self.database.read(lambda connection: preferences.setting(connection, "settings"))
            if kept is not None:
                with contextlib.suppress(msgspec.DecodeError):
                    self.settings = msgspec.json.decode(kept, type=Settings)
            self._paused = await self.database.read(preferences.is_paused)
            waiting = await self.database.read(
                lambda connection: history.listed(connection, ("interrupted", "queued", "paused"), 1_000_000)
            )
        except BaseException:
            self.lock.release()
            raise
        self.live.fill(waiting)
        if recovered:
            log.info("%d runs that were cut off will go on", recovered)
        await self.pool.start(self)
        self.spawn(self._dispatch())
        self.spawn(self._keep_gallery())
        self._wake.set()

    async def close(self) -> None:
        """Runs stop at their next step and are taken up again by the next server; then everything ends."""
        self.closing = True
        self.lock.note({})
        await self.pool.stop(_STOP_GRACE)
        self.stream.close()
        # What workers have told last is still to be written.
        pending = [task for task in self._tasks if task.get_name() not in ("dispatch", "keep_gallery")]
        if pending:
            await asyncio.wait(pending, timeout=5)
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self.database.close)
        await asyncio.to_thread(self.graphs.close)
        self.lock.release()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs something beside; its failure is logged, and it is waited for at the end."""
        task = asyncio.create_task(work, name=work.__name__.strip("_"))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    # Runs

    async def submit(self, orders: Sequence[RunOrder], batch: BatchOrder | None = None) -> list[tuple[Run, bool]]:
        """Accepts runs. When this returns they are on disk, and will be run whatever happens."""
        if self.closing:
            raise _closing()
        # The dispatcher is woken before the runs are there: its claim then shares their transaction, and its sync.
        self._incoming += 1
        self._wake.set()

        def work(connection: sqlite3.Connection) -> list[tuple[Run, bool]]:
            added = runs.add(connection, orders)
            if batch is not None and any(new for _, new in added):
                batches.add(connection, batch)
            return added

        try:
            found = await self.database.write(work)
        finally:
            self._incoming -= 1
        for run, new in found:
            if new:
                self._changed(run)
        self._wake.set()
        return found

    async def run(self, run_id: str) -> RunDetail:
        found = await self.database.read(lambda connection: history.get(connection, run_id))
        active = self.live.active(run_id)
        if active is not None and found.status == "running":
            found.nodes = {name: msgspec.structs.replace(state) for name, state in active.nodes.items()}
            found.progress = active.progress()
        found.left = self.live.lefts().get(run_id)
        return found

    async def cancel(self, run_id: str, *, hard: bool = False) -> Run:
        return await self._ask(run_id, "cancel", hard=hard)

    async def pause_run(self, run_id: str) -> Run:
        return await self._ask(run_id, "pause")

    async def resume_run(self, run_id: str) -> Run:
        return await self._ask(run_id, "resume")

    async def _ask(self, run_id: str, what: str, *, hard: bool = False) -> Run:
        run, tell = await self.database.write(lambda connection: runs.ask(connection, run_id, what))
        if tell:
            if not self.pool.stop_run(run_id, hard=hard, grace=self.settings.cancel_grace):
                self._late_stops[run_id] = hard
        else:
            self._changed(run)
            self._wake.set()
        return run

    async def clear_queue(self) -> int:
        """Cancels all that waits."""
        cancelled = await self.database.write(runs.cancel_waiting)
        for run in cancelled:
            self._changed(run)
        return len(cancelled)

    async def edit(self, run_id: str, **changes: Any) -> Run:
        run = await self.database.write(lambda connection: runs.edit(connection, run_id, **changes))
        self._changed(run)
        self._wake.set()
        return run

    async def remove(self, run_id: str) -> None:
        await self.database.write(lambda connection: runs.remove(connection, run_id))
        self.live.removed(run_id)
        self.publish(RunRemoved(id=run_id))
        self._queue_changed()

    async def set_paused(self, paused: bool) -> None:
        value = "true" if paused else "false"
        await self.database.write(lambda connection: preferences.set_setting(connection, "paused", value))
        self._paused = paused
        self._queue_changed()
        self._wake.set()

    async def change_settings(self, changes: dict[str, Any]) -> Settings:
        settings = msgspec.structs.replace(self.settings, **changes)
        text = msgspec.json.encode(settings).decode()
        await self.database.write(lambda connection: preferences.set_setting(connection, "settings", text))
        self.settings = settings
        return settings

    # What is told

    def publish(self, event: HostEvent) -> None:
        self.stream.publish(event)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            runs=self.live.first(_SNAPSHOT_RUNS),
            nodes=self.live.nodes(),
            queue=self.queue(),
            workers=self.pool.workers(),
        )

    def queue(self) -> QueueInfo:
        return self.live.queue(paused=self._paused)

    def announced(self, digest: str) -> bool:
        """Whether an event has lately named this file: its bytes are on their way to the disk then."""
        return digest in self._announced

    def watch(self, listener: Listener, wanted: Sequence[str]) -> None:
        """Sets whose previews a listener wants, and tells the workers."""
        listener.watch(wanted)
        self._watch_all()

    def leave(self, listener: Listener) -> None:
        self.stream.drop(listener)
        if listener.previews:
            self._watch_all()

    def _watch_all(self) -> None:
        for run in self.live.running():
            self.pool.watch(run, self.stream.watched(run))

    def _changed(self, run: Run) -> None:
        self.live.changed(run)
        self.publish(RunChanged(run=run))
        self._queue_changed()

    def _queue_changed(self) -> None:
        """Tells of the queue's length, but not for each of a thousand runs."""
        if self._queue_due is not None:
            return

        def tell() -> None:
            self._queue_due = None
            if not self.closing:
                self.publish(QueueChanged(queue=self.queue()))

        self._queue_due = asyncio.get_running_loop().call_later(_QUEUE_PAUSE, tell)

    # From the queue to the workers

    async def _dispatch(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._paused and not self.closing and (worker := self.pool.idle()) is not None:
                if not self._incoming and not self.live.any_waiting():
                    break
                try:
                    if not await self._claim(worker):
                        break
                except ProblemError as error:
                    log.error("the next run cannot be started: %s", error)
                    await asyncio.sleep(1)

    async def _claim(self, worker: str) -> bool:
        claimed = await self.database.write(lambda connection: runs.claim(connection, worker))
        if claimed is None:
            return False
        run, options = claimed.run, claimed.options
        interval = options.checkpoint_seconds
        begin = Begin(
            run=run.id,
            attempt=run.attempts,
            document=claimed.document,
            inputs=run.inputs,
            targets=options.targets,
            force=options.force,
            checkpoint_seconds=self.settings.checkpoint_seconds if interval is None else interval,
            previews=self.stream.watched(run.id),
        )
        if not self.pool.begin(worker, begin):
            back = runs.End(status="interrupted")
            returned = await self.database.write(lambda c: runs.stopped(c, run.id, run.attempts, back))
            if returned is not None:
                self._changed(returned)
            return True
        self.live.begin(run.id, run.attempts, worker)
        self._changed(run)
        late = self._late_stops.pop(run.id, None)
        if late is not None:
            self.pool.stop_run(run.id, hard=late, grace=self.settings.cancel_grace)
        return True

    # PoolListener

    def told(self, run: str, attempt: int, events: Sequence[AnyEvent]) -> None:
        active = self.live.active(run)
        if active is None or active.attempt != attempt:
            return
        for event in events:
            active.follow(event)
            if isinstance(event, NodeFinished):
                self._announced.update((file.digest, None) for file in event.files)
            elif isinstance(event, NodeFailed):
                event = msgspec.structs.replace(event, problem=without_details(event.problem))  # noqa: PLW2901
            self.publish(event)
        while len(self._announced) > _ANNOUNCED:
            self._announced.popitem(last=False)

    def shown(self, preview: Preview) -> None:
        self.stream.show(preview)

    def ended(self, ended: Ended) -> None:
        self.spawn(self._finish(ended))

    def died(self, run: str, attempt: int, problem: Problem) -> None:
        self.spawn(self._bury(run, attempt, problem))

    def changed(self, worker: WorkerInfo) -> None:
        if self._stream is not None and not self.closing:
            self.publish(WorkerChanged(worker=worker))
        if worker.state in ("idle", "busy") and worker.device:
            self.graphs.measured()
        if worker.state in ("idle", "warming"):
            self._wake.set()

    async def _finish(self, ended: Ended) -> None:
        how = end_of(ended, self.output)
        write = runs.stopped if ended.status == "cancelled" else runs.end

        def work(connection: sqlite3.Connection) -> Run | None:
            run = write(connection, ended.run, ended.attempt, how)
            if run is not None:
                try:
                    gallery.add(connection, records_of(ended, run, list(how.files)))
                except (sqlite3.Error, ValueError):
                    # The end of the run is what matters; the folder is compared with the record at the next start.
                    log.exception("the outputs of %s are not on record", ended.run)
            return run

        run = await self._surely(work)
        self.graphs.learned()
        self._ended(ended.run, ended.attempt, run)

    async def _bury(self, run_id: str, attempt: int, problem: Problem) -> None:
        limit = self.settings.max_deaths
        if self.closing:
            how = runs.End(status="interrupted")
            run = await self._surely(lambda connection: runs.stopped(connection, run_id, attempt, how))
        else:
            run = await self._surely(lambda connection: runs.died(connection, run_id, attempt, problem, limit))
        self._ended(run_id, attempt, run)

    def _ended(self, run_id: str, attempt: int, run: Run | None) -> None:
        if self.live.end(run_id, attempt):
            self._late_stops.pop(run_id, None)
        if run is not None:
            self._changed(run)
            log.info("%s after %.2f s", run.status, run.seconds or 0.0, extra={"run": run_id})
        self._wake.set()
        self._since_trim += 1
        if self._since_trim >= 200 and not self.closing:
            self._since_trim = 0
            limit = self.settings.history_limit
            self.spawn(self.database.write(lambda connection: runs.trim(connection, limit)))

    async def _keep_gallery(self) -> None:
        """Holds the record of outputs against their folder, and empties the trash of what has been there for long."""
        while True:
            try:
                await self.archive.compare()
                if self.settings.trash_days:
                    await self.archive.empty_trash(self.settings.trash_days * _DAY)
            except ProblemError as error:
                log.error("the output folder cannot be compared with its record: %s", error)
            await asyncio.sleep(_DAY)

    async def _surely(self, work: Any) -> Any:
        """A write that must not be lost to a disk that is full for a moment."""
        for pause in (0.1, 0.5, 2.0, 5.0, 10.0):
            try:
                return await self.database.write(work)
            except ProblemError as error:
                if error.problems[0].code != "database_failed":
                    raise
                await asyncio.sleep(pause)
        return await self.database.write(work)


def _boot(connection: Any) -> tuple[int, int]:
    boot = int(preferences.setting(connection, "boots") or 0) + 1
    preferences.set_setting(connection, "boots", str(boot))
    return boot, runs.recover(connection)


def _closing() -> ProblemError:
    return ProblemError(Problem(code="shutting_down", message="The server is shutting down.", hint="Try again soon."))
