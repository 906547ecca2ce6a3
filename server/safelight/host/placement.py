"""Which worker a run is given to, and which workers help with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from safelight.protocol.records import WorkerInfo
from safelight.sdk.problem import Problem, did_you_mean, one_of


def choose(idle: Sequence[WorkerInfo], pin: str, work: Callable[[], tuple[bytes, Mapping[str, Any]]]) -> str | None:
    """The worker for a run: one that it is pinned to, and of these the one that holds most of the models it names, then
    one that is warm. None when there is none for it.

    Args:
        idle: the workers that can be given a run.
        pin: see `fits`.
        work: gives the run's document as JSON, and the values of its inputs.
    """
    able = [worker for worker in idle if fits(worker, pin)]
    if len(able) < 2:
        return able[0].id if able else None
    named: set[str] = set()
    if any(one.models for one in able):
        document, inputs = work()
        named = {*texts(msgspec.json.decode(document)), *texts(dict(inputs))}
    return max(able, key=lambda one: (len(named.intersection(one.models)), one.state == "idle", not one.models)).id


def fits(worker: WorkerInfo, pin: str) -> bool:
    """Whether a run that is pinned so may go there: `w2` names a worker, `cuda:1` a device, `cuda` all devices of a
    kind; the empty pin fits all."""
    return pin in ("", worker.id, worker.place, worker.place.partition(":")[0])


def no_such_device(workers: Sequence[WorkerInfo], pin: str) -> Problem | None:
    """What is said of a pin that no worker fits; None while one does, or may when it has started."""
    if any(fits(worker, pin) or not worker.place for worker in workers):
        return None
    places = sorted({worker.place for worker in workers})
    return Problem(
        code="no_such_device",
        message=f"No worker computes on {pin!r}. {did_you_mean(pin, places)}".rstrip(),
        hint=f"Take {one_of(places)}, or start the server with another `--device`.",
        value=pin,
    )


def texts(data: Any) -> Iterator[str]:
    """All texts in JSON data."""
    todo = [data]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item
