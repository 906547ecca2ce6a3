"""Executes plans: the runner, its cache and its events. Knows no node by name and imports no torch."""

from safelight.protocol.events import (
    AnyEvent,
    Event,
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
    RunFinished,
    RunStarted,
)

from .cache import MISSING, Action, Cache, CacheInfo, ValueRef
from .call import choices
from .context import Cancel, NodeContext, Services
from .flights import Flights
from .light import lightly
from .memory import CacheMemory, files_in
from .result import NodeReport, RunOptions, RunResult
from .run import run

__all__ = [
    "MISSING",
    "Action",
    "AnyEvent",
    "Cache",
    "CacheInfo",
    "CacheMemory",
    "Cancel",
    "Event",
    "Flights",
    "NodeContext",
    "NodeFailed",
    "NodeFinished",
    "NodeProgress",
    "NodeReport",
    "NodeSkipped",
    "NodeStarted",
    "NodeWarned",
    "RunFinished",
    "RunOptions",
    "RunResult",
    "RunStarted",
    "Services",
    "ValueRef",
    "choices",
    "files_in",
    "lightly",
    "run",
]
