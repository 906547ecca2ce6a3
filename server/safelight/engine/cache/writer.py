"""The write-behind thread: work is handed over at once and done in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")

LINGER = 0.03
"""Seconds to wait after the first item for more: one transaction costs the same for one row as for a thousand."""
BATCH_ITEMS = 2_000
BATCH_BYTES = 64 << 20


class Writer(Generic[T]):
    """Hands items to `process` in order, in batches, from one daemon thread that starts with the first item.

    `limit` bounds the bytes that wait: past it `submit` blocks until there is room again.
    """

    def __init__(self, process: Callable[[list[T]], None], limit: int) -> None:
        self._process = process
        self._limit = limit
        self._queue: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()
        self._bytes = 0
        self._submitted = self._done = 0
        self._urgent = 0
        self._thread: threading.Thread | None = None
        self._closed = False

    def __len__(self) -> int:
        return self._submitted - self._done

    def submit(self, item: T, size: int = 0) -> bool:
        """False when the writer is closed, and the item will not be processed."""
        with self._changed:
            while self._bytes and self._bytes + size > self._limit and not self._closed:
                self._changed.wait(1.0)
            if self._closed:
                return False
            self._queue.append((item, size))
            self._bytes += size
            self._submitted += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="cache-writer", daemon=True)
                self._thread.start()
            # The thread is woken when it has nothing to do, or too much; in between it wakes by itself.
            if len(self._queue) == 1 or self._bytes > self._limit // 2:
                self._changed.notify_all()
            return True

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all that was submitted before is processed. False when `timeout` seconds were not enough."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            wanted = self._submitted
            self._urgent = max(self._urgent, wanted)
            self._changed.notify_all()
            while self._done < wanted:
                late = deadline is not None and time.monotonic() > deadline
                if late or self._thread is None or not self._thread.is_alive():
                    return False
                self._changed.wait(0.5)
        return True

    def close(self) -> None:
        self.flush(60.0)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(60.0)

    def _work(self) -> None:
        while True:
            batch, size = self._next()
            if not batch:
                return
            try:
                self._process(batch)
            except Exception:
                # `process` handles what can go wrong on a disk; anything else must not end the thread.
                log.exception("the cache could not write a batch.")
            count = len(batch)
            del batch
            with self._changed:
                self._bytes -= size
                self._done += count
                self._changed.notify_all()

    def _next(self) -> tuple[list[T], int]:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            until = time.monotonic() + LINGER
            while not self._closed and self._urgent <= self._done and self._bytes <= self._limit // 2:
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch: list[T] = []
            size = 0
            while self._queue and len(batch) < BATCH_ITEMS and size < BATCH_BYTES:
                item, weight = self._queue.popleft()
                batch.append(item)
                size += weight
            return batch, size
