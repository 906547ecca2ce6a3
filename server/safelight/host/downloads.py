"""Downloads of models: one after the other, in a thread, paused and taken up again, also by the next server."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from safelight.app import Studio
from safelight.models.hub import Stopped
from safelight.models.orders import Order
from safelight.protocol.records import DownloadChanged, DownloadInfo
from safelight.sdk.problem import Problem, ProblemError

log = logging.getLogger(__name__)

_TELL = 0.25
_MOST = 200


@dataclass
class _Job:
    order: Order
    info: DownloadInfo
    confirmed: tuple[str, ...] = ()
    stop: threading.Event = field(default_factory=threading.Event)
    task: asyncio.Task[None] | None = None
    told: float = 0.0
    since: tuple[float, int] = (0.0, 0)


class Downloads:
    """`publish` is told of every change, `arrived` when a model has come; both on the event loop."""

    def __init__(
        self, studio: Studio, publish: Callable[[DownloadChanged], object], arrived: Callable[[], object]
    ) -> None:
        self._studio = studio
        self._publish = publish
        self._arrived = arrived
        self._jobs: dict[str, _Job] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="downloads")
        self._closing = False

    async def open(self) -> None:
        """What earlier servers have begun is there again, paused."""
        for part, there in await asyncio.to_thread(self._studio.models.manager.begun):
            order = part.order
            info = DownloadInfo(
                id=order.id,
                url=order.url,
                status="paused",
                name=part.name,
                folder=order.folder,
                done=there,
                total=part.total,
            )
            self._jobs.setdefault(order.id, _Job(order, info))

    async def close(self) -> None:
        """Stops all; what has arrived stays for the next server."""
        self._closing = True
        for job in self._jobs.values():
            job.stop.set()
        await asyncio.to_thread(self._threads.shutdown, wait=False, cancel_futures=True)
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=2)

    def listed(self) -> list[DownloadInfo]:
        return [job.info for job in self._jobs.values()]

    async def begin(self, order: Order, confirmed: tuple[str, ...] = ()) -> DownloadInfo:
        """Fetches a model, or goes on with it; one that goes on already is left alone.

        Raises:
            ProblemError: it may not be fetched, or too many are.
        """
        await asyncio.to_thread(self._studio.models.manager.check, order, confirmed)
        job = self._jobs.get(order.id)
        if job is None and sum(one.info.status == "queued" for one in self._jobs.values()) >= _MOST:
            message = f"{_MOST} downloads wait already."
            raise ProblemError(Problem(code="download_busy", message=message, hint="Wait for some of them."))
        if job is not None and job.info.status in ("queued", "running"):
            return job.info
        info = DownloadInfo(id=order.id, url=order.url, status="queued", name=order.name, folder=order.folder)
        if job is not None:
            info = msgspec.structs.replace(job.info, status="queued", problem=None, rate=0.0)
        job = _Job(order, info, confirmed)
        self._jobs[order.id] = job
        job.task = asyncio.create_task(self._run(job), name="download")
        self._tell(job)
        return job.info

    async def resume(self, name: str) -> DownloadInfo:
        job = self._job(name)
        return await self.begin(job.order, job.confirmed)

    async def pause(self, name: str) -> DownloadInfo:
        """Stops one; what has arrived is kept."""
        job = self._job(name)
        await self._stop(job)
        return job.info

    async def remove(self, name: str) -> None:
        """Stops one and forgets it, with what has arrived; a model that is whole stays."""
        job = self._job(name)
        await self._stop(job)
        if job.info.status != "done":
            await asyncio.to_thread(self._studio.models.manager.forget, job.order)
        self._jobs.pop(name, None)
        self._publish(DownloadChanged(download=job.info, removed=True))

    def _job(self, name: str) -> _Job:
        job = self._jobs.get(name)
        if job is None:
            message = f"There is no download {name!r}."
            raise ProblemError(Problem(code="download_missing", message=message, hint="", value=name))
        return job

    async def _stop(self, job: _Job) -> None:
        job.stop.set()
        if job.info.status == "queued":
            self._tell(job, status="paused")
        if job.task is not None and not job.task.done() and job.info.status == "running":
            # A server that sends nothing is waited for as long as any read of it.
            await asyncio.wait([job.task], timeout=35)

    async def _run(self, job: _Job) -> None:
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            if job.stop.is_set():
                raise Stopped
            loop.call_soon_threadsafe(self._progress, job, done, total)

        def work() -> str:
            if job.stop.is_set():
                raise Stopped
            loop.call_soon_threadsafe(self._start, job)
            return self._studio.models.manager.fetch(job.order, job.confirmed, progress)

        try:
            model = await loop.run_in_executor(self._threads, work)
        except (Stopped, asyncio.CancelledError):
            self._tell(job, status="paused", rate=0.0)
        except ProblemError as error:
            if job.stop.is_set():  # libraries wrap what stopped them
                self._tell(job, status="paused", rate=0.0)
            else:
                self._tell(job, status="failed", rate=0.0, problem=error.problems[0])
        except Exception as error:
            log.exception("the download of %s failed", job.order.url)
            problem = Problem(code="download_failed", message=f"{job.order.url} could not be downloaded: {error}")
            self._tell(job, status="failed", rate=0.0, problem=problem)
        else:
            total = max(job.info.total, job.info.done)
            self._tell(job, status="done", model=model, rate=0.0, done=total, total=total)
            self._arrived()

    def _start(self, job: _Job) -> None:
        job.since = (time.monotonic(), job.info.done)
        self._tell(job, status="running")

    def _progress(self, job: _Job, done: int, total: int) -> None:
        now = time.monotonic()
        if job.info.status != "running" or now - job.told < _TELL:
            return
        began, before = job.since
        if done < before or job.info.done == 0:
            job.since = began, before = now, done
        rate = (done - before) / (now - began) if now > began else 0.0
        self._tell(job, done=done, total=total, rate=round(rate))

    def _tell(self, job: _Job, **changes: object) -> None:
        job.told = time.monotonic()
        job.info = msgspec.structs.replace(job.info, **changes)
        if not self._closing:
            self._publish(DownloadChanged(download=job.info))
