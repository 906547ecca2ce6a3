"""What the handlers share: the host, the folders, and what is counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

from safelight.host.files import Folders
from safelight.host.host import Host

from .security import Guard
from .throttle import Throttle

_PROBE = 0.02


@dataclass
class Counts:
    """What `/metrics` tells of requests and of the event loop.

    `seconds` are sums by route. `lags` are how late the loop was at each probe of the last minute, `computing` how long
    its thread computed between two probes: on a busy machine the first is also the machine's doing.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=3000))
    computing: deque[float] = field(default_factory=lambda: deque(maxlen=3000))
    worst_lag: float = 0.0


@dataclass
class State:
    """One server."""

    host: Host
    folders: Folders
    guard: Guard
    web: Path | None
    loopback: bool = True
    comfyui: bool = False
    """Whether ComfyUI's API is served, too."""
    started: float = field(default_factory=time.time)
    counts: Counts = field(default_factory=Counts)
    uploads: Throttle = field(default_factory=lambda: Throttle(burst=60, per_second=2.0))
    catalogue: tuple[int, bytes, str] | None = None
    """The host's `catalogues` that it was made at, its JSON and its digest."""
    probe: asyncio.Task[None] | None = None

    async def watch_loop(self) -> None:
        """Measures how late the event loop is: what it blocks for, every client waits for."""
        loop = asyncio.get_running_loop()
        while True:
            before, spent = loop.time(), time.thread_time()
            await asyncio.sleep(_PROBE)
            lag = max(0.0, loop.time() - before - _PROBE)
            self.counts.lags.append(lag)
            self.counts.computing.append(min(lag, time.thread_time() - spent))
            self.counts.worst_lag = max(self.counts.worst_lag, lag)
