"""`/api/jobs`: what waits, runs and has ended in one list."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from safelight.host.queue import prompts
from safelight.host.queue.prompts import Posted
from safelight.protocol.records import RunState

from ..problems import Refused
from ..state import State
from .answers import answer
from .entries import end, item, messages, outputs, stamp

_STATUS: dict[RunState, str] = {
    "queued": "pending",
    "interrupted": "pending",
    "paused": "pending",
    "running": "in_progress",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
_ORDERS: dict[str, Callable[[Posted], float]] = {
    "created_at": lambda posted: posted.run.created,
    "execution_duration": lambda posted: posted.run.seconds or 0.0,
}
_MOST = 1 << 53


async def jobs(state: State, request: web.Request) -> web.Response:
    query = request.query
    wanted = [status for status in query.get("status", "").split(",") if status]
    unknown = [status for status in wanted if status not in _STATUS.values()]
    if unknown:
        raise Refused(400, "bad_request", f"There is no status {unknown[0][:50]!r}.", f"There are: {_names()}.")
    order = _one_of(query.get("sort_by", "created_at"), "sort_by", *_ORDERS)
    way = _one_of(query.get("sort_order", "desc"), "sort_order", "desc", "asc")
    limit, offset = _count(query.get("limit"), "limit", 1), _count(query.get("offset"), "offset", 0) or 0

    def listed(connection: sqlite3.Connection) -> web.Response:
        found = [one for one in prompts.every(connection) if not wanted or _STATUS[one.run.status] in wanted]
        if "workflow_id" in query:
            found = [one for one in found if _workflow(one) == query["workflow_id"]]
        found.sort(key=_ORDERS[order], reverse=way == "desc")
        page = found[offset : None if limit is None else offset + limit]
        about = {"offset": offset, "limit": limit, "total": len(found), "has_more": offset + len(page) < len(found)}
        return answer({"jobs": [_job(one) for one in page], "pagination": about})

    return await state.host.database.read(listed)


async def job(state: State, request: web.Request) -> web.Response:
    name = request.match_info["id"]
    found = await state.host.database.read(lambda connection: prompts.by_id(connection, name))
    if found is None:
        return answer({"error": "Job not found"}, 404)
    ended = found.run.finished is not None
    return answer(
        _job(found)
        | {
            "outputs": outputs(found),
            "execution_status": {
                "status_str": "success" if found.run.status == "done" else "error",
                "completed": found.run.status == "done",
                "messages": messages(found),
            }
            if ended
            else None,
            "workflow": {"prompt": found.prompt.prompt, "extra_data": item(found)[3]},
        }
    )


def _job(posted: Posted) -> dict[str, Any]:
    run = posted.run
    made = outputs(posted)
    files = [
        (node, word, file)
        for node, told in made.items()
        for word, several in told.items()
        if word != "animated"
        for file in several
    ]
    about: dict[str, Any] = {
        "id": posted.id,
        "status": _STATUS[run.status],
        "priority": posted.number,
        "create_time": stamp(run.created),
        "outputs_count": len(files),
    }
    if run.started is not None:
        about["execution_start_time"] = stamp(run.started)
    if run.finished is not None:
        about["execution_end_time"] = stamp(run.finished)
    if run.status == "failed":
        about["execution_error"] = end(posted)[1]
    if files:
        node, word, file = files[0]
        about["preview_output"] = {**file, "nodeId": node, "mediaType": word}
    workflow = _workflow(posted)
    return about | ({"workflow_id": workflow} if workflow is not None else {})


def _workflow(posted: Posted) -> str | None:
    """The id that ComfyUI's editor gave to the workflow that was posted."""
    info = posted.prompt.extra_data.get("extra_pnginfo")
    workflow = info.get("workflow") if isinstance(info, dict) else None
    return str(workflow["id"]) if isinstance(workflow, dict) and "id" in workflow else None


def _one_of(given: str, name: str, *choices: str) -> str:
    if given not in choices:
        raise Refused(400, "bad_request", f"{name} is {' or '.join(choices)}, not {given[:50]!r}.")
    return given


def _count(given: str | None, name: str, least: int) -> int | None:
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and least <= int(given) <= _MOST):
        raise Refused(400, "bad_request", f"{name} is a whole number from {least}, not {given[:50]!r}.")
    return int(given)


def _names() -> str:
    return ", ".join(dict.fromkeys(_STATUS.values()))
