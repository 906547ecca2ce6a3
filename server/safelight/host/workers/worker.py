"""A worker process: takes runs from the server one at a time and tells what happens.

`python -m safelight.host.workers.worker` starts it.
Three threads beside the one that runs nodes: one reads messages, so that a cancel is noticed while a node computes, one
writes events, so that no node waits for a pipe, and one says that the process is alive. When the server is gone, so is
its worker: the pipe ends, and on Linux the kernel sends a signal besides.
"""

from __future__ import annotations

import io
import logging
import os
import queue
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from safelight.app import Budgets, Outcome, Studio
from safelight.engine import Cancel, NodeFinished, NodeProgress, NodeStarted, NodeWarned, RunFinished, RunOptions
from safelight.environment import Environment
from safelight.graph import Document
from safelight.host.documents import facts_of, filled
from safelight.host.logs import run_id, start_logging
from safelight.media.registry import MediaRegistry
from safelight.protocol.events import AnyEvent, Event
from safelight.protocol.facts import Facts
from safelight.sdk.problem import Problem, ProblemError

from .machine import device_free, device_state, library_versions, resident_bytes
from .whereabouts import Whereabouts
from .wire import (
    MAX_FRAME,
    Beat,
    Begin,
    Blob,
    Ended,
    Free,
    Freed,
    FromWorker,
    Helped,
    Logged,
    Made,
    Message,
    Preview,
    Quit,
    Ready,
    Setup,
    Stop,
    Told,
    Warm,
    Watched,
    frame,
    read_message,
)

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
NICENESS = 5
PREVIEW_SECONDS = 0.1
PREVIEW_PIXELS = 512
_FRAME_EVENTS = 200
_SAID = 20_000
_ENGINE = "safelight.engine.running"
_ROOM = 1 << 10
"""What a frame takes beside its bytes."""


@dataclass
class _Job:
    begin: Begin
    cancel: Cancel = field(default_factory=Cancel)


class _ToRun(logging.Handler):
    """Sends what is logged while a run goes on to the server, for the log of the run."""

    def __init__(self, out: queue.SimpleQueue[Any]) -> None:
        super().__init__()
        self._out = out
        self._traceback = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        run = run_id.get()
        if not run or record.name == _ENGINE:  # what the engine tells comes as events
            return
        try:
            said, details = record.getMessage(), ""
            if record.exc_info:
                details = self._traceback.formatException(record.exc_info)
        except Exception:
            said, details = str(record.msg), ""  # what is logged is wrong in itself; that is told by the other handler
        number = record.levelno
        level = "error" if number >= logging.ERROR else "warning" if number >= logging.WARNING else "info"
        # Halves of characters can be logged, and not be sent.
        said, details = (text[:_SAID].encode(errors="replace").decode() for text in (said, details))
        self._out.put(Logged(run=run, at=record.created, level=level, logger=record.name, said=said, details=details))


