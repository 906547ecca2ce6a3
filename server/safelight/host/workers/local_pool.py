"""Worker processes on this machine: started, listened to, ended, and replaced when they die."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from safelight.protocol.records import Device, WorkerInfo

from .deaths import problem_of, why
from .local_worker import LocalWorker, State
from .machine import out_of_memory_kills
from .pool import PoolListener
from .process import LocalProcess, WorkerProcess, exit_code
from .whereabouts import read
from .wire import (
    LENGTH,
    MAX_FRAME,
    Beat,
    Begin,
    Ended,
    Free,
    Freed,
    FromWorker,
    Helped,
    Logged,
    Message,
    Preview,
    Quit,
    Ready,
    Setup,
    Stop,
    Told,
    Warm,
    Watched,
    frame,
    from_worker,
)

log = logging.getLogger(__name__)

PART_GRACE = 10.0
"""Seconds after which a helper that does not stop is ended."""
SILENCE_SECONDS = 120.0
"""A worker that is silent for so long is ended. Nodes that hold the interpreter lock may be, for a while."""
_BACKOFF = (0.0, 0.0, 0.5, 2.0, 5.0, 15.0, 30.0)
_QUICK_DEATH = 10.0
_LAST_MOMENT = 2.0
_LAST_WORDS = 0.5
"""Seconds for what a worker that has ended had still written into its pipe."""
_STARTS = 8
"""A worker that has ended so often in a row before it was ready is not started again."""


@dataclass(frozen=True)
class PoolOptions:
    """How to start workers. `threads` is the number of processor threads each may use (0: share the machine); `devices`
    are dealt among them in turn, where there are any."""

    setup: Setup
    count: int = 1
    devices: tuple[str, ...] = ()
    threads: int = 0
    silence: float = SILENCE_SECONDS


class LocalPool:
    """Worker processes on this machine; each that dies is replaced."""

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        given = options.devices or ("",)
        self._workers = [LocalWorker(f"w{one + 1}", given[one % len(given)]) for one in range(options.count)]
        self._listener: PoolListener | None = None
        self._stopping = False
        self._watchdog: asyncio.Task[None] | None = None

    async def start(self, listener: PoolListener) -> None:
        self._listener = listener
        for worker in self._workers:
            worker.task = asyncio.create_task(self._keep(worker), name=f"worker {worker.id}")
        self._watchdog = asyncio.create_task(self._watch_silence(), name="worker watchdog")

    def renew(self) -> None:
        for worker in self._workers:
            worker.stale = worker.process is not None
            if worker.given_up and not self._stopping:
                worker.given_up, worker.failed_starts, worker.quick_deaths = False, 0, 0
                worker.task = asyncio.create_task(self._keep(worker), name=f"worker {worker.id}")
            elif worker.state == "idle":
                self._retire(worker)

    def _retire(self, worker: LocalWorker) -> None:
        self._send(worker, Quit())
        self._set(worker, "stopping")

    def workers(self) -> list[WorkerInfo]:
        return [worker.info() for worker in self._workers]

    def devices(self) -> list[Device]:
        return list({worker.device.name: worker.device for worker in self._workers if worker.device.name}.values())

    @property
    def shares(self) -> bool:
        return len(self._workers) > 1

    def numerics(self) -> str:
        return ""  # that of this machine

    def fault(self) -> str:
        return self._workers[0].note if all(worker.given_up for worker in self._workers) else ""

    def idle(self) -> list[WorkerInfo]:
        return [worker.info() for worker in self._workers if worker.takes_runs and not self._stopping]

    def begin(self, worker: str, begin: Begin) -> bool:
        found = next((one for one in self._workers if one.id == worker), None)
        if found is None or not found.takes_runs or self._stopping or not self._send(found, begin):
            return False
        found.run, found.attempt, found.part = begin.run, begin.attempt, begin.part
        found.runs += 1
        self._set(found, "busy")
        return True

    def stop_run(self, run: str, *, hard: bool, grace: float) -> bool:
        worker = next((one for one in self._workers if one.run == run and not one.part), None)
        if worker is None:
            return False
        for helper in self._workers:
            if helper.part and helper.run == run:
                self._stop(helper, hard, grace)
        self._stop(worker, hard, grace)
        return True

    def parts(self) -> int:
        return sum(worker.part and worker.run is not None for worker in self._workers)

    def stop_parts(self, wanted: Callable[[WorkerInfo], bool]) -> None:
        for worker in self._workers:
            if worker.part and worker.run is not None and worker.timer is None and wanted(worker.info()):
                self._stop(worker, False, PART_GRACE)

    def _stop(self, worker: LocalWorker, hard: bool, grace: float) -> None:
        """Has a worker stop what it does: at its next step, and when that does not come, or with `hard`, by its end."""
        run, attempt = worker.run, worker.attempt
        if hard or run is None:
            self._kill(worker, "cancelled")
            return
        self._send(worker, Stop(run=run))

        def give_up() -> None:
            if worker.run == run and worker.attempt == attempt:
                log.warning("run %s did not stop within %g s: its worker is ended", run, grace)
                self._kill(worker, "cancelled")

        worker.settle()
        worker.timer = asyncio.get_running_loop().call_later(grace, give_up)

    def watch(self, run: str, watched: bool) -> None:
        for worker in self._workers:
            if worker.run == run:
                self._send(worker, Watched(previews=watched))

    def free(self, *, cache: bool = False) -> None:
        for worker in self._workers:
            if worker.state in ("idle", "busy"):
                self._send(worker, Free(cache=cache))

    async def stop(self, grace: float) -> None:
        self._stopping = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        for worker in self._workers:
            if worker.run is not None:
                self._send(worker, Stop(run=worker.run))
            self._send(worker, Quit())
        tasks = [worker.task for worker in self._workers if worker.task is not None]
        if tasks:
            starting = all(worker.state in ("starting", "dead") for worker in self._workers)
            await asyncio.wait(tasks, timeout=0.1 if starting else grace)
        for worker in self._workers:
            self._kill(worker, "stopped")
            if worker.task is not None and worker.process is None:
                worker.task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=10)

    # One worker

    async def _keep(self, worker: LocalWorker) -> None:
        """Starts a worker and, when it dies, another in its place."""
        while not self._stopping and self._wanted(worker):
            try:
                await self._live(worker)
            except OSError as error:
                log.error("worker %s cannot be started: %s", worker.id, error)
                worker.note = f"It cannot be started: {error}."
                worker.quick_deaths += 1
                worker.failed_starts += 1
            if self._stopping or not self._wanted(worker):
                break
            if worker.failed_starts >= _STARTS:
                worker.note = f"A worker ended {_STARTS} times before it was ready. The last time {worker.note}"
                log.error("worker %s is given up: %s", worker.id, worker.note)
                worker.given_up = True
                break
            worker.restarts += 1
            pause = _BACKOFF[min(worker.quick_deaths, len(_BACKOFF) - 1)]
            self._set(worker, "dead")
            await asyncio.sleep(pause)
        worker.process = None
        self._set(worker, "dead")

    def _wanted(self, worker: LocalWorker) -> bool:
        """Whether a worker that has ended is to be started again."""
        del worker
        return True

    async def _live(self, worker: LocalWorker) -> None:
        worker.killed, worker.warm, worker.run, worker.stale = "", False, None, False
        worker.models, worker.part = (), False
        worker.kills_before = out_of_memory_kills()
        worker.started, worker.heard = time.time(), time.monotonic()
        process = await self._spawn(worker)
        worker.process = process
        self._set(worker, "starting")
        self._send(worker, msgspec.structs.replace(self._options.setup, worker=worker.id))
        worker.failed_starts += 1  # until it says that it is ready
        listening = asyncio.create_task(self._listen(worker, process.stdout))
        ended = asyncio.create_task(exit_code(process))
        try:
            # A process that the worker has forked keeps its pipe open: that it has ended is seen of itself alone.
            await asyncio.wait((listening, ended), return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await asyncio.wait((listening,), timeout=_LAST_WORDS)
            else:
                # Its pipe is closed, so it is about to end: how, is worth a moment.
                await asyncio.wait((ended,), timeout=_LAST_MOMENT)
        finally:
            listening.cancel()
            if not ended.done():
                process.end()
            code = await ended
            process.close()
            self._buried(worker, process, code)

    async def _spawn(self, worker: LocalWorker) -> WorkerProcess:
        """A process that waits for its `Setup`. Raises OSError where none can be started."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the folder that the server was started in holds no code of ours
            "-m",
            "safelight.host.workers.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
            env=self._environment(worker),
        )
        return LocalProcess(process)

    def _environment(self, worker: LocalWorker) -> dict[str, str]:
        threads = self._options.threads or max(1, (os.cpu_count() or 1) // self._options.count)
        environment = dict(os.environ)
        environment.setdefault("OMP_NUM_THREADS", str(threads))
        environment["PYTHONUNBUFFERED"] = "1"
        if worker.given:
            environment["SAFELIGHT_DEVICE"] = worker.given
        return environment

    async def _listen(self, worker: LocalWorker, stdout: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = LENGTH.unpack(await stdout.readexactly(LENGTH.size))
                if length > MAX_FRAME:
                    log.error("worker %s sent a frame of %d bytes", worker.id, length)
                    return
                body = await stdout.readexactly(length)
                worker.heard = time.monotonic()
                self._heard(worker, body)

    def _heard(self, worker: LocalWorker, body: bytes) -> None:
        try:
            message = from_worker.decode(body)
        except msgspec.DecodeError as error:
            log.error("worker %s sent what cannot be read: %s", worker.id, error)
            return
        self._hear(worker, message)

    def _hear(self, worker: LocalWorker, message: FromWorker) -> None:
        listener = self._listener
        assert listener is not None
        if isinstance(message, Told):
            listener.told(message.run, message.attempt, message.events)
        elif isinstance(message, Preview):
            listener.shown(message)
        elif isinstance(message, Logged):
            listener.logged(message)
        elif isinstance(message, Beat):
            worker.memory = message.memory
            worker.cache, worker.hits, worker.misses = message.cache, message.hits, message.misses
            worker.device = msgspec.structs.replace(worker.device, free=message.free)
        elif isinstance(message, Ended):
            worker.settle()
            worker.run, worker.models = None, message.models
            worker.quick_deaths = 0
            listener.ended(message)
            self._rest(worker)
        elif isinstance(message, Helped):
            stopped = worker.settle()
            attempt = worker.attempt
            worker.run, worker.models, worker.part = None, message.models, False
            worker.quick_deaths = 0
            listener.helped(message.run, attempt, "stopped" if stopped else "done")
            self._rest(worker)
        elif isinstance(message, Ready):
            worker.failed_starts = 0
            self._rest(worker)
        elif isinstance(message, Warm):
            worker.warm, worker.place, worker.numerics = True, message.place, message.numerics
            kind = message.device.partition(":")[0]
            worker.device = Device(name=message.device, kind=kind, memory=message.memory, free=message.free)
            worker.note = ""
            log.info("worker %s is warm after %.1f s (%s)", worker.id, message.seconds, message.device)
            self._set(worker, worker.state)
        elif isinstance(message, Freed):
            worker.memory = message.memory
            self._set(worker, worker.state)

    def _rest(self, worker: LocalWorker) -> None:
        if worker.stale:
            self._retire(worker)
        else:
            self._set(worker, "idle")

    def _node_of(self, worker: LocalWorker) -> str | None:
        """The node that a worker was at when it ended, where that is known."""
        return read(Path(self._options.setup.home), worker.id)

    def _buried(self, worker: LocalWorker, process: WorkerProcess, code: int) -> None:
        """A worker has ended: tells of it, and of the run that it was busy with."""
        stopped = worker.settle()
        run, worker.run = worker.run, None
        lived = time.time() - worker.started
        killed = sys.platform != "win32" and code == -signal.SIGKILL and not worker.killed
        starved = process.starved or (killed and out_of_memory_kills() > worker.kills_before)
        asked = self._stopping or (worker.state == "stopping" and code == 0)
        worker.note = "" if asked else process.said or why(code, worker.killed, starved=starved)
        if not asked:
            log.warning("worker %s ended: %s", worker.id, worker.note, extra={"run": run} if run else None)
            worker.quick_deaths = worker.quick_deaths + 1 if lived < _QUICK_DEATH else 0
        if run is not None and not worker.part and self._listener is not None:
            problem = problem_of(worker.note, self._node_of(worker), starved=starved)
            self._listener.died(run, worker.attempt, problem)
        elif run is not None and self._listener is not None:
            self._listener.helped(run, worker.attempt, "stopped" if stopped else "died")

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for worker in self._workers:
                if worker.process is not None and worker.state != "dead" and now - worker.heard > self._options.silence:
                    self._kill(worker, f"it said nothing for {self._options.silence:g} seconds.")

    def _kill(self, worker: LocalWorker, why: str) -> None:
        process = worker.process
        if process is not None and process.returncode is None:
            worker.killed = why
            process.end()

    def _send(self, worker: LocalWorker, message: Message) -> bool:
        return worker.process is not None and worker.process.send(frame(message))

    def _set(self, worker: LocalWorker, state: State) -> None:
        worker.state = state
        if self._listener is not None:
            self._listener.changed(worker.info())
