"""Watches that a node leaves its inputs alone: the rule that makes keeping and sharing results safe."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from safelight.sdk.codec import is_tensor
from safelight.sdk.problem import Problem, ProblemError


class Guard:
    """Remembers the version counters of all tensors in the arguments and compares them afterwards."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._versions = [
            (port, tensor, tensor._version) for port, value in arguments.items() for tensor in tensors_in(value)
        ]

    def check(self, node_type: str) -> None:
        """Raises ProblemError `input_changed` when a tensor was written to in place."""
        for port, tensor, version in self._versions:
            if tensor._version != version:
                message = f"{node_type} changed its input {port!r} in place."
                raise ProblemError(
                    Problem(code="input_changed", message=message, hint="Nodes work on copies.", port=port)
                )


def tensors_in(value: Any) -> Iterator[Any]:
    """All tensors inside a value, however deep."""
    todo: list[Any] = [value]
    while todo:
        at = todo.pop()
        if isinstance(at, list | tuple):
            todo += at
        elif isinstance(at, dict):
            todo += at.values()
        elif is_tensor(at):
            if not at.is_inference():
                yield at
        elif dataclasses.is_dataclass(at) and not isinstance(at, type):
            todo += [getattr(at, field.name) for field in dataclasses.fields(at)]
