"""`/healthz` and `/metrics`: for programs that watch the server."""

from __future__ import annotations

import asyncio
import shutil
import time

from aiohttp import web

from safelight.host.queue import history
from safelight.protocol.system import Health
from safelight.sdk.problem import ProblemError

from . import metrics
from .problems import plain
from .routing import json_response
from .state import State
from .system_routes import version

_HEALTH_SECONDS = 5.0


async def health(request: web.Request, state: State) -> web.Response:
    """Whether the server is there. Answers without a token: a problem names no path."""
    del request
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            await state.host.database.must_write()
    except (ProblemError, TimeoutError):
        return plain(503, "database_failed", "The server's database cannot be written.", "Look for a full disk.")
    if state.host.pool.fault():
        return plain(503, "no_workers", "No worker process can be started.", "The server's log says why.")
    ready = any(worker.state in ("warming", "idle", "busy") for worker in state.host.pool.workers())
    return json_response(Health(ready=ready, version=version(), uptime=round(time.time() - state.started, 3)))


async def prometheus(request: web.Request, state: State) -> web.Response:
    """The metrics, in the text format of Prometheus."""
    del request
    counts = await state.host.database.read(history.counts)
    tasks = len(asyncio.all_tasks())
    cache = await state.host.graphs.call(lambda studio: studio.cache.info())
    disk_free = (await asyncio.to_thread(shutil.disk_usage, state.host.home)).free
    text = metrics.render(state, counts, cache, disk_free, tasks)
    return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
