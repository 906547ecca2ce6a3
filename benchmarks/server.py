"""The server with the starter model: from the start to the finished image, and what it does meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from .table import Row

RATE = 50
SECONDS = 5.0
READS = (
    "/api/v1/queue",
    "/api/v1/runs?limit=20",
    "/api/v1/runs/r1",
    "/api/v1/workflows",
    "/api/v1/gallery?limit=50",
    "/healthz",
)


class _Server:
    def __init__(self, home: Path) -> None:
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "safelight", "serve", "--port", "0"],
            env={**os.environ, "SAFELIGHT_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip().rpartition(" ")[2]
        self.seconds = time.perf_counter() - started

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        starts: list[float] = []
        for _ in range(5):
            server = _Server(home)
            starts.append(server.seconds)
            server.stop()
        took = statistics.median(starts)
        yield Row("server ready (median of 5)", f"{took:.2f} s", "≤ 1.0 s", took <= 1.0)
        server = _Server(home)
        try:
            yield from asyncio.run(_with(server.url))
        finally:
            server.stop()


async def _with(url: str) -> list[Row]:
    async with aiohttp.ClientSession() as session:
        while "idle" not in {worker["state"] for worker in (await _get(session, f"{url}/api/v1/system"))["workers"]}:
            await asyncio.sleep(0.2)
        first, images = [], []
        for seed in range(7):
            started, finished = await _image(session, url, seed)
            if seed > 1:  # the model is loaded by then
                first.append(started)
                images.append(finished)
        begin, image = statistics.median(first) * 1e3, statistics.median(images)
        after = max([await _cancel(session, url) for _ in range(5)])
        reads, lag = await _reads(session, url)
        p99 = statistics.quantiles(reads, n=100)[98] * 1e3
        return [
            Row("submit → event of the first node, warm", f"{begin:.1f} ms", "≤ 20 ms", begin <= 20),
            Row("prompt → finished PNG over HTTP, warm", f"{image:.2f} s", "≤ 1.5 s", image <= 1.5),
            Row("steps after a cancel was answered", str(after), "≤ 1", after <= 1),
            Row(f"reads at {RATE}/s while sampling, p99", f"{p99:.1f} ms", "≤ 10 ms", p99 <= 10),
            Row("event loop late at worst, while sampling", f"{lag * 1e3:.1f} ms", "≤ 50 ms", lag <= 0.05),
        ]


async def _image(session: aiohttp.ClientSession, url: str, seed: int) -> tuple[float, float]:
    """Seconds to the first node's event, and to the last byte of the image."""
    async with session.ws_connect(f"{url}/api/v1/events") as socket:
        await socket.receive()
        await socket.receive()
        started = time.perf_counter()
        body = {"workflow": "text_to_image", "inputs": {"prompt": "a red apple", "seed": seed}}
        async with session.post(f"{url}/api/v1/runs", json=body) as response:
            run = (await response.json())["id"]
        first = 0.0
        async for message in socket:
            for event in json.loads(message.data)["events"]:
                data = event["data"]
                if not first and data["event"] == "node_started":
                    first = time.perf_counter() - started
                if data["event"] == "run_changed" and data["run"]["id"] == run and data["run"]["finished"]:
                    assert data["run"]["status"] == "done", data["run"]["problems"]
                    async with session.get(url + data["run"]["files"][0]["url"]) as image:
                        assert (await image.read()).startswith(b"\x89PNG")
                    return first, time.perf_counter() - started
    raise ConnectionError("the server went away")


async def _cancel(session: aiohttp.ClientSession, url: str) -> int:
    """How many steps the sampler still took after the cancel was answered; the one under way is one."""
    async with session.ws_connect(f"{url}/api/v1/events") as socket:
        body = {"workflow": "text_to_image", "inputs": {"prompt": "a blue cup", "steps": 150}}
        async with session.post(f"{url}/api/v1/runs", json=body) as response:
            run = (await response.json())["id"]
        answered: asyncio.Task[None] | None = None
        after = 0

        async def cancel() -> None:
            async with session.post(f"{url}/api/v1/runs/{run}/cancel", json={}) as response:
                assert response.status == 200

        async for message in socket:
            for event in json.loads(message.data).get("events", ()):
                data = event["data"]
                if data["event"] == "node_progress" and data["run"] == run:
                    if answered is None and data["step"] >= 5:
                        answered = asyncio.create_task(cancel())
                    after += answered is not None and answered.done()
                if data["event"] == "run_changed" and data["run"]["id"] == run and data["run"]["finished"]:
                    assert data["run"]["status"] == "cancelled"
                    return after
    raise ConnectionError("the server went away")


async def _reads(session: aiohttp.ClientSession, url: str) -> tuple[list[float], float]:
    """Times of reads at a steady rate while a worker samples, and the worst delay of the server's event loop."""
    body = {"workflow": "text_to_image", "sweep": {"seed": list(range(1000, 1200))}}
    async with session.post(f"{url}/api/v1/runs/batch", json=body) as response:
        assert response.status == 201
    await asyncio.sleep(1)
    times: list[float] = []

    async def read(path: str) -> None:
        started = time.perf_counter()
        async with session.get(url + path) as response:
            await response.read()
        times.append(time.perf_counter() - started)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    waiting: list[asyncio.Task[None]] = []
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, begun + number / RATE - loop.time()))
        waiting.append(asyncio.create_task(read(READS[number % len(READS)])))
    await asyncio.gather(*waiting)
    async with session.get(f"{url}/metrics") as response:
        text = await response.text()
    await session.post(f"{url}/api/v1/queue/clear")
    lag = next(line for line in text.splitlines() if line.startswith('safelight_loop_lag_seconds{of="recent"}'))
    return times, float(lag.rpartition(" ")[2])


async def _get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as response:
        return await response.json()
