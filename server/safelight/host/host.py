"""The host: accepts runs, gives them to workers, keeps what becomes of them, and tells everybody who listens.

All of it happens on one event loop, in short steps; SQLite, checking and hashing happen in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import sqlite3
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.app import Budgets, Studio
from safelight.protocol.records import (
    ENDED,
    BatchOrder,
    CatalogueChanged,
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
)
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.widgets import FilePick
from safelight.traces import RunSpans

from . import preferences
from .database import Database
from .dispatch import Around, Dispatcher
from .documents import Graphs
from .downloads import Downloads
from .duplicates import Duplicates
from .gallery import Archive, Shelf
from .lock import FolderLock
from .measures import Measures
from .models import ModelScan
from .queue import Live, batches, history, prompts, runs
from .reload import PackWatch
from .run_logs import RunLogs
from .stream import Listener, Stream
from .workers import LocalPool, Pool, PoolOptions, Setup

if TYPE_CHECKING:
    from .workers.cluster import ClusterOptions

log = logging.getLogger(__name__)

BOOT = 1 << 32
"""Events a server may number before it is started again; the numbers of all starts fit into a JavaScript number."""
_SNAPSHOT_RUNS = 500
_QUEUE_PAUSE = 0.2
_STOP_GRACE = 10.0
_PIECE = 200
_DAY = 86_400.0


@dataclass(frozen=True)
class HostOptions:
    """How to open a host. `workers` is the number of processes, `threads` what each may use (0: an equal share), and
    `devices` are what they are dealt over (none: each takes what it finds)."""

    home: Path
    inputs: tuple[Path, ...] = ()
    workers: int = 1
    devices: tuple[str, ...] = ()
    threads: int = 0
    budgets: Budgets = field(default_factory=Budgets)
    allow_download: bool = False
    shared_cache: str | None = None
    warm: bool = True
    silence: float = 120.0
    dev: bool = False
    """Import packs again when they are edited."""
    cluster: ClusterOptions | None = None
    """Run on the machines of a Ray cluster instead of processes here."""


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
        self.catalogues = 0
        """How often packs were imported again."""
        self.studio = Studio.open(
            options.home,
            options.inputs,
            options.budgets,
            allow_download=options.allow_download,
            shared_cache=options.shared_cache,
        )
        self.graphs = Graphs(self.studio)
        self.lock = FolderLock(options.home)
        self.pool: Pool = pool or self._pool()
        self._database: Database | None = None
        self._stream: Stream | None = None
        self._archive: Archive | None = None
        self.live = Live(lambda: options.workers if options.cluster is None else max(1, len(self.pool.workers())))
        self.models = ModelScan(self.graphs, self.publish)
        self.downloads = Downloads(self.studio, self.publish, self.models.again)
        self.duplicates = Duplicates(self.studio)
        self.measures = Measures()
        self._dispatcher: Dispatcher | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._spans: RunSpans | None = None
        self.logs = RunLogs(options.home / "logs", self.spawn)
        self._queue_due: asyncio.TimerHandle | None = None

    def _pool(self) -> Pool:
        if self.options.cluster is None:
            return LocalPool(self._pool_options())
        from .workers.cluster import RayPool

        readers = [
            name
            for kind in self.studio.catalogue.values()
            for name in (kind.spec.id, *kind.aliases)
            if any(isinstance(port.widget, FilePick) and port.widget.beside for port in kind.ports.values())
        ]
        return RayPool(self._pool_options(), self.options.cluster, readers)

    def _pool_options(self) -> PoolOptions:
        options = self.options
        setup = Setup(
            home=str(options.home),
            worker="",
            inputs=tuple(str(folder) for folder in options.inputs),
            memory=options.budgets.memory,
            disk=options.budgets.disk,
            allow_download=options.allow_download,
            shared_cache=options.shared_cache,
            warm=options.warm,
        )
        return PoolOptions(setup, options.workers, options.devices, options.threads, options.silence)

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

    @property
    def dispatcher(self) -> Dispatcher:
        assert self._dispatcher is not None, "the host is open"
        return self._dispatcher

    async def open(self) -> None:
        """Takes the data folder, picks up what was pending there, and starts the workers.

        Raises:
            ProblemError: `folder_in_use`, `cannot_write`, `database_newer`, `database_damaged`.
        """
        self.lock.acquire()
        try:
            # Locks of workers that were killed: nobody computes anything here before this server does.
            await asyncio.to_thread(shutil.rmtree, self.home / "cache" / "flights", ignore_errors=True)
            self._database = await asyncio.to_thread(Database, self.home / "server.sqlite")
            boot, recovered = await self.database.write(_boot)
            self._stream = Stream(boot * BOOT + 1, self.snapshot)
            self._archive = Archive(self.database, Shelf(self.studio), self.publish)
            kept = await self.database.read(lambda connection: preferences.setting(connection, "settings"))
            if kept is not None:
                with contextlib.suppress(msgspec.DecodeError):
                    self.settings = msgspec.json.decode(kept, type=Settings)
            paused = await self.database.read(preferences.is_paused)
            waiting = await self.database.read(history.standing)
        except BaseException:
            self.lock.release()
            raise
        self.live.fill(waiting)
        if recovered:
            log.info("%d runs that were cut off will go on", recovered)
        self._spans = self.studio.traces.runs() if self.studio.traces is not None else None
        around = Around(
            database=self.database,
            pool=self.pool,
            live=self.live,
            stream=self.stream,
            graphs=self.graphs,
            output=self.output,
            media=self.studio.media,
            measures=self.measures,
            logs=self.logs,
            spans=self._spans,
            settings=lambda: self.settings,
            changed=self._changed,
            spawn=self.spawn,
        )
        self._dispatcher = Dispatcher(around, paused=paused)
        await self.downloads.open()
        await self.pool.start(self._dispatcher)
        self.spawn(self._dispatcher.dispatch())
        self.spawn(self._keep_gallery())
        if self.options.dev:
            self.spawn(PackWatch(self.graphs, self.pool, self._catalogue_changed).watch())
        self.spawn(self.models.watch(lambda: len(self.stream) > 0))
        self._dispatcher.wake()

    async def close(self) -> None:
        """Runs stop at their next step and are taken up again by the next server; then everything ends."""
        self.closing = self.dispatcher.closing = True
        self.lock.note({})
        self.duplicates.close()
        await self.downloads.close()
        await self.pool.stop(_STOP_GRACE)
        self.stream.close()
        # What workers have told last is still to be written.
        pending = [task for task in self._tasks if task.get_name() not in ("dispatch", "keep_gallery", "watch")]
        if pending:
            await asyncio.wait(pending, timeout=5)
        for task in self._tasks:
            task.cancel()
        await self.logs.close()
        if self._spans is not None:
            self._spans.close()
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
        if self.pool.fault():
            raise ProblemError(no_workers(self.pool.fault()))

        def work(connection: sqlite3.Connection) -> list[tuple[Run, bool]]:
            added = runs.add(connection, orders)
            if batch is not None and any(new for _, new in added):
                batches.add(connection, batch)
            return [
                (prompts.add(connection, run, order.prompt), new) if new and order.prompt is not None else (run, new)
                for (run, new), order in zip(added, orders, strict=True)
            ]

        with self.dispatcher.coming():
            found = await self.database.write(work)
        accepted = [run for run, new in found if new and self.live.get(run.id) is None]
        for run in accepted:
            self.live.changed(run)
        await self._tell(accepted)
        return found

    async def _tell(self, changed: Sequence[Run]) -> None:
        """Tells of runs that `live` knows as changed; of thousands piece by piece, so that others have their turn."""
        for number, run in enumerate(changed, 1):
            # One that is further by now has been told of.
            if self.live.get(run.id) is (None if run.status in ENDED else run):
                self.publish(RunChanged(run=run))
            if number % _PIECE == 0:
                await asyncio.sleep(0)
        self._queue_changed()

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
            self.dispatcher.stop_run(run_id, hard=hard)
        else:
            if run.status in ENDED:
                self._left(run)
            self._changed(run)
            self.dispatcher.wake()
        return run

    def _left(self, run: Run) -> None:
        """A run has ended that no worker had: what is open of its former attempts is closed."""
        if run.attempts:
            self.logs.say(run.id, f"{run.status} while it waited")
        self.logs.over(run.id)
        if self._spans is not None:
            self._spans.ended(run)

    async def clear_queue(self, batch: str | None = None) -> int:
        """Cancels all that waits, or that waits or is paused of a batch."""
        cancelled = await self.database.write(lambda connection: runs.cancel_waiting(connection, batch))
        for run in cancelled:
            self.live.removed(run.id)
            self._left(run)
        await self._tell(cancelled)
        return len(cancelled)

    async def edit(self, run_id: str, **changes: Any) -> Run:
        run = await self.database.write(lambda connection: runs.edit(connection, run_id, **changes))
        self._changed(run)
        self.dispatcher.wake()
        return run

    async def remove(self, run_id: str) -> None:
        await self.database.write(lambda connection: runs.remove(connection, run_id))
        await self.logs.forget(run_id)
        if self._spans is not None:
            self._spans.forget(run_id)
        self.live.removed(run_id)
        self.publish(RunRemoved(id=run_id))
        self._queue_changed()

    async def set_paused(self, paused: bool) -> None:
        value = "true" if paused else "false"
        await self.database.write(lambda connection: preferences.set_setting(connection, "paused", value))
        self.dispatcher.paused = paused
        self._queue_changed()
        self.dispatcher.wake()

    async def change_settings(self, changes: dict[str, Any]) -> Settings:
        settings = msgspec.structs.replace(self.settings, **changes)
        text = msgspec.json.encode(settings).decode()
        await self.database.write(lambda connection: preferences.set_setting(connection, "settings", text))
        self.settings = settings
        return settings

    # What is told

    def publish(self, event: HostEvent) -> None:
        self.stream.publish(event)

    def _catalogue_changed(self, event: CatalogueChanged) -> None:
        self.catalogues += 1
        self.publish(event)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            runs=self.live.first(_SNAPSHOT_RUNS),
            nodes=self.live.nodes(),
            queue=self.queue(),
            workers=self.pool.workers(),
        )

    def queue(self) -> QueueInfo:
        return self.live.queue(paused=self.dispatcher.paused)

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

    async def _keep_gallery(self) -> None:
        """Holds the record of outputs against their folder, and empties the trash of what has been there for long."""
        while True:
            try:
                await self.archive.compare()
                await self.archive.sweep()
                if self.settings.trash_days:
                    await self.archive.empty_trash(self.settings.trash_days * _DAY)
            except ProblemError as error:
                log.error("the output folder cannot be compared with its record: %s", error)
            await asyncio.sleep(_DAY)


def _boot(connection: Any) -> tuple[int, int]:
    boot = int(preferences.setting(connection, "boots") or 0) + 1
    preferences.set_setting(connection, "boots", str(boot))
    return boot, runs.recover(connection)


def no_workers(why: str) -> Problem:
    hint = "The server's log says more, often which pack fails to import. Mend it and start the server again."
    return Problem(code="no_workers", message=f"Nothing can be run: {why}", hint=hint)


def _closing() -> ProblemError:
    return ProblemError(Problem(code="shutting_down", message="The server is shutting down.", hint="Try again soon."))
