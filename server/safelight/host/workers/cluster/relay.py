"""One worker of the cluster, seen from the server's machine: its actor is started, what is said is passed on both ways,
and files and checkpoints go with it."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from safelight.disk import draft
from safelight.media.registry import MediaRegistry
from safelight.sdk.codec import hash_file
from safelight.sdk.problem import Problem, ProblemError

from ..wire import LENGTH, Begin, Blob, Ended, Made, Setup, from_worker, to_worker
from ..wire import frame as framed
from .files import Inputs, Kept, placed
from .station import PIECE, POLL_SECONDS
from .wire import BridgeMessage, Gone, Heard, Open, Opened

log = logging.getLogger(__name__)

STATES = "cache/states"
_STATES_SECONDS = 1.0
_PAUSE = 0.5
_TRIES = 3
_HEAD = 16
_OURS = re.compile(rb"ended|blob")
"""In the first bytes of a message, which are its tag: of those that are not passed on as they are."""


class Lost(Exception):
    """The worker is gone, or given up; why."""


@dataclass(frozen=True)
class Ground:
    """What all relays of a bridge work with. `start` makes the actor of a place, `end` ends it; `out_of_reach` and
    `dead` are the exceptions by which Ray tells of one; `tell` tells the pool; `shown` keeps bytes that a
    node shows."""

    start: Callable[[Open], Any]
    end: Callable[[Any], None]
    out_of_reach: tuple[type[BaseException], ...]
    dead: tuple[type[BaseException], ...]
    tell: Callable[[BridgeMessage], None]
    share: Callable[[str], int]
    output: Path
    inputs: Inputs
    kept: Kept
    media: Callable[[], MediaRegistry]
    threads: int
    patience: float
    start_seconds: float
    shown: Callable[[bytes], object]


class Relay:
    """Lives from `Open` to `Gone`."""

    def __init__(self, ground: Ground, opened: Open) -> None:
        self._ground = ground
        self._open = opened
        self._actor: Any = None
        self._home = ""
        self._to_send: asyncio.Queue[bytes] = asyncio.Queue()
        self._sent = 0
        self._run: str | None = None
        self._part = False
        self._states: dict[str, tuple[int, int]] = {}
        self._states_lock = asyncio.Lock()
        self._delivering: set[asyncio.Task[None]] = set()

    def send(self, data: bytes) -> None:
        """A frame to the worker."""
        self._to_send.put_nowait(data)

    async def live(self) -> None:
        """Starts the worker and serves it until it has ended. Cancelled, it ends the worker at once."""
        gone = Gone(worker=self._open.worker, code=-9)
        try:
            gone = await self._serve()
        except Lost as error:
            gone = Gone(worker=self._open.worker, said=str(error))
        except Exception as error:
            log.exception("the relay of worker %s broke", self._open.worker)
            gone = Gone(
                worker=self._open.worker, said=f"the way to it broke: {str(error)[:300] or type(error).__name__}."
            )
        finally:
            for task in self._delivering:
                task.cancel()
            if self._actor is not None:
                self._ground.end(self._actor)
            self._ground.tell(gone)

    async def _serve(self) -> Gone:
        opened = self._open
        self._actor = self._ground.start(opened)
        share = self._ground.share(opened.place.node)
        try:
            starting = self._call("open", self._ground.threads, share)
            self._home, pid, theirs = await asyncio.wait_for(starting, self._ground.start_seconds)
        except TimeoutError:
            raise Lost(f"its actor did not start within {self._ground.start_seconds:g} seconds.") from None
        if theirs != version("safelight"):
            raise Lost(f"{opened.place.host} has Safelight {theirs}, the server {version('safelight')}.")
        self._ground.tell(Opened(worker=opened.worker, pid=pid))
        beside = [asyncio.create_task(work()) for work in (self._pass_on, self._keep_states)]
        listening = asyncio.create_task(self._listen())
        try:
            # Whichever breaks first says what there is to say; only listening ends by itself.
            await asyncio.wait([listening, *beside], return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                if task.done():
                    task.result()
            return await listening
        finally:
            for task in (listening, *beside):
                task.cancel()

    async def _call(self, method: str, *arguments: Any) -> Any:
        """An answer of the actor. One that is out of reach is asked again, for as long as patience has it."""
        deadline = 0.0
        while True:
            try:
                return await getattr(self._actor, method).remote(*arguments)
            except self._ground.out_of_reach as error:
                now = time.monotonic()
                deadline = deadline or now + self._ground.patience
                if now > deadline:
                    message = f"{self._open.place.host} was out of reach for {self._ground.patience:g} seconds."
                    raise Lost(message) from error
                await asyncio.sleep(_PAUSE)
            except self._ground.dead as error:
                raise Lost(_first_line(error)) from error

    # To the worker

    async def _pass_on(self) -> None:
        while True:
            data = await self._to_send.get()
            message = to_worker.decode(data[LENGTH.size :])
            if isinstance(message, Setup):
                data = framed(msgspec.structs.replace(message, home=self._home, inputs=(), apart=True))
            elif isinstance(message, Begin):
                await self._prepare(message)
            await self._call("send", self._sent, data)
            self._sent += len(data)

    async def _prepare(self, begin: Begin) -> None:
        """Input files and checkpoints of a run go before it."""
        inputs = self._ground.inputs
        files = await asyncio.to_thread(lambda: list(inputs.named(begin)))
        if await asyncio.to_thread(inputs.reads_folders, begin):
            # What lies there from other runs would be taken for a part of the folder.
            await self._call("only", "input", [f"input/{PurePosixPath(name)}" for name, _, _ in files])
        for name, path, digest in files:
            try:
                await self._bring(f"input/{PurePosixPath(name)}", path, digest)
            except OSError as error:  # the run says itself that it lacks the file, if it needs it
                log.warning("%s cannot be sent to worker %s: %s", name, self._open.worker, error)
        async with self._states_lock:
            for path in await asyncio.to_thread(self._ground.kept.of, begin.run):
                with suppress(OSError):
                    await self._bring(f"{STATES}/{path.name}", path, "")
            self._states = await self._call("listed", STATES)
            self._run, self._part = begin.run, begin.part

    async def _bring(self, name: str, path: Path, digest: str) -> None:
        if digest and await self._call("digest", name) == digest:
            return
        for _ in range(_TRIES):
            with path.open("rb") as file:
                at = 0
                while (data := await asyncio.to_thread(file.read, PIECE)) or at == 0:
                    await self._call("write", name, at, data)
                    at += len(data)
                    if not data:
                        break
            if await self._call("finish", name, digest):
                return
        log.warning("%s changed while it was sent to worker %s", path.name, self._open.worker)

    # From the worker

    async def _listen(self) -> Gone:
        after, rest = 0, b""
        while True:
            answer = self._call("receive", after)
            try:
                data, code, starved = await asyncio.wait_for(answer, POLL_SECONDS + self._ground.patience)
            except TimeoutError:
                raise Lost(f"{self._open.place.host} did not answer.") from None
            after += len(data)
            rest = self._heard(rest + data)
            if code is not None:
                if self._delivering:
                    await asyncio.wait(self._delivering)
                return Gone(worker=self._open.worker, code=code, starved=starved)

    def _heard(self, data: bytes) -> bytes:
        """Passes on the frames that are whole, and gives the rest."""
        at = whole = 0
        while len(data) - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, at)
            end = at + LENGTH.size + length
            if end > len(data):
                break
            body = data[at + LENGTH.size : end]
            if _OURS.search(body[:_HEAD]):
                message = from_worker.decode(body)
                if isinstance(message, Ended | Blob):
                    self._say(data[whole:at])
                    whole = end
                if isinstance(message, Ended):
                    task = asyncio.create_task(self._end(message))
                    self._delivering.add(task)
                    task.add_done_callback(self._delivered)
                elif isinstance(message, Blob):
                    self._ground.shown(message.data)
            at = end
        self._say(data[whole:at])
        return data[at:]

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._delivering.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The run has no end then: its worker's death is one.
            log.error("the files of worker %s cannot be had: %s", self._open.worker, error)
            self._ground.end(self._actor)

    def _say(self, data: bytes) -> None:
        if data:
            self._ground.tell(Heard(worker=self._open.worker, data=data))

    async def _end(self, ended: Ended) -> None:
        """A run's end is told when its checkpoints and files are here."""
        async with self._states_lock:
            await self._fetch_states()
            self._run = None
        moved: dict[str, str] = {}
        problems: list[Problem] = []
        try:
            for made in ended.files:
                if made.path not in moved:
                    moved[made.path] = str(await self._fetch(made))
        except OSError as error:
            said = f"A finished file cannot be written: {error.strerror or error}."
            problems = [Problem(code="cannot_write", message=said, hint="Make room on the disk.")]
        except ProblemError as error:
            problems = list(error.problems)
        files = [msgspec.structs.replace(made, path=moved[made.path]) for made in ended.files if made.path in moved]
        outputs = {
            name: [item | {"path": moved[item["path"]]} if item.get("path") in moved else item for item in items]
            for name, items in ended.outputs.items()
        }
        status = "failed" if problems and ended.status == "done" else ended.status
        if status in ("done", "failed"):
            await asyncio.to_thread(self._ground.kept.forget, ended.run)
        told = msgspec.structs.replace(
            ended, status=status, files=files, outputs=outputs, problems=[*ended.problems, *problems]
        )
        self._say(framed(told))

    async def _fetch(self, made: Made) -> Path:
        """Brings a finished file here. Raises Lost when it does not arrive as it was made."""
        name = PurePosixPath(made.path).relative_to(self._home)
        output = self._ground.output
        output.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            with draft(output) as copy:
                with copy.open("wb") as file:
                    while data := await self._call("read", str(name), file.tell(), PIECE):
                        await asyncio.to_thread(file.write, data)
                if await asyncio.to_thread(hash_file, copy) != made.digest:
                    continue
                within = str(name.relative_to("output"))
                path = await asyncio.to_thread(placed, made, within, copy, output, self._ground.media())
                await self._call("remove", str(name))
                return path
        raise Lost(f"{name} did not arrive as it was made.")

    # Checkpoints

    async def _keep_states(self) -> None:
        while True:
            await asyncio.sleep(_STATES_SECONDS)
            async with self._states_lock:
                await self._fetch_states()

    async def _fetch_states(self) -> None:
        """What has changed among the worker's checkpoints since its run began belongs to that run."""
        run = self._run
        if run is None or self._part:
            return
        kept = self._ground.kept
        now: dict[str, tuple[int, int]] = await self._call("listed", STATES)
        for name, look in now.items():
            if look == self._states.get(name):
                continue
            data = b""
            while len(data) < look[0] and (more := await self._call("read", f"{STATES}/{name}", len(data), PIECE)):
                data += more
            with suppress(OSError):  # a full disk here costs the steps since the last one that was kept
                await asyncio.to_thread(kept.put, run, name, data)
        for name in self._states.keys() - now.keys():
            with suppress(OSError):
                await asyncio.to_thread(kept.drop, run, name)
        self._states = now


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (" ".join(lines[:1]) or type(error).__name__)[:300]


__all__ = ["Ground", "Lost", "Relay"]
