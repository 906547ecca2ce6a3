"""The stream of numbered events, shared by all who listen.

An event is encoded once and kept for a while; each listener has nothing but the number it has come to, so a slow one
costs no memory and holds nobody up. One that has fallen out of what is kept gets a snapshot instead. Events are handed
on in batches: two hundred listeners of a run of a thousand nodes would otherwise keep the loop busy for seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from safelight.protocol.records import HostEvent, NumberedEvent, Snapshot

from .workers import Preview

KEEP, KEEP_BYTES = 20_000, 32 << 20
"""Events that are kept for those who come back: so many, or so many bytes of them."""
BATCH, BATCH_BYTES = 500, 1 << 20
"""Events of one frame; at least one, however large."""
PAUSE, PAUSE_EACH, PAUSE_MOST = 0.001, 0.0001, 0.025
"""Seconds between two deliveries: at least, more for each listener, and at most."""

_encode = msgspec.json.Encoder().encode


class Stream:
    """`first` is the number of the first event; `snapshot` gives the whole state as of the latest one."""

    def __init__(
        self, first: int, snapshot: Callable[[], Snapshot], keep: int = KEEP, keep_bytes: int = KEEP_BYTES
    ) -> None:
        self._snapshot = snapshot
        self._kept: deque[bytes] = deque()
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._bytes = 0
        self._last = first - 1
        self._oldest = first
        self._listeners: set[Listener] = set()
        self._due: asyncio.TimerHandle | None = None
        self._delivered = 0.0
        self._frames: dict[int, tuple[bytes, int]] = {}
        self._snapshots: tuple[int, bytes] = (-1, b"")

    @property
    def last(self) -> int:
        return self._last

    def publish(self, data: HostEvent) -> int:
        """Adds an event. To be called on the loop."""
        self._last += 1
        event = _encode(NumberedEvent(self._last, round(time.time(), 4), data))
        self._kept.append(event)
        self._bytes += len(event)
        while len(self._kept) > 1 and (len(self._kept) > self._keep or self._bytes > self._keep_bytes):
            self._bytes -= len(self._kept.popleft())
            self._oldest += 1
        if self._listeners and self._due is None:
            loop = asyncio.get_running_loop()
            pause = min(PAUSE + PAUSE_EACH * len(self._listeners), PAUSE_MOST)
            wait = max(0.0, self._delivered + pause - loop.time())
            self._due = loop.call_later(wait, self._deliver)
        return self._last

    def listen(self, after: int | None) -> Listener:
        """A new listener that goes on after that number, or starts with a snapshot."""
        resumed = after is not None and self._oldest - 1 <= after <= self._last
        listener = Listener(self, after if after is not None and resumed else -1, resumed)
        self._listeners.add(listener)
        return listener

    def watched(self, run: str) -> bool:
        """Whether anybody wants previews of this run."""
        return any(listener.wants(run) for listener in self._listeners)

    def show(self, preview: Preview) -> None:
        """Hands a preview to those who want it; the newest takes the place of one that was not fetched yet."""
        for listener in self._listeners:
            if listener.wants(preview.run):
                listener.images[preview.run, preview.node] = preview
                listener.woken.set()

    def drop(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def __len__(self) -> int:
        return len(self._listeners)

    def close(self) -> None:
        """Ends all listeners."""
        for listener in self._listeners:
            listener.closed = True
            listener.woken.set()

    def frame(self, cursor: int) -> tuple[bytes, int]:
        """The JSON array of what follows a number, and the number it goes to. Equally far listeners share it."""
        if cursor < self._oldest - 1:
            if self._snapshots[0] != self._last:
                snapshot = NumberedEvent(self._last, round(time.time(), 4), self._snapshot())
                self._snapshots = self._last, b"[" + _encode(snapshot) + b"]"
            return self._snapshots[1], self._last
        known = self._frames.get(cursor)
        if known is None:
            if len(self._frames) > 50:
                self._frames.clear()
            known = self._frames[cursor] = self._cut(cursor)
        return known

    def _cut(self, cursor: int) -> tuple[bytes, int]:
        start, size = cursor + 1 - self._oldest, 0
        events: list[bytes] = []
        for event in islice(self._kept, start, start + BATCH):
            size += len(event)
            if events and size > BATCH_BYTES:
                break
            events.append(event)
        return b"[" + b",".join(events) + b"]", cursor + len(events)

    def _deliver(self) -> None:
        self._due = None
        self._delivered = asyncio.get_running_loop().time()
        self._frames.clear()
        for listener in self._listeners:
            listener.woken.set()


@dataclass(eq=False)
class Listener:
    """One who listens. `number` is the last event it was given; below the oldest kept one it gets a snapshot."""

    stream: Stream
    number: int
    resumed: bool
    closed: bool = False
    previews: frozenset[str] = frozenset()
    images: dict[tuple[str, str], Preview] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wants(self, run: str) -> bool:
        return bool(self.previews) and (run in self.previews or "*" in self.previews)

    def watch(self, runs: Iterable[str]) -> None:
        self.previews = frozenset(runs)

    async def next(self) -> tuple[bytes | None, list[Preview]]:
        """Waits for something new: a JSON array of events, or None, and previews. (None, []) when it is over."""
        while not self.closed:
            images, self.images = list(self.images.values()), {}
            frame = None
            if self.number < self.stream.last:
                frame, self.number = self.stream.frame(self.number)
            if frame is not None or images:
                return frame, images
            self.woken.clear()
            await self.woken.wait()
        return None, []
