"""The process that talks to Ray. `python -m safelight.host.workers.cluster.bridge` starts it.

It is a process of its own because Ray ends its drivers when the cluster's head is gone for long: the server outlives
that, and starts another bridge. When the server is gone, so is the bridge, and with it its actors.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from safelight.app import Budgets, Studio
from safelight.environment import Environment
from safelight.host.logs import start_logging
from safelight.media.registry import load_media
from safelight.sdk.problem import Problem

from .demands import STORE_BYTES, is_open
from .files import Inputs, Kept
from .relay import Ground, Relay
from .station import Station
from .wire import (
    BridgeMessage,
    Close,
    Connect,
    Connected,
    Open,
    Place,
    Places,
    Refused,
    Send,
    ToBridge,
    packed,
    read_told,
)

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
_SHOWN_BYTES = 32 << 20
"""Of what nodes show, in this process's memory; all of it is in the server's cache on disk."""
_END_SECONDS = 10.0
_LOST_SECONDS = 60.0
"""For so long looks at the cluster may fail, or be without an answer, one after the other."""
_KNOCK_SECONDS = 60.0
_KNOCK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1]).get_all_node_info()"


class Bridge:
    """From the first message to the end of the process."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._relays: dict[str, tuple[Relay, asyncio.Task[None]]] = {}
        self._places: list[Place] = []
        self._local = False
        self._loop: asyncio.AbstractEventLoop
        self._told: asyncio.Queue[ToBridge | None]

    async def serve(self) -> None:
        """Works until the server is gone."""
        connect = await asyncio.to_thread(read_told, self._source)
        if not isinstance(connect, Connect):
            return
        self._loop, self._told = asyncio.get_running_loop(), asyncio.Queue()
        threading.Thread(target=self._read, daemon=True, name="read").start()
        self._local = connect.address == "local"
        problem = await asyncio.to_thread(_join, connect.address)
        if problem is not None:
            self._tell(Refused(problem=problem))
            return
        # What stops a server's whole group of processes must not cut off runs that are to stop at a step. Ray has taken
        # this signal for itself by now.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._tell(Connected())
        ground = self._ground(connect)
        await asyncio.to_thread(ground.kept.tidy)
        looking = asyncio.create_task(self._look())
        while (message := await self._told.get()) is not None and not looking.done():
            self._do(ground, message)
        self._end()  # not by returning: a thread that waits for Ray would hold that up

    def _do(self, ground: Ground, message: ToBridge) -> None:
        if isinstance(message, Open):
            relay = Relay(ground, message)
            task = asyncio.create_task(relay.live(), name=f"relay {message.worker}")
            self._relays[message.worker] = relay, task
            task.add_done_callback(lambda _: self._relays.pop(message.worker, None))
        elif isinstance(message, Send | Close):
            known = self._relays.get(message.worker)
            if known is None:
                return
            if isinstance(message, Send):
                known[0].send(message.data)
            else:
                known[1].cancel()

    def _ground(self, connect: Connect) -> Ground:
        ray, errors = _library(), _library("ray.exceptions")
        affinity = _library("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        actor = ray.remote(Station)

        def start(opened: Open) -> Any:
            place = opened.place
            there = affinity(place.node, soft=False)
            # A run that was cut off is not repeated by Ray: it goes on at its checkpoint, wherever the queue gives it.
            options: dict[str, Any] = {"max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": there}
            return actor.options(num_cpus=1, num_gpus=int(place.gpu >= 0), max_concurrency=32, **options).remote()

        def end(handle: Any) -> None:
            with contextlib.suppress(Exception):  # it is gone already
                ray.kill(handle)

        home = Path(connect.home)
        return Ground(
            start=start,
            end=end,
            out_of_reach=(errors.ActorUnavailableError,),
            dead=(errors.RayError,),
            tell=self._tell,
            share=lambda node: max(1, sum(place.node == node for place in self._places)),
            output=home / "output",
            inputs=Inputs((*map(Path, connect.inputs), home / "input"), frozenset(connect.readers)),
            kept=Kept(home / "cluster" / "states"),
            media=functools.cache(load_media),
            threads=connect.threads,
            patience=connect.patience,
            start_seconds=connect.start,
            shown=Studio.open(home, budgets=Budgets(_SHOWN_BYTES, connect.disk), shared_cache="").cache.put_bytes,
        )

    async def _look(self) -> None:
        """Watches who joins and leaves. Ends when the cluster cannot be asked any more."""
        answered, asking = time.monotonic(), None
        while (left := answered + _LOST_SECONDS - time.monotonic()) > 0:
            asking = asking or asyncio.create_task(asyncio.to_thread(_places))
            await asyncio.wait([asking], timeout=left)
            if asking.done():
                if (error := asking.exception()) is not None:
                    log.warning("the cluster cannot be asked for its machines: %s", error)
                else:
                    answered = time.monotonic()
                    if (found := asking.result()) != self._places:
                        self._places = found
                        self._tell(Places(places=found))
                asking = None
                await asyncio.sleep(LOOK_SECONDS)
        self._told.put_nowait(None)

    def _read(self) -> None:
        while True:
            try:
                message = read_told(self._source)
            except (OSError, ValueError):
                message = None
            if message is None:
                self._end()
            self._loop.call_soon_threadsafe(self._told.put_nowait, message)

    def _end(self) -> None:
        """The server or the cluster is gone. Ray ends the actors of a driver that has ended; a cluster of our own is
        ended here."""
        if self._local:
            late = threading.Timer(_END_SECONDS, lambda: os._exit(0))
            late.daemon = True
            late.start()
            _library().shutdown()
        os._exit(0)

    def _tell(self, message: BridgeMessage) -> None:
        try:
            self._sink.write(packed(message))
            self._sink.flush()
        except (OSError, ValueError):
            os._exit(0)


def _library(name: str = "ray") -> Any:
    """Ray, which is not installed everywhere where this code is looked at."""
    return import_module(name)


def _join(address: str) -> Problem | None:
    """Joins the cluster, or starts one of this machine (`local`). Gives what is wrong with it."""
    ray = _library()
    given: dict[str, Any] = {"address": address}
    if address == "local":
        given |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(namespace="safelight", logging_level=logging.WARNING, log_to_driver=True, **given)
        if _lets_anybody_in(ray.get_runtime_context().gcs_address):
            return is_open(f"The cluster at {address} lets in whoever has no token.")
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        hint = "Is it up, is this machine one of it (`ray start --address ...`), and has it the same token?"
        message = f"The cluster at {address!r} cannot be joined: {' '.join(lines)[:400] or type(error).__name__}"
        return Problem(code="cluster_unreachable", message=message, hint=hint, value=address)
    return None


def _lets_anybody_in(address: str) -> bool:
    """Knocks without a token. What our own environment says tells nothing of what the cluster asks for."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment["RAY_AUTH_MODE"] = "disabled"
    environment["HOME"] = "/nonexistent"  # where Ray would look for a token
    knock = subprocess.run(
        [sys.executable, "-P", "-c", _KNOCK, address],
        env=environment,
        timeout=_KNOCK_SECONDS,
        check=False,
        capture_output=True,
    )
    return knock.returncode == 0


def _places() -> list[Place]:
    """Room for workers: one a GPU, or one a machine without. A machine that offers neither takes part in nothing."""
    ray = _library()
    found: list[Place] = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        offers = node["Resources"]
        cards = int(offers.get("GPU", 0))
        host = str(node.get("NodeManagerHostname") or node.get("NodeManagerAddress") or socket.gethostname())
        if cards:
            found += [Place(node["NodeID"], number, host) for number in range(cards)]
        elif offers.get("CPU", 0) >= 1:
            found.append(Place(node["NodeID"], -1, host))
    return sorted(found)


def main() -> None:
    """Takes over standard input and output for messages; whatever prints writes to standard error from now on."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    # Ctrl-C reaches every process of a terminal; the server alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start_logging(Environment.read().log)
    asyncio.run(Bridge(source, sink).serve())
    os._exit(0)


if __name__ == "__main__":
    main()
