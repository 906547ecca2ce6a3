"""What one server carries: simulated workers, a queue of thousands, and how soon a run begins.

    python -m benchmarks.scale [--workers 1000] [--runs 10000] [--seconds 30]

The server is the real one with its queue, database, event stream and dispatcher; only the workers are simulated: they
tell what real ones tell of a run of six nodes with twenty steps, and compute nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web

from safelight.engine import NodeFinished, NodeProgress, NodeStarted, RunFinished, RunStarted
from safelight.engine.result import NodeReport
from safelight.host.files import Folders
from safelight.host.host import Host, HostOptions
from safelight.host.workers import Begin, Ended, PoolListener
from safelight.http.application import application
from safelight.http.security import Guard
from safelight.http.state import State
from safelight.protocol.records import Device, WorkerInfo

NODES = ("model", "prompt", "empty", "sample", "decode", "save")
STEPS = 20
PROBES, PROBE_RATE = 200, 20.0
DOCUMENT = {
    "format": "safelight/1",
    "name": "scale",
    "nodes": {
        "a": {"type": "values.integer", "values": {"value": 1}},
        "b": {"type": "values.integer", "values": {"value": 2}},
        "sum": {"type": "values.calculate"},
    },
    "links": [{"from": "a.value", "to": "sum.a"}, {"from": "b.value", "to": "sum.b"}],
    "inputs": [{"name": "seed", "to": "a.value"}],
    "outputs": [{"name": "sum", "from": "sum.value"}],
}


class SimulatedPool:
    """Implements `Pool`: each worker is a timer."""

    shares = True

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._idle = {f"w{number}": None for number in range(1, count + 1)}
        self._infos = {name: self._info(name, None) for name in self._idle}
        self._listener: PoolListener | None = None
        self._chance = random.Random(0)
        self._tasks: set[asyncio.Task[None]] = set()

    def _info(self, name: str, run: str | None) -> WorkerInfo:
        state = "busy" if run else "idle"
        return WorkerInfo(id=name, state=state, device="simulated", place=f"cuda:{name[1:]}", run=run)

    async def start(self, listener: PoolListener) -> None:
        self._listener = listener
        for info in self._infos.values():
            listener.changed(info)

    def fault(self) -> str:
        return ""

    def idle(self) -> list[WorkerInfo]:
        return [self._infos[name] for name in self._idle]

    def begin(self, worker: str, begin: Begin) -> bool:
        del self._idle[worker]
        task = asyncio.create_task(self._run(worker, begin))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _run(self, worker: str, begin: Begin) -> None:
        listener, run = self._listener, begin.run
        assert listener is not None
        self._infos[worker] = self._info(worker, run)
        listener.changed(self._infos[worker])
        listener.told(run, begin.attempt, [RunStarted(run=run, nodes=NODES)])
        seconds = self._seconds * self._chance.uniform(0.8, 1.2)
        for node in NODES:
            listener.told(run, begin.attempt, [NodeStarted(run=run, node=node)])
            if node == "sample":
                for step in range(STEPS):
                    await asyncio.sleep(seconds / STEPS)
                    told = NodeProgress(run=run, node=node, step=step + 1, total=STEPS)
                    listener.told(run, begin.attempt, [told])
            done = NodeFinished(run=run, node=node, cached=False, seconds=0.1, bytes=0, files=(), values={})
            listener.told(run, begin.attempt, [done])
        listener.told(run, begin.attempt, [RunFinished(run=run, status="done", seconds=seconds)])
        self._infos[worker] = self._info(worker, None)
        self._idle[worker] = None
        listener.ended(
            Ended(
                run=run,
                attempt=begin.attempt,
                status="done",
                seconds=seconds,
                nodes={node: NodeReport(status="ran", seconds=0.1) for node in NODES},
                outputs={},
                files=[],
                problems=[],
            )
        )
        listener.changed(self._infos[worker])

    def numerics(self) -> str:
        return ""

    def parts(self) -> int:
        return 0

    def stop_parts(self, wanted: Callable[[WorkerInfo], bool]) -> None: ...
    def stop_run(self, run: str, *, hard: bool, grace: float) -> bool:
        del run, hard, grace
        return False

    def watch(self, run: str, watched: bool) -> None: ...
    def free(self, *, cache: bool = False) -> None: ...
    def renew(self) -> None: ...
    def workers(self) -> list[WorkerInfo]:
        return list(self._infos.values())

    def devices(self) -> list[Device]:
        return []

    async def stop(self, grace: float) -> None:
        del grace
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def serve(home: Path, workers: int, seconds: float) -> None:
    options = HostOptions(home=home, workers=workers)
    host = Host(options, SimulatedPool(workers, seconds))
    guard = Guard.of("127.0.0.1", None, (), ())
    state = State(host=host, folders=Folders(host.studio, ()), guard=guard, web=None, loopback=True, comfyui=False)
    runner = web.AppRunner(application(state), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


async def measure(url: str, process: psutil.Process, runs: int) -> dict[str, Any]:
    begun: dict[str, float] = {}
    ended: set[str] = set()
    async with aiohttp.ClientSession() as session:
        listening = asyncio.create_task(_listen(session, url, begun, ended))
        await asyncio.sleep(1.0)
        quiet = await _probes(session, url, begun)
        body = {"document": DOCUMENT, "sweep": {"seed": list(range(runs))}}
        started = time.perf_counter()
        async with session.post(f"{url}/api/v1/runs/batch", json=body) as response:
            assert response.status == 201, await response.text()
            accepted = set((await response.json())["runs"])
        accept = time.perf_counter() - started
        before, clock = sum(process.cpu_times()[:2]), time.perf_counter()
        busy: list[float] = []
        while len(ended & accepted) < len(accepted):
            await asyncio.sleep(1.0)
            now, then = sum(process.cpu_times()[:2]), time.perf_counter()
            busy.append((now - before) / (then - clock))
            before, clock = now, then
        drained = time.perf_counter() - started
        memory = process.memory_info().rss
        after = await _probes(session, url, begun)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    return {
        "accept": accept,
        "drained": drained,
        "rate": runs / drained,
        "cpu": statistics.fmean(busy),
        "cpu_most": max(busy),
        "memory": memory >> 20,
        "start_p50": statistics.median(quiet) * 1e3,
        "start_p99": _p99(quiet) * 1e3,
        "after_p99": _p99(after) * 1e3,
    }


async def _probes(session: aiohttp.ClientSession, url: str, begun: dict[str, float]) -> list[float]:
    """Seconds from the request to the event that says that the run has begun, on a server that has idle workers."""
    asked: dict[str, float] = {}
    for number in range(PROBES):
        at = time.perf_counter()
        body = {"document": DOCUMENT, "inputs": {"seed": 1_000_000 + number}}
        async with session.post(f"{url}/api/v1/runs", json=body) as response:
            assert response.status == 201, await response.text()
            asked[(await response.json())["id"]] = at
        await asyncio.sleep(max(0.0, 1 / PROBE_RATE - (time.perf_counter() - at)))
    while not asked.keys() <= begun.keys():
        await asyncio.sleep(0.05)
    return [begun[run] - at for run, at in asked.items()]


async def _listen(session: aiohttp.ClientSession, url: str, begun: dict[str, float], ended: set[str]) -> None:
    async with session.ws_connect(f"{url}/api/v1/events", max_msg_size=0) as socket:
        async for message in socket:
            now = time.perf_counter()
            for event in json.loads(message.data).get("events", ()):
                data = event["data"]
                if data["event"] == "run_started":
                    begun.setdefault(data["run"], now)
                elif data["event"] == "run_changed" and data["run"]["finished"]:
                    ended.add(data["run"]["id"])


def _p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="what a run takes")
    parser.add_argument("--serve", type=Path, metavar="HOME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, given.workers, given.seconds))
        return
    with tempfile.TemporaryDirectory() as home:
        words = ["--serve", home, "--workers", str(given.workers), "--seconds", str(given.seconds)]
        with subprocess.Popen(
            [sys.executable, "-m", "benchmarks.scale", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None and server.stdin is not None
            url = server.stdout.readline().strip()
            found = asyncio.run(measure(url, psutil.Process(server.pid), given.runs))
            server.stdin.close()
    print(f"{given.workers:,} workers, {given.runs:,} runs of {given.seconds:g} s")
    for name, value in found.items():
        print(f"  {name:10} {value:10.3f}")


if __name__ == "__main__":
    main()
