"""Runs and the queue."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

from .common import Body, Ids, Key, Name, Priority, RawDocument
from .records import QueueInfo, Run

MAX_BATCH = 10_000
"""Runs of one sweep."""


def _no_document() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class SubmitBody(Body, kw_only=True):
    """A run to be queued: a document, or the name of a saved or shipped workflow, with values for its inputs.

    `values` sets any port, by `node.port`; in the run they are among its `inputs`. `key` makes the request repeatable:
    the same key gives the run that was accepted the first time. `checkpoint_seconds` overrides the server's setting.
    `device` pins the run to a worker (`w2`), a device (`cuda:1`) or all devices of a kind (`cuda`).
    """

    document: RawDocument = msgspec.field(default_factory=_no_document)
    workflow: Name | None = None
    inputs: dict[str, Any] = {}
    values: dict[str, Any] = {}
    targets: Ids | None = None
    force: Ids = []
    name: Annotated[str, Meta(max_length=200)] = ""
    priority: Priority = 0
    key: Key | None = None
    checkpoint_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    device: Annotated[str, Meta(max_length=100)] = ""


class BatchBody(SubmitBody, kw_only=True):
    """A sweep. `rows` are sets of input values, one run each; `sweep` lists values by input, and every combination
    runs.

    Keys are names of the workflow's inputs, or `node.port` for any other port. With both, each row is combined with
    each combination. `values` and `inputs` hold for all. At most 10,000 runs.
    """

    rows: Annotated[list[dict[str, Any]], Meta(max_length=MAX_BATCH)] = []
    sweep: dict[str, Annotated[list[Any], Meta(min_length=1, max_length=MAX_BATCH)]] = {}


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    batch: str
    runs: list[str]


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, the newest first. `next` is the value of `before` for the following page; None at the end."""

    runs: list[Run]
    total: int
    next: str | None = None


class EditRunBody(Body, kw_only=True):
    """Changes to a run that has not started. `ahead_of` and `behind` name another waiting run."""

    name: Annotated[str, Meta(max_length=200)] | None = None
    priority: Priority | None = None
    ahead_of: Key | None = None
    behind: Key | None = None


class CancelBody(Body, kw_only=True):
    """`hard` ends the worker process at once instead of asking the node to stop."""

    hard: bool = False


class RunDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The problems of a run with their tracebacks, for the details view. Given on the own machine only."""

    problems: tuple[Problem, ...]


class QueueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`running` in the order of their start, `waiting` in the order in which they will start (the first 1,000)."""

    queue: QueueInfo
    running: list[Run]
    waiting: list[Run]
    paused: list[Run]
