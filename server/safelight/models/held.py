"""What the store keeps for a component in memory, gives to those who lease it, and tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from safelight.sdk.models import Source

from .shelf import Entry

if TYPE_CHECKING:
    import torch

    from .components import Loaded


class LoadedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A component that is in memory now. `bytes` include its LoRAs; `leased` is how many hold it.

    One that is `offloaded` waits in main memory, and comes to `device` in pieces.
    """

    name: str
    kind: str
    device: str
    precision: str
    bytes: int
    leased: int
    loras: tuple[str, ...] = ()
    offloaded: bool = False


@dataclass(frozen=True)
class Key:
    """What makes two leases share a component: everything but the patches and the schedule, which are put on it."""

    kind: str
    source: Source
    beside: tuple[Source, ...]
    family: str
    precision: str
    storage: str = "full"


@dataclass(frozen=True)
class Held:
    """Implements `sdk.Lease`."""

    component: Any
    device: torch.device
    dtype: torch.dtype
    settings: Mapping[str, Any]


@dataclass
class Value:
    loaded: Loaded
    attached: Any


def key_of(entry: Entry) -> Key:
    return cast(Key, entry.key)


def described(entry: Entry) -> LoadedModel:
    key = key_of(entry)
    value: Loaded = entry.value.loaded
    return LoadedModel(
        name=key.source.name,
        kind=key.kind,
        device=str(value.device),
        precision=key.precision.removeprefix("torch."),
        bytes=entry.total,
        leased=entry.users,
        offloaded=value.pieces is not None,
        loras=tuple(source.name for source in entry.value.attached.sources),
    )
