"""Shapes that many routes share."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
Key = Annotated[str, Meta(min_length=1, max_length=100)]
WorkflowDocument = Annotated[dict[str, Any], Meta(title="WorkflowDocument")]
"""A workflow as `safelight run` takes it as a file."""
RawDocument = Annotated[msgspec.Raw, Meta(title="WorkflowDocument")]
"""The same as it came, to be read by the graph."""
Ids = Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=10_000)]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies: a mistyped field is refused, not overlooked."""


class Problems(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to everything that cannot be done: all that is wrong, at once."""

    problems: tuple[Problem, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It was done; `count` is how many things it touched."""

    count: int = 1
