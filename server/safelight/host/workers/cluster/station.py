"""What is on a machine of the cluster: an actor that starts a worker process there, in a home of its own, and passes on
what is said. Every method may be called again after an answer was lost: it does nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safelight.disk import is_below, try_lock
from safelight.places import data_folder
from safelight.sdk.codec import hash_file

from ..machine import out_of_memory_kills

POLL_SECONDS = 10.0
"""The longest that `receive` waits for something to be said."""
PIECE = 8 << 20
_LAST_WORDS = 0.5
_SLOTS = 256
_INPUT_SECONDS = 30 * 24 * 3600.0


class Station:
    """The actor's class. Its methods are asynchronous, so that one that waits holds up no other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._home = Path()
        self._release: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._said = bytearray()
        self._dropped = 0
        self._taken = 0
        self._lock = asyncio.Lock()
        self._code: int | None = None
        self._kills_before = 0
        self._digests: dict[str, tuple[int, int, str]] = {}

    async def open(self, threads: int, share: int) -> tuple[str, int, str]:
        """Starts the worker, with so many threads (0: the machine's, shared by `share` workers). Gives its home, its
        process and the version of Safelight here."""
        async with self._lock:  # asked again while it is tidied, it starts no second
            if self._process is None:
                self._loop = asyncio.get_running_loop()
                self._home, self._release = _home()
                await asyncio.to_thread(_tidy, self._home / "input")
                self._kills_before = out_of_memory_kills()
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "safelight.host.workers.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=_environment(threads or max(1, (os.cpu_count() or 1) // share)),
                )
                threading.Thread(target=self._listen, args=(self._process,), daemon=True, name="listen").start()
            process = self._process
        return str(self._home), process.pid, version("safelight")

    async def send(self, at: int, data: bytes) -> None:
        """`data` begins at this byte of all that the worker is told."""
        async with self._lock:
            new = memoryview(data)[max(0, self._taken - at) :]
            process = self._process
            if not new or process is None or process.stdin is None:
                return
            self._taken += len(new)
            with suppress(OSError):  # it has ended, which `receive` tells
                await asyncio.to_thread(_write, process.stdin, new)

    async def receive(self, after: int) -> tuple[bytes, int | None, bool]:
        """What the worker has said from byte `after` on; once it has ended and all is told, its exit code, and whether
        its system ended it for want of memory. What is before `after` has arrived."""
        del self._said[: max(0, after - self._dropped)]
        self._dropped = max(after, self._dropped)
        deadline = time.monotonic() + POLL_SECONDS
        while not self._said and self._code is None and (left := deadline - time.monotonic()) > 0:
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        starved = self._code == -signal.SIGKILL and out_of_memory_kills() > self._kills_before
        return bytes(self._said[:PIECE]), None if self._said else self._code, starved

    # Files, all below the worker's home

    async def digest(self, name: str) -> str:
        """The digest of a file's bytes; empty where there is none. Who asks for it means to use it."""
        path = self._path(name)

        def work() -> str:
            with suppress(OSError):
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            return self._digest(path)

        return await asyncio.to_thread(work)

    async def write(self, name: str, at: int, data: bytes) -> None:
        """A piece of a file that is not there yet."""
        await asyncio.to_thread(_write_at, self._part(name), at, data)

    async def finish(self, name: str, digest: str) -> bool:
        """Gives a file its name when all of it has arrived as it was sent. Of a checkpoint, which its reader
        verifies, no digest is asked (empty)."""
        part, path = self._part(name), self._path(name)

        def work() -> bool:
            if part.exists():
                if digest and hash_file(part) != digest:
                    part.unlink()
                    return False
                part.replace(path)
            return not digest or self._digest(path) == digest

        return await asyncio.to_thread(work)

    async def read(self, name: str, at: int, size: int) -> bytes:
        """A piece of a file; nothing where there is none."""
        return await asyncio.to_thread(_read_at, self._path(name), at, size)

    async def only(self, folder: str, names: Sequence[str]) -> None:
        """Removes what lies below a folder and is none of these: it was sent for other runs."""
        top, kept = self._path(folder), {self._path(name) for name in names}

        def work() -> None:
            for path in top.rglob("*"):
                with suppress(OSError):
                    if path.is_file() and path not in kept:
                        path.unlink()

        await asyncio.to_thread(work)

    async def remove(self, name: str) -> None:
        with suppress(OSError):
            self._path(name).unlink()

    async def listed(self, folder: str) -> dict[str, tuple[int, int]]:
        """The files of a folder: by name, their size and when they were last written, in nanoseconds."""

        def work() -> dict[str, tuple[int, int]]:
            found: dict[str, tuple[int, int]] = {}
            with suppress(OSError):
                for entry in os.scandir(self._path(folder)):
                    with suppress(OSError):
                        if entry.is_file() and not entry.name.startswith("."):
                            look = entry.stat()
                            found[entry.name] = look.st_size, look.st_mtime_ns
            return found

        return await asyncio.to_thread(work)

    # Inside

    def _path(self, name: str) -> Path:
        path = self._home / name
        if not is_below(path, self._home):
            raise ValueError(f"{name!r} leads out of the worker's home.")
        return path

    def _part(self, name: str) -> Path:
        path = self._path(name)
        return path.with_name(f".{path.name}.part")

    def _digest(self, path: Path) -> str:
        try:
            look = path.stat()
            known = self._digests.get(str(path))
            if known is None or known[:2] != (look.st_size, look.st_mtime_ns):
                known = look.st_size, look.st_mtime_ns, hash_file(path)
                self._digests[str(path)] = known
            return known[2]
        except OSError:
            return ""

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """A thread: hears the worker out. What it has forked keeps its pipe open, so its end is seen apart."""
        reading = threading.Thread(target=self._read, args=(process,), daemon=True, name="read")
        reading.start()
        code = process.wait()
        reading.join(_LAST_WORDS)
        self._tell(b"", code)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with suppress(OSError):
            while data := os.read(process.stdout.fileno(), 1 << 20):
                self._tell(data)

    def _tell(self, data: bytes, code: int | None = None) -> None:
        assert self._loop is not None

        def add() -> None:
            self._said.extend(data)
            self._code = self._code if code is None else code
            self._news.set()

        with suppress(RuntimeError):  # the actor is ending
            self._loop.call_soon_threadsafe(add)


