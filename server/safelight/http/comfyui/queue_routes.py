"""The queue and the history, as far as they came in through this API."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from safelight.host.host import Host
from safelight.host.queue import prompts
from safelight.host.queue.prompts import KEY, Posted
from safelight.protocol.records import ENDED, WAITING, Run
from safelight.sdk.problem import ProblemError

from ..problems import Refused
from ..state import State
from .answers import Body, answer, done, read
from .entries import entry, item

_SHOWN = 10_000


class DeleteBody(Body, kw_only=True):
    """`clear` all, or `delete` these prompts."""

    clear: bool = False
    delete: tuple[str, ...] = ()


class InterruptBody(Body, kw_only=True):
    """A prompt; without one whatever runs."""

    prompt_id: str | None = None


class FreeBody(Body, kw_only=True):
    """Both mean the same here: models and values in memory are let go of, and the cache on disk stays."""

    unload_models: bool = False
    free_memory: bool = False


def is_posted(run: Run) -> bool:
    return (run.key or "").startswith(KEY)


def remaining(host: Host) -> int:
    """How many prompts wait or run."""
    return host.live.count(is_posted)


async def find(host: Host, runs: Sequence[Run]) -> list[Posted]:
    """Those of the runs that came in through this API, as they are on record."""
    ids = [run.id for run in runs if is_posted(run)]
    return await host.database.read(lambda connection: prompts.find(connection, ids)) if ids else []


async def by_id(host: Host, name: str) -> Posted | None:
    return await host.database.read(lambda connection: prompts.by_id(connection, name))


async def exec_info(state: State, request: web.Request) -> web.Response:
    del request
    return answer({"exec_info": {"queue_remaining": remaining(state.host)}})


async def queue(state: State, request: web.Request) -> web.Response:
    del request
    running, waiting, paused = state.host.live.standing(_SHOWN)
    return answer(
        {
            "queue_running": [item(one) for one in await find(state.host, running)],
            "queue_pending": [item(one) for one in await find(state.host, [*waiting, *paused])],
        }
    )


async def change_queue(state: State, request: web.Request) -> web.Response:
    body = await read(request, DeleteBody)
    host = state.host
    if body.clear:
        _, waiting, paused = host.live.standing(_SHOWN)
        await _cancel(host, [run for run in [*waiting, *paused] if is_posted(run)])
    found = [await by_id(host, name) for name in body.delete]
    await _cancel(host, [one.run for one in found if one is not None and one.run.status in (*WAITING, "paused")])
    return done()


async def interrupt(state: State, request: web.Request) -> web.Response:
    body = await read(request, InterruptBody)
    host = state.host
    running, _, _ = host.live.standing(_SHOWN)
    wanted = None if body.prompt_id is None else KEY + body.prompt_id
    await _cancel(host, [run for run in running if is_posted(run) and wanted in (None, run.key)])
    return done()


async def _cancel(host: Host, runs: Sequence[Run]) -> int:
    cancelled = 0
    for run in runs:
        with contextlib.suppress(ProblemError):  # it has ended by now
            await host.cancel(run.id)
            cancelled += 1
    return cancelled


async def history(state: State, request: web.Request) -> web.Response:
    limit, offset = (_number(request, name) for name in ("max_items", "offset"))
    limit = None if limit is not None and limit < 0 else limit
    # Thousands of entries are made into text in the thread that reads them.
    return await state.host.database.read(
        lambda connection: answer({one.id: entry(one) for one in prompts.ended(connection, limit, offset)})
    )


async def history_of(state: State, request: web.Request) -> web.Response:
    found = await by_id(state.host, request.match_info["id"])
    if found is None or found.run.status not in ENDED or not found.run.attempts:
        return answer({})
    return answer({found.id: entry(found)})


async def change_history(state: State, request: web.Request) -> web.Response:
    body = await read(request, DeleteBody)
    host = state.host
    found: list[Posted | None] = [await by_id(host, name) for name in body.delete]
    if body.clear:
        found = [*await host.database.read(prompts.ended)]
    for one in found:
        if one is not None and one.run.status in ENDED:
            with contextlib.suppress(ProblemError):
                await host.remove(one.run.id)
    return done()


async def free(state: State, request: web.Request) -> web.Response:
    body = await read(request, FreeBody)
    if body.unload_models or body.free_memory:
        state.host.pool.free()
    return done()


async def cancel_job(state: State, request: web.Request) -> web.Response:
    return answer({"cancelled": await _cancel_jobs(state.host, [request.match_info["id"]]) > 0})


async def cancel_jobs(state: State, request: web.Request) -> web.Response:
    body = await read(request, JobsBody)
    return answer({"cancelled": await _cancel_jobs(state.host, body.job_ids) > 0})


class JobsBody(Body, kw_only=True):
    """Jobs to be cancelled."""

    job_ids: list[str]


async def _cancel_jobs(host: Host, names: Sequence[str]) -> int:
    found = [await by_id(host, name) for name in names]
    return await _cancel(host, [one.run for one in found if one is not None and one.run.status not in ENDED])


def _number(request: web.Request, name: str) -> int | None:
    given: Any = request.query.get(name)
    if given is None:
        return None
    try:
        number = int(given)
    except ValueError:
        raise Refused(
            400, "bad_request", f"{name} is a whole number, not {given[:50]!r}.", "Give one, or leave it out."
        ) from None
    return max(-1, min(number, 1 << 53))
