"""What the cache speaks of: references to values, actions, and its own state."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

BLOB_MARK = "b:"
"""Before the digest of a blob, so that it is never taken for a value of the same digest."""


class ValueRef(msgspec.Struct, frozen=True):
    """The identity of a value: the digest of its content, and the bytes of memory it takes."""

    digest: str
    size: int


class Action(msgspec.Struct, frozen=True):
    """What is remembered of one node key.

    `outputs` by port, `seconds` what computing them took. A choice node that needs one more branch has no outputs yet;
    `demands` then names the lazy port whose value extends the key.
    """

    outputs: dict[str, ValueRef] = {}
    seconds: float = 0.0
    demands: str | None = None


class Missing(enum.Enum):
    """The answer of `Cache.get` when a value is not there; None is a value like any other."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING


class CacheInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a cache. Sizes in bytes; counts on disk are those of all processes that share the folder.

    `trouble` says why nothing is written to disk any more; empty when all is well.
    """

    folder: str | None
    memory_bytes: int
    memory_limit: int
    memory_values: int
    disk_bytes: int
    disk_limit: int
    disk_values: int
    actions: int
    states: int
    state_bytes: int
    pending: int
    hits: int
    misses: int
    trouble: str = ""
