"""How to run, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from safelight.graph import Graph
from safelight.protocol.events import RunStatus
from safelight.sdk.codec import Codec
from safelight.sdk.problem import Problem
from safelight.sdk.values import File

from .cache import ValueRef
from .guard import copied

NodeStatus = Literal["ran", "cached", "failed", "skipped", "off"]


class NodeReport(msgspec.Struct, kw_only=True):
    """What became of one node, and the seconds its function took (of the earlier run, if it was cached)."""

    status: NodeStatus
    seconds: float = 0.0


Deliver = Callable[[str, File, bytes | Path, Graph], str]
"""Gets the id of an output node, a finished file of it, its bytes, and the graph that the node is in: the outer one or,
in a call, that of the turn; gives the name that the file has now. A ProblemError that it raises fails the run."""


class Copies(Mapping[str, Any]):
    """Values as copies, made when they are asked for: the caller may do with them what it likes."""

    def __init__(self, values: dict[str, Any], codec: Codec) -> None:
        self._values = values
        self._codec = codec

    def __getitem__(self, key: str) -> Any:
        return copied(self._codec.encode(self._values[key]), self._codec)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass
class RunResult:
    """What became of a run. `outputs` are the results of the workflow by name, where they were reached.

    `values` are those of `outputs`; `files` are the finished files of each output node, in order. Of `problems` those
    of the level `error` made it fail.
    """

    status: RunStatus
    seconds: float
    nodes: dict[str, NodeReport]
    outputs: dict[str, ValueRef]
    values: Mapping[str, Any]
    files: dict[str, list[File]]
    problems: list[Problem]


@dataclass(frozen=True)
class RunOptions:
    """How to run. `checkpoint_seconds` is the longest that long nodes go without keeping their state, which they do
    more often where it costs next to nothing; 0 is at every step.

    `force` names nodes that run even if their result is known, `strict` watches that no node changes its inputs.
    `previews` may be asked again at every step, where those who look come and go. With `shared` other processes that
    use the same cache folder run the same graph: what one of them computes the others do not begin. With `part` this is
    one of the others: it computes what can be kept, hands nothing over, and ends when there is nothing left to begin.
    """

    previews: bool | Callable[[], bool] = False
    checkpoint_seconds: float = 5.0
    force: frozenset[str] = frozenset()
    strict: bool = False
    shared: bool = False
    part: bool = False
