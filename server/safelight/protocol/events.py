"""What a run tells while it goes on. Each event names the run; those about a node name the node."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from safelight.sdk.problem import Problem
from safelight.sdk.values import File

RunStatus = Literal["done", "failed", "cancelled"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events. `run` is the id of the run."""

    run: str


class RunStarted(Event, frozen=True, tag="run_started"):
    """`nodes` are the ids of all nodes of the graph, subgraphs inlined."""

    nodes: tuple[str, ...]


class NodeStarted(Event, frozen=True, tag="node_started"):
    """The node's function is about to be called."""

    node: str


class NodeProgress(Event, frozen=True, tag="node_progress"):
    """`step` of `total` is done. `preview` is a small image for those who asked for one; it never goes into JSON.

    `curve` are (step, value) points of something watched over the steps, such as a loss: all of it so far, or nothing
    where it has not changed since it was last told.
    """

    node: str
    step: int
    total: int
    preview: Any = None
    curve: tuple[tuple[int, float], ...] = ()


class NodeFinished(Event, frozen=True, tag="node_finished"):
    """`cached` results came from an earlier run. `bytes` is what the outputs hold in memory, `files` what was made,
    by the names that it has now.

    `values` are the outputs that can be read at a glance: numbers, yes or no, short texts, and short lists of these.
    """

    node: str
    cached: bool
    seconds: float
    bytes: int
    files: tuple[File, ...] = ()
    values: dict[str, Any] = {}


class NodeSkipped(Event, frozen=True, tag="node_skipped"):
    """The node could not run because `because`, which it depends on, failed."""

    node: str
    because: str


class NodeFailed(Event, frozen=True, tag="node_failed"):
    """The node raised. Other branches go on."""

    node: str
    problem: Problem


class NodeWarned(Event, frozen=True, tag="node_warned"):
    """The node goes on, and tells of something that may not be as it was meant."""

    node: str
    problem: Problem


class RunFinished(Event, frozen=True, tag="run_finished"):
    """The last event of a run."""

    status: RunStatus
    seconds: float


AnyEvent = RunStarted | NodeStarted | NodeProgress | NodeFinished | NodeSkipped | NodeFailed | NodeWarned | RunFinished


def without_turns(node: str) -> str:
    """The id of a node as its graph has it: `loop/3/sample` of the third turn is `loop/sample`."""
    return "/".join(part for part in node.split("/") if not part.isdecimal())
