"""From the queue to the workers and back: claims runs, gives them away, and writes down how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from safelight.engine import NodeFailed, NodeFinished, NodeWarned
from safelight.media.registry import MediaRegistry
from safelight.protocol.events import AnyEvent
from safelight.protocol.records import ENDED, Run, Settings, WorkerChanged, WorkerInfo
from safelight.sdk.problem import Problem, ProblemError
from safelight.traces import RunSpans

from .database import Database
from .documents import Graphs
from .gallery import records as gallery
from .helping import Helping
from .measures import Measures
from .placement import choose, fits
from .queue import Live, history, runs, without_details
from .results import end_of, records_of
from .run_logs import RunLogs
from .stream import Stream
from .workers import Begin, Ended, Logged, PartEnd, Pool, Preview

log = logging.getLogger(__name__)

_ANNOUNCED = 1_000
_TRIM_EVERY = 200


@dataclass(frozen=True)
class Around:
    """What the dispatcher works with. `settings` gives them as they are now, `changed` is told of every change of a
    run, `spawn` runs something beside, `output` is the folder of finished files, `media` what
    is known of their kinds, `measures` what is counted, `logs` what is
    written down of each run, `spans` where traces of runs go.
    """

    database: Database
    pool: Pool
    live: Live
    stream: Stream
    graphs: Graphs
    output: Path
    media: MediaRegistry
    measures: Measures
    logs: RunLogs
    spans: RunSpans | None
    settings: Callable[[], Settings]
    changed: Callable[[Run], None]
    spawn: Callable[[Coroutine[Any, Any, Any]], None]


class Dispatcher:
    """Implements `PoolListener`. While `paused` or `closing` nothing new is started."""

    def __init__(self, around: Around, *, paused: bool) -> None:
        self.paused = paused
        self.closing = False
        self._around = around
        self._wake = asyncio.Event()
        self._incoming = 0
        self._late_stops: dict[str, bool] = {}
        self._announced: OrderedDict[str, None] = OrderedDict()
        self._since_trim = 0
        self._helping = Helping(around.pool, around.graphs, around.live, around.spawn, self.wake)

    def wake(self) -> None:
        """There may be something to start."""
        self._wake.set()

    @contextlib.contextmanager
    def coming(self) -> Iterator[None]:
        """Around a write that adds runs: the claim of the first then shares its transaction, and its sync."""
        self._incoming += 1
        self._wake.set()
        try:
            yield
        finally:
            self._incoming -= 1
            self._wake.set()

    def stop_run(self, run: str, *, hard: bool) -> None:
        """Asks a running run to stop, as soon as a worker has it."""
        if not self._around.pool.stop_run(run, hard=hard, grace=self._around.settings().cancel_grace):
            self._late_stops[run] = hard

    def announced(self, digest: str) -> bool:
        """Whether an event has lately named this file: its bytes are on their way to the disk then."""
        return digest in self._announced

    async def dispatch(self) -> None:
        """Gives waiting runs to idle workers, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pool, refused = self._around.pool, set[str]()
            while not self.paused and not self.closing and (self._incoming or self._around.live.any_waiting()):
                idle = pool.idle()
                if not idle and not pool.parts():
                    break
                try:
                    if await self._claim(idle, refused):
                        continue
                except ProblemError as error:
                    log.error("the next run cannot be started: %s", error)
                    await asyncio.sleep(1)
                    continue
                self._make_way(refused)
                break
            # What waits is pinned to workers that are not idle: the others may help.
            free = not self._around.live.any_waiting() or bool(refused)
            if free and not (self.paused or self.closing or self._incoming):
                self._helping.give()

    def _make_way(self, pins: set[str]) -> None:
        """Whole runs come before help: stops helpers where a run that waits could go."""
        self._around.pool.stop_parts(lambda worker: any(fits(worker, pin) for pin in pins))

    async def _claim(self, idle: list[WorkerInfo], refused: set[str]) -> bool:
        """Gives the next run that one of these workers can take to it. False when there is none; `refused` then holds
        what the runs that wait are pinned to."""
        refused.clear()
        claimed = await self._around.database.write(
            lambda connection: runs.claim(connection, lambda pin, work: choose(idle, pin, work), refused)
        )
        if claimed is None:
            return False
        run, options = claimed.run, claimed.options
        worker = run.worker or ""
        spreads = self._around.settings().spread and self._around.pool.shares and not options.device
        interval = options.checkpoint_seconds
        begin = Begin(
            run=run.id,
            attempt=run.attempts,
            document=claimed.document,
            inputs=run.inputs,
            targets=options.targets,
            force=options.force,
            checkpoint_seconds=self._around.settings().checkpoint_seconds if interval is None else interval,
            previews=self._around.stream.watched(run.id),
            shared=spreads,
            parent=self._around.spans.began(run, worker) if self._around.spans is not None else "",
        )
        if not self._around.pool.begin(worker, begin):
            back = runs.End(status="interrupted")
            returned = await self._around.database.write(lambda c: runs.stopped(c, run.id, run.attempts, back))
            if returned is not None:
                self._span_over(returned)
                self._around.changed(returned)
            return True
        self._around.live.begin(run.id, run.attempts, worker)
        self._around.measures.began(run)
        self._around.logs.say(run.id, f"attempt {run.attempts} goes to worker {worker}")
        self._around.changed(run)
        if spreads:
            self._helping.began(begin)
        late = self._late_stops.pop(run.id, None)
        if late is not None:
            self._around.pool.stop_run(run.id, hard=late, grace=self._around.settings().cancel_grace)
        return True

    # PoolListener

    def told(self, run: str, attempt: int, events: Sequence[AnyEvent]) -> None:
        active = self._around.live.active(run)
        if active is None or active.attempt != attempt:
            return
        for event in events:
            if isinstance(event, NodeFinished) and event.node in active.ran:
                event = msgspec.structs.replace(event, cached=False)  # noqa: PLW2901  another worker has computed it
            active.follow(event)
            self._around.logs.follow(run, event)
            if isinstance(event, NodeFinished):
                self._announced.update((file.digest, None) for file in event.files)
            elif isinstance(event, NodeFailed | NodeWarned):
                event = msgspec.structs.replace(event, problem=without_details(event.problem))  # noqa: PLW2901
            self._around.stream.publish(event)
        while len(self._announced) > _ANNOUNCED:
            self._announced.popitem(last=False)

    def logged(self, logged: Logged) -> None:
        self._around.logs.say(
            logged.run, logged.said, logged.level, by=logged.logger, details=logged.details, at=logged.at
        )

    def shown(self, preview: Preview) -> None:
        self._around.stream.show(preview)

    def ended(self, ended: Ended) -> None:
        self._around.spawn(self._finish(ended))

    def died(self, run: str, attempt: int, problem: Problem) -> None:
        self._around.spawn(self._bury(run, attempt, problem))

    def helped(self, run: str, attempt: int, how: PartEnd) -> None:
        self._helping.came_back(run, attempt, how)

    def changed(self, worker: WorkerInfo) -> None:
        if not self.closing:
            self._around.stream.publish(WorkerChanged(worker=worker))
        if worker.state in ("idle", "busy") and worker.device:
            self._around.graphs.measured(self._around.pool.numerics())
        if worker.state in ("idle", "warming"):
            self._wake.set()

    async def _finish(self, ended: Ended) -> None:
        self._helping.over(ended.run)
        active = self._around.live.active(ended.run)
        self._around.measures.worked(ended, active.ran if active is not None else ())
        for problem in ended.problems:
            if problem.node is None:  # those of nodes were told as they came
                self._around.logs.problem(ended.run, problem)
        how = end_of(ended, self._around.output, self._around.media, active)
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
        self._ended(ended.run, ended.attempt, run)

    async def _bury(self, run_id: str, attempt: int, problem: Problem) -> None:
        self._helping.over(run_id)
        limit = self._around.settings().max_deaths
        self._around.logs.problem(run_id, problem)
        if self.closing:
            how = runs.End(status="interrupted")
            run = await self._surely(lambda connection: runs.stopped(connection, run_id, attempt, how))
        else:
            run = await self._surely(lambda connection: runs.died(connection, run_id, attempt, problem, limit))
        self._ended(run_id, attempt, run, problem)

    def _span_over(self, run: Run, problem: Problem | None = None) -> None:
        if self._around.spans is not None:
            self._around.spans.ended(run, problem)

    def _ended(self, run_id: str, attempt: int, run: Run | None, problem: Problem | None = None) -> None:
        if self._around.live.end(run_id, attempt):
            self._late_stops.pop(run_id, None)
        if run is not None:
            self._around.changed(run)
            self._span_over(run, problem)
            if run.status in ENDED:
                self._around.measures.ended(run)
                self._around.logs.over(run.id)
            log.info("%s after %.2f s", run.status, run.seconds or 0.0, extra={"run": run_id})
        self._wake.set()
        self._since_trim += 1
        if self._since_trim >= _TRIM_EVERY and not self.closing:
            self._since_trim = 0
            limit = self._around.settings().history_limit
            self._around.spawn(self._trim(limit))

    async def _trim(self, limit: int) -> None:
        def work(connection: sqlite3.Connection) -> list[str]:
            runs.trim(connection, limit)
            return history.ids(connection)

        await self._around.logs.keep(await self._around.database.write(work))

    async def _surely(self, work: Any) -> Any:
        """A write that must not be lost to a disk that is full for a moment."""
        for pause in (0.1, 0.5, 2.0, 5.0, 10.0):
            try:
                return await self._around.database.write(work)
            except ProblemError as error:
                if error.problems[0].code != "database_failed":
                    raise
                await asyncio.sleep(pause)
        return await self._around.database.write(work)
