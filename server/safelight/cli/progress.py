"""A run as it goes on: on a terminal a bar with steps per second, elsewhere a plain line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from safelight.engine import Event, NodeFailed, NodeFinished, NodeProgress, NodeSkipped, NodeStarted, NodeWarned

_BAR = 24
_REDRAW = 0.08
_PLAIN_SECONDS = 5.0
"""Off a terminal, a node's progress is told so often, later each time it has taken a tenth longer; and its end, when
it has taken a fifth of that."""


class Progress:
    """Draws events on a terminal. Anywhere else it writes few plain lines, so that logs stay readable."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._draws = not quiet and self._stream.isatty()
        self._started: dict[str, float] = {}
        self._first: dict[str, tuple[int, float]] = {}
        self._drawn = 0.0
        self._cached = 0

    def __call__(self, event: Event) -> None:
        if self._quiet:
            return
        if not self._draws:
            self._tell(event)
        elif isinstance(event, NodeStarted):
            self._started[event.node] = time.monotonic()
            self._line(f"  {event.node} ...")
        elif isinstance(event, NodeProgress):
            self._step(event)
        elif isinstance(event, NodeFinished):
            if event.cached:
                self._cached += 1
            else:
                self._line(f"✓ {event.node}  {event.seconds:.2f} s", end="\n")
        elif isinstance(event, NodeFailed):
            self._line(f"✗ {event.node}  {event.problem.message}", end="\n")
        elif isinstance(event, NodeWarned):
            self._line(f"! {event.node}  {event.problem.message}", end="\n")
        elif isinstance(event, NodeSkipped):
            self._line(f"- {event.node}  needs {event.because}", end="\n")

    def close(self) -> None:
        if self._draws:
            cached = f"{self._cached} node{'s' if self._cached != 1 else ''} from the cache" if self._cached else ""
            self._line(cached, end="\n" if cached else "")

    def _tell(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, NodeStarted):
            self._drawn = self._started[event.node] = now
        elif isinstance(event, NodeProgress):
            if now - self._drawn < max(_PLAIN_SECONDS, (now - self._started.get(event.node, now)) / 10):
                return
            self._drawn = now
            self._write(f"{event.node}: {event.step} of {event.total}")
        elif isinstance(event, NodeFinished) and not event.cached and event.seconds >= _PLAIN_SECONDS / 5:
            self._write(f"{event.node}: done in {event.seconds:.1f} s")

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def _step(self, event: NodeProgress) -> None:
        now = time.monotonic()
        # The rate is taken from the second step on: the first one also loads and warms up.
        step, since = self._first.setdefault(event.node, (event.step, now))
        if now - self._drawn < _REDRAW and event.step < event.total:
            return
        self._drawn = now
        done = min(event.step / max(event.total, 1), 1.0)
        bar = ("█" * round(done * _BAR)).ljust(_BAR, "░")
        rate = (event.step - step) / (now - since) if now > since and event.step > step else 0.0
        pace = f"  {rate:.1f} steps/s" if rate >= 1 else f"  {1 / rate:.1f} s/step" if rate else ""
        self._line(f"  {event.node}  {bar} {event.step}/{event.total}{pace}")

    def _line(self, text: str, end: str = "") -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[2K{text[:width]}{end}")
        self._stream.flush()
