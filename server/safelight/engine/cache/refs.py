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


class SharedInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the shared tier. Counts are those of all processes of this machine since its cache was made.

    `waiting` results have still to be sent, `lost` were given up (too many waited, or they were gone from the disk
    before), `large` are above the budget of an entry, `refused` entries were not what the team has signed. `trouble`
    says why the bucket could not be used last; empty when all is well.
    """

    url: str
    hits: int = 0
    misses: int = 0
    refused: int = 0
    bytes_down: int = 0
    bytes_up: int = 0
    sent: int = 0
    waiting: int = 0
    lost: int = 0
    large: int = 0
    trouble: str = ""


class CacheInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a cache. Sizes in bytes; counts on disk are those of all processes that share the folder.

    `trouble` says why nothing is written to disk any more; empty when all is well. `shared` is the bucket behind the
    disk, where there is one.
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
    shared: SharedInfo | None = None
