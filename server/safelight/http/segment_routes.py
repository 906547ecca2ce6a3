"""Selecting by segment: a node that runs by itself, through the queue and the cache as any other."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from safelight.protocol.records import RunDetail, RunOrder
from safelight.protocol.segments import Segment, SegmentBody
from safelight.sdk.problem import ProblemError

from .problems import Refused
from .routing import Call, Route

_FIRST = 100
_LOOK = 0.01


async def segment(call: Call) -> Segment:
    """Whoever asks waits for it with a finger on the image: it goes before all that is queued, and leaves no trace."""
    host = call.state.host
    if host.dispatcher.paused:
        raise Refused(409, "queue_paused", "The queue is paused: nothing is computed.", "Let the queue go on.")
    order = RunOrder(document=msgspec.json.encode(_workflow(call.body)), name="segment", priority=_FIRST)
    ((run, _),) = await host.submit(await host.graphs.prepare(order, {}))
    try:
        while host.live.get(run.id) is not None:
            await asyncio.sleep(_LOOK)
        done = await host.run(run.id)
    finally:
        with contextlib.suppress(ProblemError):
            await (host.cancel(run.id) if host.live.get(run.id) else host.remove(run.id))
    return _found(done)


def _workflow(body: SegmentBody) -> dict[str, Any]:
    x, y = body.point
    asked = {"points": f"{x} {y}", "model": body.model, "scale": body.scale}
    return {
        "format": "safelight/1",
        "nodes": {
            "load": {"type": "image.load", "version": 1, "values": {"file": body.image}},
            "segment": {"type": "preprocess.segment_at", "version": 1, "values": asked},
            "image": {"type": "image.from_mask", "version": 1},
            "show": {"type": "image.preview", "version": 1},
        },
        "links": [
            {"from": "load.image", "to": "segment.image"},
            {"from": "segment.mask", "to": "image.mask"},
            {"from": "image.image", "to": "show.image"},
        ],
    }


def _found(done: RunDetail) -> Segment:
    state = done.nodes.get("show")
    if state is None or not state.files:
        raise ProblemError(done.problems) if done.problems else Refused(409, "run_ended", "It was cancelled.")
    file = state.files[0]
    return Segment(digest=file.digest, width=file.width, height=file.height)


ROUTES = [
    Route(
        "POST", "/segments", segment, "The thing at a place of an image", "files", Segment, 200, SegmentBody,
        errors=(404, 409, 422),
    )
]  # fmt: skip
