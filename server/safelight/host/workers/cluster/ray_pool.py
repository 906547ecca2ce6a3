"""Workers on a Ray cluster: one for each GPU of its machines, one for each machine without, as they come and go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from safelight.engine import NodeFailed, NodeFinished, NodeStarted
from safelight.sdk.problem import Problem, ProblemError

from ..local_pool import LocalPool, PoolOptions
from ..local_worker import LocalWorker
from ..pool import PoolListener
from ..process import WorkerProcess
from ..wire import LENGTH, FromWorker, Told
from .remote_process import RemoteProcess
from .wire import (
    BridgeMessage,
    Close,
    Connect,
    Connected,
    FromBridge,
    Gone,
    Heard,
    Open,
    Opened,
    Place,
    Places,
    Refused,
    from_bridge,
    packed,
)

log = logging.getLogger(__name__)

_END_SECONDS = 15.0
_BACKOFF = (0.0, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class ClusterOptions:
    """How to use a cluster. `address` is as `ray.init` takes it: `auto`, `local`, `HOST:PORT`. In seconds: `patience`
    is how long a worker out of reach is waited for, `start` how long one may take to start, `join` how long joining
    may take. Machines are busy while they load what a worker needs, so all are long."""

    address: str = "auto"
    patience: float = 60.0
    start: float = 600.0
    join: float = 180.0


class RayPool(LocalPool):
    """Keeps workers as `LocalPool` does, but their processes are elsewhere: a bridge process reaches them.

    Nothing is shared by path. A run's inputs and checkpoints are sent before it, its files and checkpoints come back.
    """

    @property
    def shares(self) -> bool:
        return False

    def __init__(self, options: PoolOptions, cluster: ClusterOptions, readers: Sequence[str] = ()) -> None:
        """`readers` are the ids of nodes that read whole folders; these are sent to who computes them."""
        super().__init__(replace(options, count=0))
        self._cluster = cluster
        self._readers = tuple(readers)
        self._threads = options.threads
        self._places: dict[str, Place] = {}
        self._processes: dict[str, RemoteProcess] = {}
        self._nodes: dict[str, dict[str, None]] = {}
        """By worker: the nodes that it is at, the latest last."""
        self._count = 0
        self._bridge: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[None]
        self._fault = ""

    async def start(self, listener: PoolListener) -> None:
        """Joins the cluster.

        Raises:
            ProblemError: `cluster_unreachable`, `cluster_open`.
        """
        await super().start(listener)
        self._joined = asyncio.get_running_loop().create_future()
        self._keeping = asyncio.create_task(self._keep_bridge(), name="bridge to the cluster")
        try:
            await asyncio.wait_for(asyncio.shield(self._joined), self._cluster.join)
        except TimeoutError:
            await self.stop(0)
            message = f"The cluster at {self._cluster.address!r} did not answer within {self._cluster.join:g} seconds."
            raise ProblemError(Problem(code="cluster_unreachable", message=message)) from None
        except ProblemError:
            await self.stop(0)
            raise

    def numerics(self) -> str:
        """That of most workers: machines that differ have results of their own."""
        found = Counter(worker.numerics for worker in self._workers if worker.numerics)
        return found.most_common(1)[0][0] if found else ""

    def fault(self) -> str:
        return self._fault  # a cluster without workers may have some soon

    async def stop(self, grace: float) -> None:
        await super().stop(grace)
        if self._keeping is not None:
            self._keeping.cancel()
        bridge = self._bridge
        if bridge is not None and bridge.returncode is None:
            if bridge.stdin is not None:
                bridge.stdin.close()  # it ends by that, with a cluster of its own
            try:
                await asyncio.wait_for(bridge.wait(), _END_SECONDS)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    bridge.kill()
                await bridge.wait()

    # The bridge

    async def _keep_bridge(self) -> None:
        failed = 0
        while not self._stopping:
            connected = await self._cross()
            failed = 0 if connected else failed + 1
            self._all_gone()
            if self._stopping or (self._joined.done() and self._joined.exception() is not None):
                return
            log.warning("the cluster is out of reach: it is joined again")
            await asyncio.sleep(_BACKOFF[min(failed, len(_BACKOFF) - 1)])

    async def _cross(self) -> bool:
        """One life of the bridge. Says whether it has reached the cluster."""
        try:
            process = self._bridge = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "safelight.host.workers.cluster.bridge",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 20,
            )
        except OSError as error:
            self._fault = f"The process that talks to Ray cannot be started: {error}."
            log.error("%s", self._fault)
            return False
        setup = self._options.setup
        self._tell(
            Connect(
                address=self._cluster.address,
                home=setup.home,
                inputs=setup.inputs,
                disk=setup.disk,
                threads=self._threads,
                patience=self._cluster.patience,
                start=self._cluster.start,
                readers=self._readers,
            )
        )
        assert process.stdout is not None
        connected = False
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
                message = from_bridge.decode(await process.stdout.readexactly(length))
                connected = connected or isinstance(message, Connected)
                self._told(message)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if not connected and not self._fault:
            self._fault = "The process that talks to Ray ended; the log says why."
        return connected

    def _told(self, message: FromBridge) -> None:
        if isinstance(message, Heard):
            if (process := self._processes.get(message.worker)) is not None and process.returncode is None:
                process.stdout.feed_data(message.data)
        elif isinstance(message, Opened):
            if (process := self._processes.get(message.worker)) is not None:
                process.ran(message.pid)
        elif isinstance(message, Gone):
            if (process := self._processes.pop(message.worker, None)) is not None:
                process.gone(message)
        elif isinstance(message, Places):
            self._settle(message.places)
        elif isinstance(message, Connected):
            self._fault = ""
            if not self._joined.done():
                self._joined.set_result(None)
        elif isinstance(message, Refused):
            self._fault = message.problem.message
            log.error("%s", message.problem.message)
            if not self._joined.done():
                self._joined.set_exception(ProblemError(message.problem))

    def _tell(self, message: BridgeMessage) -> bool:
        bridge = self._bridge
        if bridge is None or bridge.stdin is None or bridge.returncode is not None or bridge.stdin.is_closing():
            return False
        bridge.stdin.write(packed(message))
        return True

    def _all_gone(self) -> None:
        self._settle([])
        for worker, process in list(self._processes.items()):
            process.gone(Gone(worker=worker, said="the cluster is out of reach."))
        self._processes.clear()

    # Workers that come and go

    def _settle(self, places: Sequence[Place]) -> None:
        """There are these places now: new ones get a worker, workers of others are ended and forgotten."""
        for worker, place in list(self._places.items()):
            if place not in places:
                del self._places[worker]
                if (process := self._processes.get(worker)) is not None:
                    self._tell(Close(worker=worker))
                    process.gone(Gone(worker=worker, said=f"{place.host} has left the cluster."))
        for worker in [one for one in self._workers if one.given_up]:
            self._forget(worker)
        known = set(self._places.values())
        for place in places:
            if place not in known and not self._stopping:
                self._count += 1
                worker = LocalWorker(f"w{self._count}")
                self._places[worker.id] = place
                self._workers.append(worker)
                worker.task = asyncio.create_task(self._keep(worker), name=f"worker {worker.id}")
                log.info("worker %s is on %s", worker.id, place.host)

    async def _keep(self, worker: LocalWorker) -> None:
        try:
            await super()._keep(worker)
        finally:
            self._forget(worker)

    def _forget(self, worker: LocalWorker) -> None:
        """Unless its place is still there, for which it may be started again."""
        if worker.id not in self._places and worker in self._workers:
            self._workers.remove(worker)
            self._nodes.pop(worker.id, None)

    def _wanted(self, worker: LocalWorker) -> bool:
        return worker.id in self._places

    async def _spawn(self, worker: LocalWorker) -> WorkerProcess:
        place = self._places.get(worker.id)
        if place is None:
            raise OSError("its machine has left the cluster")
        process = RemoteProcess(worker.id, self._tell)
        self._processes[worker.id] = process
        self._nodes[worker.id] = {}
        if not self._tell(Open(worker=worker.id, place=place)):
            raise OSError("the cluster is out of reach")
        await process.opened
        return process

    def _hear(self, worker: LocalWorker, message: FromWorker) -> None:
        if isinstance(message, Told):
            nodes = self._nodes.setdefault(worker.id, {})
            for event in message.events:
                if isinstance(event, NodeStarted):
                    nodes[event.node] = None
                elif isinstance(event, NodeFinished | NodeFailed):
                    nodes.pop(event.node, None)
        super()._hear(worker, message)

    def _node_of(self, worker: LocalWorker) -> str | None:
        return next(reversed(self._nodes.get(worker.id, {})), None)
