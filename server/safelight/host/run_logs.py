"""What happened in each run, line by line, kept in a file of its own for as long as the run is on record.

Lines are gathered on the event loop and written in a thread a moment later, so that no event waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from safelight.engine import (
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
    RunFinished,
    RunStarted,
)
from safelight.protocol.events import AnyEvent
from safelight.sdk.problem import Problem

from .ids import number_in
from .queue import number_of

log = logging.getLogger(__name__)

Level = Literal["info", "warning", "error"]

LINES = 20_000
"""Of one run; what comes after them is left out, but for its end and what goes wrong."""
_PAUSE = 0.5
_ENDING = ".jsonl"


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at` is in seconds since 1970. `by` is the logger that a program has written with; empty for what the server
    tells. `details` is a traceback."""

    at: float
    level: Level
    said: str
    by: str = ""
    details: str = ""


class RunLogs:
    """The logs below a folder. `spawn` runs something beside, and waits for it when the server ends."""

    def __init__(self, folder: Path, spawn: Callable[[Coroutine[Any, Any, Any]], None]) -> None:
        self._folder = folder
        self._spawn = spawn
        self._waiting: dict[str, list[Line]] = {}
        self._counts: dict[str, int] = {}
        self._writing = False
        self._turn = asyncio.Lock()

    def say(
        self, run: str, said: str, level: Level = "info", *, by: str = "", details: str = "", at: float | None = None
    ) -> None:
        """Adds a line to the log of a run."""
        self._add(run, Line(time.time() if at is None else at, level, said, by, details), sure=level == "error")

    def follow(self, run: str, event: AnyEvent) -> None:
        """Adds what an event tells, if anything."""
        for line in _lines(event):
            self._add(run, line, sure=isinstance(event, NodeFailed | RunFinished))

    def problem(self, run: str, problem: Problem) -> None:
        """Adds what is wrong with a run."""
        self._add(run, _line_of("", problem, "error"), sure=True)

    def over(self, run: str) -> None:
        """The run has ended: nothing is counted for it any more."""
        self._counts.pop(run, None)

    def _add(self, run: str, line: Line, *, sure: bool) -> None:
        count = self._counts[run] = self._counts.get(run, 0) + 1
        if count == LINES:
            line = Line(line.at, "info", f"further lines are left out after {LINES:,}")
        elif count > LINES and not sure:
            return
        self._waiting.setdefault(run, []).append(line)
        if not self._writing:
            self._writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        await asyncio.sleep(_PAUSE)
        self._writing = False
        await self._flush()

    async def _flush(self) -> None:
        async with self._turn:
            waiting, self._waiting = self._waiting, {}
            if waiting:
                await asyncio.to_thread(self._append, waiting)

    def _append(self, waiting: dict[str, list[Line]]) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for run, lines in waiting.items():
                with self._path(run).open("ab") as file:
                    file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        except OSError as error:
            # A full disk must not stop a run for the sake of its log.
            log.warning("the logs of runs cannot be written: %s", error.strerror or error)

    def _path(self, run: str) -> Path:
        return self._folder / f"r{number_of(run)}{_ENDING}"

    async def read(self, run: str) -> list[Line]:
        """The lines of a run so far."""
        await self._flush()
        path = self._path(run)
        return await asyncio.to_thread(_read, path)

    async def keep(self, runs: Iterable[str]) -> None:
        """Forgets the logs of all other runs, but for those that came after the last of these."""
        kept = set(runs)
        last = max((number_of(run) for run in kept), default=0)
        await self._flush()

        def work() -> None:
            for path in self._folder.glob(f"r*{_ENDING}"):
                name = path.name.removesuffix(_ENDING)
                number = number_in(name, "r")
                if name not in kept and number is not None and number <= last:
                    with contextlib.suppress(OSError):  # Windows removes none that is being read
                        path.unlink()

        await asyncio.to_thread(work)

    async def forget(self, run: str) -> None:
        """Forgets the log of a run."""
        self.over(run)
        await self._flush()
        path = self._path(run)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(path.unlink, True)

    async def close(self) -> None:
        await self._flush()


def shown(lines: Iterable[Line], *, private: bool) -> str:
    """The lines as text. What programs have logged, and tracebacks, are in it only where it is `private`."""
    made: list[str] = []
    for line in lines:
        if line.by and not private:
            continue
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(line.at)) + f".{int(line.at % 1 * 1000):03}Z"
        made.append(f"{when} {line.level:7} {f'[{line.by}] ' if line.by else ''}{line.said}")
        if line.details and private:
            made += [f"    {text}" for text in line.details.rstrip().splitlines()]
    return "".join(f"{line}\n" for line in made)


def _read(path: Path) -> list[Line]:
    found: list[Line] = []
    try:
        for text in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError):  # cut off when the machine went down
                found.append(msgspec.json.decode(text, type=Line))
    except FileNotFoundError:
        pass  # of before there were logs, or of a run that has not begun
    return found


def _lines(event: AnyEvent) -> Iterator[Line]:
    now = time.time()
    if isinstance(event, RunStarted):
        yield Line(now, "info", f"begins, with {len(event.nodes)} nodes")
    elif isinstance(event, NodeStarted):
        yield Line(now, "info", f"{event.node}: begins")
    elif isinstance(event, NodeFinished):
        files = "".join(f", made {file.name}" for file in event.files if file.keep)
        how = "was cached" if event.cached else f"done after {event.seconds:.3f} s"
        yield Line(now, "info", f"{event.node}: {how}{files}")
    elif isinstance(event, NodeSkipped):
        yield Line(now, "warning", f"{event.node}: skipped, because {event.because} failed")
    elif isinstance(event, NodeWarned):
        yield _line_of(event.node, event.problem, "warning")
    elif isinstance(event, NodeFailed):
        yield _line_of(event.node, event.problem, "error")
    elif isinstance(event, RunFinished):
        yield Line(now, "error" if event.status == "failed" else "info", f"{event.status} after {event.seconds:.3f} s")


def _line_of(node: str, problem: Problem, level: Level) -> Line:
    where = node or problem.node or ""
    port = f".{problem.port}" if where and problem.port else ""
    said = " ".join(part for part in (problem.message, problem.hint) if part)
    text = f"{where}{port}: {said} [{problem.code}]" if where else f"{said} [{problem.code}]"
    return Line(time.time(), level, text, details=problem.details or "")
