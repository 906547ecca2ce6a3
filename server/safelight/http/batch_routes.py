"""Sweeps: many runs of one workflow, accepted, looked at, cancelled and repeated together."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from safelight.graph import Document, Port
from safelight.host.documents import port_of
from safelight.host.queue import batches
from safelight.protocol.common import Done
from safelight.protocol.records import Axis, Batch, BatchOrder
from safelight.protocol.runs import MAX_BATCH, BatchAnswer, BatchBody
from safelight.sdk.problem import ProblemError

from .problems import Refused
from .routing import Call, Route
from .run_routes import order_of, require_device


async def submit_batch(call: Call) -> BatchAnswer:
    body: BatchBody = call.body
    count = math.prod(len(values) for values in body.sweep.values()) * max(1, len(body.rows))
    if count > MAX_BATCH:
        message = f"The sweep makes {count:,} runs, more than the {MAX_BATCH:,} that are taken at once."
        raise Refused(422, "too_many_runs", message, "Send it in parts.", value=count)
    if "rows" in body.sweep:
        message = "An input that is called rows cannot be in `sweep`: the results name the axis of `rows` so."
        raise Refused(422, "duplicate_name", message, "Name it as node.port, or give it in `rows`.", value="rows")
    axes = [Axis(name=name, values=values) for name, values in body.sweep.items()]
    if body.rows:
        axes.insert(0, Axis(name="rows", values=list(body.rows)))
    cells = list(itertools.product(*(range(len(axis.values)) for axis in axes)))
    order = await order_of(call, body)
    await call.state.host.graphs.call(lambda _: _apart(Document.loads(order.document), axes))
    batch = f"b{secrets.token_hex(6)}"
    order = msgspec.structs.replace(order, batch=batch, key=None)
    prepared = await call.state.host.graphs.prepare(order, body.values, [_row(axes, cell) for cell in cells])
    prepared = [
        msgspec.structs.replace(one, cell=cell, key=None if body.key is None else f"{body.key}#{number}")
        for number, (one, cell) in enumerate(zip(prepared, cells, strict=True), 1)
    ]
    record = BatchOrder(id=batch, name=prepared[0].name, axes=axes)
    accepted = await call.state.host.submit(prepared, record)
    return BatchAnswer(batch=accepted[0][0].batch or batch, runs=[run.id for run, _ in accepted])


def _apart(document: Document, axes: Sequence[Axis]) -> None:
    """Two axes that set one port would make a grid in which one of them changes nothing."""
    set_by: dict[Port, str] = {}
    for axis in axes:
        for name in {name for row in axis.values for name in row} if axis.name == "rows" else {axis.name}:
            ports = [port_of(name)] if "." in name else [port.to for port in document.inputs if port.name == name]
            for port in ports:
                other = set_by.setdefault(port, axis.name)
                if other != axis.name:
                    message = f"{other!r} and {axis.name!r} both set {port}."
                    raise Refused(422, "duplicate_name", message, "Take one of them out of the sweep.", value=name)


def _row(axes: Sequence[Axis], cell: Sequence[int]) -> dict[str, Any]:
    """The inputs of one run of a sweep."""
    row: dict[str, Any] = {}
    for axis, place in zip(axes, cell, strict=True):
        row |= axis.values[place] if axis.name == "rows" else {axis.name: axis.values[place]}
    return row


async def batch(call: Call) -> Batch:
    name = call.path["batch"]
    return await call.state.host.database.read(lambda connection: batches.get(connection, name))


async def table(call: Call) -> web.Response:
    """One line a run: what differs, how it ended, what it gave."""
    name = call.path["batch"]
    text = await call.state.host.database.read(lambda connection: batches.table(connection, name))
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


async def cancel(call: Call) -> Done:
    """Cancels what waits of it, and asks what runs to stop."""
    host, name = call.state.host, call.path["batch"]
    count = await host.clear_queue(name)  # first: what waited cannot begin any more
    for run in await host.database.read(lambda connection: batches.running(connection, name)):
        try:
            await host.cancel(run)
        except ProblemError:  # it has ended in between
            continue
        count += 1
    return Done(count=count)


async def retry(call: Call) -> BatchAnswer:
    """Has the runs that failed or were cancelled run again, in their cells."""
    host, name = call.state.host, call.path["batch"]
    again = await host.database.read(lambda connection: batches.again(connection, name))
    for pin in {order.device for order in again}:
        require_device(call, pin)
    accepted = await host.submit(again)
    return BatchAnswer(batch=name, runs=[run.id for run, _ in accepted])


_BATCH = "/batches/{batch}"
_CSV = "text/csv"
ROUTES = [
    Route(
        "POST", "/runs/batch", submit_batch, "Accept a sweep", "runs", BatchAnswer, 201, BatchBody, errors=(404, 422)
    ),
    Route("GET", _BATCH, batch, "A sweep as a grid", "runs", Batch, errors=(404,)),
    Route("GET", f"{_BATCH}/table.csv", table, "A sweep as a table", "runs", _CSV, errors=(404,)),
    Route("POST", f"{_BATCH}/cancel", cancel, "Cancel what has not ended of a sweep", "runs", Done, errors=(404,)),
    Route("POST", f"{_BATCH}/retry", retry, "Repeat what failed of a sweep", "runs", BatchAnswer, 201, errors=(404,)),
]