def _home() -> tuple[Path, Callable[[], None]]:
    """The first home below this machine's data folder that no other worker has, and what gives it back. It is kept for
    the next worker, with what it has cached and measured."""
    folder = data_folder().resolve() / "cluster"  # as the worker names what lies in it
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, _SLOTS):
        release = try_lock(folder / f"worker-{number}.lock")
        if release is not None:
            home = folder / f"worker-{number}"
            home.mkdir(exist_ok=True)
            return home, release
    raise OSError(f"{_SLOTS} workers have a home in {folder} already")


def _tidy(folder: Path) -> None:
    """Removes files that were sent for runs, and that no run has asked for since long."""
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_atime > _INPUT_SECONDS:
                path.unlink()


def _environment(threads: int) -> dict[str, str]:
    environment = dict(os.environ)
    environment["PYTHONUNBUFFERED"] = "1"
    # The models of the machine are for all of its workers.
    environment.setdefault("SAFELIGHT_MODELS", str(data_folder() / "models"))
    # Ray sets this one by the share of the processor that an actor reserves, which is no measure of what it may use.
    environment["OMP_NUM_THREADS"] = str(threads)
    return environment


def _write(file: Any, data: memoryview) -> None:
    file.write(data)
    file.flush()


def _write_at(path: Path, at: int, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if at else "wb") as file:
        file.seek(at)
        file.write(data)


def _read_at(path: Path, at: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    except FileNotFoundError:
        return b""
