"""Models, the machine, settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

from .common import Body
from .records import Device, WorkerInfo


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be named in a model port. `place`: `starter`, `hub`, `folder` or `file`.

    `components` are the bytes on disk of each part, `precision` the type that most weights are kept in. `problem` says
    why it cannot be used, if so.
    """

    name: str
    place: str
    kind: str = ""
    family: str = ""
    size: int = 0
    components: dict[str, int] = {}
    precision: str = ""
    problem: Problem | None = None


class ScanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """So many of so many models were looked at."""

    done: int
    total: int


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """`scanning` is set while the search goes on: `models` is what was known before it then.

    Its end is told by the event `models_changed`.
    """

    models: list[ModelInfo]
    scanning: ScanProgress | None = None


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
    editor: dict[str, Any] | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: there is a worker that takes runs."""

    status: Literal["ok"] = "ok"
    ready: bool = False
    version: str = ""
    uptime: float = 0.0
