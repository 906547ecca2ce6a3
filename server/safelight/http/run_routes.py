"""Runs and the queue."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.doctor.private import Private
from safelight.graph import Document
from safelight.host import run_logs
from safelight.host.documents import filled, workflows
from safelight.host.placement import no_such_device
from safelight.host.queue import history, number_of
from safelight.places import shipped_names
from safelight.protocol.common import Done, WorkflowDocument
from safelight.protocol.records import Run, RunDetail, RunOrder
from safelight.protocol.runs import (
    CancelBody,
    EditRunBody,
    QueueAnswer,
    RunDetails,
    RunPage,
    SubmitBody,
)
from safelight.sdk.problem import ProblemError

from .problems import Refused
from .routing import Answer, Call, Route
from .system_routes import version

_QUEUE_SHOWN = 1_000
_STATES = ("queued", "running", "paused", "interrupted", "done", "failed", "cancelled")


class RunQuery(msgspec.Struct, kw_only=True):
    """`status`: one or several, with commas. `before`: the `next` of the page before."""

    status: Annotated[str, Meta(max_length=200)] = ""
    search: Annotated[str, Meta(max_length=500)] = ""
    workflow: Annotated[str, Meta(max_length=120)] | None = None
    batch: Annotated[str, Meta(max_length=100)] | None = None
    before: Annotated[str, Meta(max_length=20)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


async def submit(call: Call) -> Answer:
    order = await order_of(call, call.body)
    prepared = await call.state.host.graphs.prepare(order, call.body.values)
    ((run, new),) = await call.state.host.submit(prepared)
    return Answer(run, 201 if new else 200, {"Location": f"/api/v1/runs/{run.id}"})


def require_device(call: Call, pin: str) -> None:
    """Raises ProblemError `no_such_device` where no worker is one that a run is pinned to."""
    nowhere = no_such_device(call.state.host.pool.workers(), pin)
    if nowhere is not None:
        raise ProblemError(nowhere)


async def order_of(call: Call, body: SubmitBody) -> RunOrder:
    """What a request asks for, not checked yet."""
    given = bytes(body.document) != b"null"
    if given == (body.workflow is not None):
        raise Refused(400, "bad_request", "Give either a document or the name of a workflow.")
    require_device(call, body.device)
    document = bytes(body.document) if given else await _named(call, body.workflow or "")
    return RunOrder(
        document=document,
        name=body.name,
        inputs=body.inputs,
        targets=body.targets,
        force=body.force,
        priority=body.priority,
        workflow=body.workflow,
        key=body.key,
        checkpoint_seconds=body.checkpoint_seconds,
        device=body.device,
    )


async def _named(call: Call, name: str) -> bytes:
    """A saved workflow, or a shipped one."""
    try:
        return await call.state.host.database.read(lambda connection: workflows.body(connection, name))
    except ProblemError:
        shipped = await call.state.host.graphs.call(lambda _: shipped_names())
        if name not in shipped:
            raise
        return await call.state.host.graphs.call(lambda _: shipped[name].read_bytes())


async def listed(call: Call) -> RunPage:
    query: RunQuery = call.query
    statuses = [status for status in query.status.split(",") if status]
    unknown = [status for status in statuses if status not in _STATES]
    if unknown:
        raise Refused(400, "bad_request", f"There is no status {unknown[0]!r}.", f"There are: {', '.join(_STATES)}.")
    before = number_of(query.before) if query.before else None
    found, total, following = await call.state.host.database.read(
        lambda connection: history.history(
            connection,
            statuses=statuses,
            search=query.search,
            workflow=query.workflow,
            batch=query.batch,
            before=before,
            limit=query.limit,
        )
    )
    return RunPage(runs=found, total=total, next=None if following is None else f"r{following}")


async def detail(call: Call) -> RunDetail:
    return await call.state.host.run(call.path["id"])


async def document(call: Call) -> dict[str, Any]:
    run = await call.state.host.run(call.path["id"])
    body = await call.state.host.database.read(lambda connection: history.document_of(connection, run.id))
    return await call.state.host.graphs.call(lambda _: filled(Document.loads(body), run.inputs).data())


async def details(call: Call) -> Answer:
    if not call.state.loopback:
        message = "Tracebacks are given on the server's own machine only."
        raise Refused(403, "details_local", message, "Look into the server's log.")
    found = await call.state.host.database.read(lambda connection: history.problems_of(connection, call.path["id"]))
    return Answer(RunDetails(problems=found))


async def log(call: Call) -> web.Response:
    """What happened in it, as a file of text. On the server's own machine with tracebacks, and what programs logged."""
    state, run = call.state, await call.state.host.run(call.path["id"])
    lines = await state.host.logs.read(run.id)
    counts = f"attempts: {run.attempts}, deaths: {run.deaths}"
    head = f"Safelight {version()}, {run.id}: {run.name}, {run.status}, {counts}\n"
    # A log may be long: it is put together beside the loop.
    text = await asyncio.to_thread(lambda: Private().shown(head + run_logs.shown(lines, private=state.loopback)))
    headers = {"Content-Disposition": f'attachment; filename="{run.id}.log"', "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=headers)


async def edit(call: Call) -> Run:
    body: EditRunBody = call.body
    changes = {key: value for key, value in msgspec.structs.asdict(body).items() if value is not None}
    if not changes:
        raise Refused(400, "bad_request", "There is nothing to change.", "Give name, priority, ahead_of or behind.")
    if body.ahead_of is not None and body.behind is not None:
        raise Refused(400, "bad_request", "Give either ahead_of or behind.")
    if call.path["id"] in (body.ahead_of, body.behind):
        raise Refused(400, "bad_request", "A run cannot be moved ahead of or behind itself.")
    return await call.state.host.edit(call.path["id"], **changes)


async def cancel(call: Call) -> Run:
    return await call.state.host.cancel(call.path["id"], hard=call.body.hard)


async def pause(call: Call) -> Run:
    return await call.state.host.pause_run(call.path["id"])


async def resume(call: Call) -> Run:
    return await call.state.host.resume_run(call.path["id"])


async def retry(call: Call) -> Answer:
    host, run_id = call.state.host, call.path["id"]
    old = await host.database.read(lambda connection: history.get(connection, run_id))
    body = await host.database.read(lambda connection: history.document_of(connection, run_id))
    options = await host.database.read(lambda connection: history.options_of(connection, run_id))
    require_device(call, options.device)
    order = RunOrder(
        document=body,
        name=old.name,
        inputs=old.inputs,
        targets=options.targets,
        force=options.force,
        priority=old.priority,
        workflow=old.workflow,
        retry_of=run_id,
        checkpoint_seconds=options.checkpoint_seconds,
        device=options.device,
    )
    ((run, _),) = await host.submit(await host.graphs.prepare(order, {}))
    return Answer(run, 201, {"Location": f"/api/v1/runs/{run.id}"})


async def remove(call: Call) -> Done:
    await call.state.host.remove(call.path["id"])
    return Done()


async def queue(call: Call) -> QueueAnswer:
    host = call.state.host
    running, waiting, paused = host.live.standing(_QUEUE_SHOWN)
    return QueueAnswer(queue=host.queue(), running=running, waiting=waiting, paused=paused)


async def queue_pause(call: Call) -> QueueAnswer:
    await call.state.host.set_paused(True)
    return await queue(call)


async def queue_resume(call: Call) -> QueueAnswer:
    await call.state.host.set_paused(False)
    return await queue(call)


async def queue_clear(call: Call) -> Done:
    return Done(count=await call.state.host.clear_queue())


_RUN = "/runs/{id}"
ROUTES = [
    Route("POST", "/runs", submit, "Accept a run", "runs", Run, 201, SubmitBody, errors=(404, 422), also=(200,)),
    Route("GET", "/runs", listed, "History with search", "runs", RunPage, query=RunQuery, errors=(404,)),
    Route("GET", _RUN, detail, "One run", "runs", RunDetail, errors=(404,)),
    Route("GET", f"{_RUN}/document", document, "What it runs", "runs", WorkflowDocument, errors=(404, 422)),
    Route("GET", f"{_RUN}/details", details, "Problems with tracebacks", "runs", RunDetails, errors=(404,)),
    Route("GET", f"{_RUN}/log", log, "What happened in it, as text", "runs", "text/plain", errors=(404,)),
    Route("PATCH", _RUN, edit, "Rename or move a waiting run", "runs", Run, body=EditRunBody, errors=(404, 409)),
    Route(
        "POST",
        f"{_RUN}/cancel",
        cancel,
        "Stop a run",
        "runs",
        Run,
        body=CancelBody,
        body_required=False,
        errors=(404, 409),
    ),
    Route("POST", f"{_RUN}/pause", pause, "Pause a run; what is done is kept", "runs", Run, errors=(404, 409)),
    Route("POST", f"{_RUN}/resume", resume, "Let a paused run go on", "runs", Run, errors=(404, 409)),
    Route("POST", f"{_RUN}/retry", retry, "The same again, as a new run", "runs", Run, 201, errors=(404, 422)),
    Route("DELETE", _RUN, remove, "Take a run out of the list", "runs", Done, errors=(404, 409)),
    Route("GET", "/queue", queue, "The queue", "queue", QueueAnswer),
    Route("POST", "/queue/pause", queue_pause, "Start nothing new", "queue", QueueAnswer),
    Route("POST", "/queue/resume", queue_resume, "Go on", "queue", QueueAnswer),
    Route("POST", "/queue/clear", queue_clear, "Cancel everything queued", "queue", Done),
]
