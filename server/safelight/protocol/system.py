"""The machine, settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .common import Body
from .records import Device, WorkerInfo


class SystemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, devices and memory, as they are now. `memory` and `free` are those of the machine, in bytes."""

    version: str
    python: str
    libraries: dict[str, str]
    platform: str
    processors: int
    memory: int
    free: int
    server_memory: int
    folder: str | None
    disk_free: int
    uptime: float
    devices: list[Device]
    workers: list[WorkerInfo]


class SettingsBody(Body, kw_only=True):
    """Only what is given is changed."""

    max_deaths: Annotated[int, Meta(ge=1, le=20)] | None = None
    checkpoint_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    cancel_grace: Annotated[float, Meta(ge=0, le=600)] | None = None
    history_limit: Annotated[int, Meta(ge=10, le=1_000_000)] | None = None
    trash_days: Annotated[float, Meta(ge=0, le=3650)] | None = None
    spread: bool | None = None
    editor: dict[str, Any] | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: there is a worker that takes runs."""

    status: Literal["ok"] = "ok"
    ready: bool = False
    version: str = ""
    uptime: float = 0.0