class Worker:
    """One process's work. `source` and `sink` are the two ends of the pipe."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self._source = source
        self._sink = sink
        self._jobs: queue.SimpleQueue[_Job | Free | None] = queue.SimpleQueue()
        self._out: queue.SimpleQueue[Message | tuple[Begin, Event]] = queue.SimpleQueue()
        self._running: dict[str, _Job] = {}
        self._watched = False
        self._apart = False
        self._previewed: dict[tuple[str, str], float] = {}
        self._whereabouts: Whereabouts
        self._media: MediaRegistry
        self._place = "cpu"
        self._studio: Studio

    def serve(self) -> None:
        """Works until the server says so or is gone."""
        first = read_message(self._source)
        if not isinstance(first, Setup):
            return
        budgets = Budgets(memory=first.memory, disk=first.disk)
        inputs = [Path(folder) for folder in first.inputs]
        home = Path(first.home)
        self._whereabouts = Whereabouts(home, first.worker)
        self._apart = first.apart
        with Studio.open(
            home, inputs, budgets, allow_download=first.allow_download, shared_cache=first.shared_cache
        ) as studio:
            _ = studio.catalogue
            self._media = studio.media
            self._studio = studio
            logging.getLogger().addHandler(_ToRun(self._out))
            for work in (self._read, self._write, self._beat):
                threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
            self._out.put(Ready(pid=os.getpid()))
            studio.cache.catch_up()
            if first.warm:
                threading.Thread(target=self._warm, args=(studio,), name="warm", daemon=True).start()
            while True:
                job = self._jobs.get()
                if job is None:
                    break
                if isinstance(job, Free):
                    self._free(studio, job)
                else:
                    self._run(studio, job)
        self._drain()

    # Threads

    def _read(self) -> None:
        while True:
            try:
                message = read_message(self._source)
            except (OSError, ValueError, msgspec.DecodeError):
                message = None
            if message is None:
                # The server is gone. Nothing that is finished is lost by ending here: results are written as they come.
                os._exit(0)
            if isinstance(message, Begin):
                job = _Job(message)
                self._watched = message.previews
                self._running[message.run] = job
                self._jobs.put(job)
            elif isinstance(message, Stop):
                job = self._running.get(message.run)
                if job is not None:
                    job.cancel.set()
            elif isinstance(message, Watched):
                self._watched = message.previews
            elif isinstance(message, Free):
                self._jobs.put(message)
            elif isinstance(message, Quit):
                self._jobs.put(None)

    def _write(self) -> None:
        while True:
            first = self._out.get()
            waiting = [first]
            with suppress(queue.Empty):
                while len(waiting) < _FRAME_EVENTS:
                    waiting.append(self._out.get_nowait())
            try:
                for message in self._messages(waiting):
                    self._sink.write(frame(message))
                self._sink.flush()
            except (OSError, ValueError):
                os._exit(0)

    def _beat(self) -> None:
        while True:
            used, hits, misses = self._studio.cache_use()
            free = device_free(self._place)
            self._out.put(Beat(memory=resident_bytes(), free=free, cache=used, hits=hits, misses=misses))
            time.sleep(BEAT_SECONDS)

    def _messages(self, waiting: list[Message | tuple[Begin, Event]]) -> list[Message]:
        """Events of one run together, previews as images of their own, only the newest of each node."""
        found: list[Message] = []
        told: list[AnyEvent] = []
        newest: dict[tuple[str, str], NodeProgress] = {}
        begin: Begin | None = None
        for item in [*waiting, None]:
            if isinstance(item, tuple) and (begin is None or item[0] is begin):
                begin, event = item
            else:
                if begin is not None and told:
                    found.append(Told(run=begin.run, attempt=begin.attempt, events=told))
                told, begin = [], None
                if isinstance(item, Message):
                    found.append(item)
                    continue
                if item is None:
                    continue
                begin, event = item
            if isinstance(event, NodeProgress) and event.preview is not None:
                newest[event.run, event.node] = event
                event = msgspec.structs.replace(event, preview=None)
            told.append(cast(AnyEvent, event))
        found += [preview for event in newest.values() if (preview := self._preview(event)) is not None]
        return found

    def _preview(self, event: NodeProgress) -> Preview | None:
        now = time.monotonic()
        key = event.run, event.node
        if not self._watched or now - self._previewed.get(key, 0.0) < PREVIEW_SECONDS:
            return None
        self._previewed = {key: now}
        try:
            encoded = encode_preview(event.preview, self._media)
        except Exception:
            log.warning("a preview of %s could not be encoded", event.node, exc_info=True)
            return None
        if encoded is None:
            return None
        data, width, height = encoded
        return Preview(
            run=event.run,
            node=event.node,
            step=event.step,
            total=event.total,
            media_type="image/jpeg",
            width=width,
            height=height,
            data=data,
        )

    # Work

    def _warm(self, studio: Studio) -> None:
        started = time.perf_counter()
        try:
            numerics = studio.numerics
            state = device_state(studio.device)
            self._place = studio.device
            seconds = time.perf_counter() - started
            self._out.put(Warm(seconds=seconds, numerics=numerics, libraries=library_versions(), **state))
        except Exception:
            log.exception("loading ahead failed; runs that need these libraries will say why")
            self._out.put(Warm(seconds=0.0, device="", numerics="", libraries={}))

    def _run(self, studio: Studio, job: _Job) -> None:
        begin = job.begin
        token = run_id.set(begin.run)
        started = time.perf_counter()
        ended: Ended | Helped
        try:
            ended = self._helped(studio, job) if begin.part else self._outcome(studio, job)
        except ProblemError as error:
            ended = _failed(begin, started, list(error.problems))
        except BaseException as error:
            log.exception("run %s broke the worker's loop", begin.run)
            message = f"The run failed: {str(error)[:300] or type(error).__name__}"
            problem = Problem(code="run_failed", message=message, hint="The server's log holds the details.")
            ended = _failed(begin, started, [problem])
        finally:
            del self._running[begin.run]
            run_id.reset(token)
        if begin.part:
            ended = Helped(run=begin.run)  # whoever has the run meets what is wrong with it, too
        self._out.put(msgspec.structs.replace(ended, models=_names(studio)))

    def _outcome(self, studio: Studio, job: _Job) -> Ended:
        begin = job.begin
        document = filled(Document.loads(begin.document), begin.inputs)

        def emit(event: Event) -> None:
            self._whereabouts.follow(event)
            if self._apart and isinstance(event, NodeFinished):
                self._send_shown(studio, event)
            self._out.put((begin, event))

        with self._below(studio, begin):
            outcome = studio.run(
                document,
                output=studio.home / "output",
                targets=begin.targets,
                emit=emit,
                cancel=job.cancel,
                options=self._options(begin),
                run_id=begin.run,
            )
        result = outcome.result
        return Ended(
            run=begin.run,
            attempt=begin.attempt,
            status=result.status,
            seconds=result.seconds,
            nodes=result.nodes,
            outputs=outcome.outputs,
            files=_files(outcome),
            problems=list(result.problems),
            shown={
                node: shown
                for node, files in result.files.items()
                if (shown := [file for file in files if not file.keep])
            },
            types={
                path + node.id: node.kind.spec.id for path, graph in outcome.graph.everything() for node in graph.nodes
            },
        )

    def _send_shown(self, studio: Studio, event: NodeFinished) -> None:
        for file in event.files:
            data = None if file.keep else studio.cache.get_bytes(file.digest)
            if data is not None and len(data) < MAX_FRAME - _ROOM:
                self._out.put(Blob(digest=file.digest, data=data))

    def _helped(self, studio: Studio, job: _Job) -> Helped:
        """Computes what nobody has begun of a run that another worker has. Of that alone something is told."""
        begin = job.begin
        ours: set[str] = set()

        def emit(event: Event) -> None:
            self._whereabouts.follow(event)
            if isinstance(event, NodeStarted):
                ours.add(event.node)
            if isinstance(event, NodeStarted | NodeProgress | NodeWarned | NodeFinished) and event.node in ours:
                self._out.put((begin, event))

        document = filled(Document.loads(begin.document), begin.inputs)
        with self._below(studio, begin):
            studio.help(document, begin.targets, emit, job.cancel, self._options(begin), begin.run)
        return Helped(run=begin.run)

    @staticmethod
    def _below(studio: Studio, begin: Begin) -> AbstractContextManager[None]:
        """Spans of a trace, if there are any, belong to that of the attempt."""
        return studio.traces.below(begin.parent) if studio.traces is not None else nullcontext()

    def _options(self, begin: Begin) -> RunOptions:
        return RunOptions(
            previews=lambda: self._watched,
            checkpoint_seconds=begin.checkpoint_seconds,
            force=frozenset(begin.force),
            shared=begin.shared,
            part=begin.part,
        )

    def _free(self, studio: Studio, message: Free) -> None:
        if message.cache:
            studio.cache.clear()
        else:
            studio.free()
        self._out.put(Freed(memory=resident_bytes()))

    def _drain(self) -> None:
        deadline = time.monotonic() + 5
        while not self._out.empty() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.02)


def _names(studio: Studio) -> tuple[str, ...]:
    """The models that are in memory."""
    return tuple(dict.fromkeys(model.name for model in studio.models.loaded()))


def _files(outcome: Outcome) -> list[Made]:
    """All files of a run: those that nodes saved, and values that are outputs without having been saved."""
    made: list[Made] = []
    for node, delivered in outcome.delivered.items():
        facts = facts_of(outcome.graph, node) if delivered else Facts()
        made += [Made(node=node, facts=facts, **_made(msgspec.to_builtins(file))) for file in delivered]
    known = {file.path for file in made}
    for name, items in outcome.outputs.items():
        new = [item for item in items if item.get("path", "") not in ("", *known)]
        if new:
            facts = facts_of(outcome.graph, outcome.graph.origin(outcome.graph.outputs[name]))
            made += [Made(output=name, facts=facts, **_made(item)) for item in new]
    return made


def _made(item: dict[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in ("path", "media_type", "digest", "size", "width", "height", "frames", "seconds")}


def _failed(begin: Begin, started: float, problems: list[Problem]) -> Ended:
    return Ended(
        run=begin.run,
        attempt=begin.attempt,
        status="failed",
        seconds=time.perf_counter() - started,
        nodes={},
        outputs={},
        files=[],
        problems=problems,
    )


def encode_preview(value: Any, media: MediaRegistry) -> tuple[bytes, int, int] | None:
    """A value as a small JPEG, with its width and height; None where there is nothing to see of it."""
    image = media.preview(value)
    if image is None:
        return None
    image.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue(), image.width, image.height


def main() -> None:
    """Takes over standard input and output for messages; whatever prints writes to standard error from now on."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    # Ctrl-C reaches every process of a terminal; the server alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    _give_way()
    # A node that computes in Python must not keep events and cancels waiting for the usual 5 ms.
    sys.setswitchinterval(0.001)
    start_logging(Environment.read().log)
    Worker(source, sink).serve()
    sink.close()
    # Threads of libraries must not keep a process that has nothing left to do.
    os._exit(0)


def _give_way() -> None:
    """The server and the browser answer at once even while a model has all cores: they come first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


__all__ = ["FromWorker", "RunFinished", "Worker", "encode_preview", "main"]

if __name__ == "__main__":
    main()
