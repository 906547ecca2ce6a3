"""A bucket of objects, through obstore: S3, Google Cloud Storage, Azure, or a folder. All waits have an end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit
from urllib.request import url2pathname

from safelight.sdk.problem import Problem, ProblemError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

SCHEMES = ("s3", "gs", "az", "file")
_SETTINGS = {
    "endpoint": "endpoint",
    "region": "region",
    "account": "account_name",
    "virtual_hosted": "virtual_hosted_style_request",
    "anonymous": "skip_signature",
}
"""What may stand behind the `?` of an address, and obstore's name for it. Secrets may not: addresses are seen."""
SLOWEST = 1 << 20
"""Bytes a second below which a transfer is given up."""
_AT_ONCE = 8
_PIECE = 1 << 20
_PART = 5 << 20
"""Bytes of a part of a large upload: S3 takes none below."""


class Away(Exception):
    """The bucket gives no answer, or none that is of use."""


class TooLarge(Away):
    """An object has more bytes than it may: the bucket is there, and this object of no use."""


class Look(NamedTuple):
    """An object of a listing: `at` is when it was written, in seconds since 1970 by the bucket's clock."""

    path: str
    bytes: int
    at: float


@dataclass(frozen=True)
class Put:
    """An object to be written: bytes, or a file of this machine."""

    path: str
    data: bytes | Path
    bytes: int


class Bucket:
    """May be used from any thread. Transfers run in one thread of its own, which starts with the first."""

    def __init__(self, url: str) -> None:
        """Raises ProblemError (`bad_shared_cache`) for an address that is none."""
        self.url = url
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._store: ObjectStore | None = None
        self._closed = False
        try:
            parts = urlsplit(url)
            self._scheme = parts.scheme
            self._place = parts._replace(query="", fragment="").geturl()
            given = dict(parse_qsl(parts.query, keep_blank_values=True))
        except ValueError as error:
            raise _bad(url, str(error)) from None
        self._folder = Path(url2pathname(parts.path)) if self._scheme == "file" else None
        if self._scheme not in SCHEMES or not (parts.path if self._folder else parts.netloc):
            raise _bad(url, "it names no bucket")
        if "@" in parts.netloc:
            raise _bad(f"{self._scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", "it holds a name or a secret")
        if self._folder is not None and parts.netloc:
            raise _bad(url, "a folder has three slashes, file:///folder")
        unknown = [name for name in given if self._folder is not None or name not in _SETTINGS]
        if unknown:
            raise _bad(url, f"{unknown[0]!r} is no setting of an address")
        if not given.get("endpoint", "http://").startswith(("http://", "https://")):
            raise _bad(url, "its endpoint begins with neither http:// nor https://")
        self._config = {_SETTINGS[name]: value for name, value in given.items()}

    def check(self) -> None:
        """Raises ProblemError (`bad_shared_cache`) where settings do not fit together; asks nothing of the bucket."""
        if self._folder is None:
            try:
                self._opened()
            except Away as error:
                raise _bad(self.url, str(error)) from None

    def get(self, path: str, most: int, wait: float) -> bytes | None:
        """The bytes of an object of `most` bytes at most; None when it is not there.

        Raises:
            Away: no answer within `wait` seconds, or a transfer that is too slow.
            TooLarge: the object has more bytes than that.
        """
        pieces: list[bytes] = []

        async def fetch() -> bytes | None:
            return b"".join(pieces) if await self._receive(path, most, wait, pieces.append) else None

        return self._run(fetch())

    def save(self, path: str, target: Path, most: int, wait: float) -> str | None:
        """Writes an object into a file, and gives its SHA-256; else as `get`.

        Raises:
            Away: see `get`.
            OSError: the file cannot be written.
        """
        digest = hashlib.sha256()
        failed: list[OSError] = []

        async def fetch() -> bool:
            try:
                file = target.open("wb")
            except OSError as error:
                failed.append(error)
                return False

            def take(piece: bytes) -> None:
                digest.update(piece)
                try:
                    file.write(piece)
                except OSError as error:
                    failed.append(error)
                    raise Away(str(error)) from error

            with file:
                return await self._receive(path, most, wait, take)

        try:
            found = self._run(fetch())
        except Away:
            if not failed:
                raise
            found = False
        if failed:
            raise failed[0]
        return digest.hexdigest() if found else None

    def look(self, paths: Sequence[str]) -> dict[str, Look]:
        """Those of the objects that are there. Raises Away."""
        import obstore

        async def one(path: str) -> Look | None:
            try:
                found = await obstore.head_async(self._opened(), path)
            except FileNotFoundError:
                return None
            return Look(path, found["size"], found["last_modified"].timestamp())

        found = self._run(self._several([lambda path=path: one(path) for path in paths]))
        return {look.path: look for look in found if look is not None}

    def put(self, jobs: Sequence[Put], rate: Rate | None = None) -> None:
        """Writes objects, some of them at once. Raises Away when one of them could not be written."""
        import obstore

        async def one(job: Put) -> None:
            data: Any = job.data if rate is None else rate.pieces(job.data)
            await obstore.put_async(
                self._opened(), job.path, data, use_multipart=job.bytes > _PART, chunk_size=_PART, max_concurrency=2
            )

        if self._folder is not None and jobs and not self._folder.is_dir():
            # Not made: where the folder of a network is not there just now, its empty place must not be filled.
            raise Away(f"there is no folder {str(self._folder)!r}.")
        self._run(self._several([lambda job=job: one(job) for job in jobs]))

    def list(self, folder: str) -> Iterator[Look]:
        """All objects below a folder. Raises Away."""
        import obstore

        with _as_away():
            for page in obstore.list(self._opened(), folder + "/", chunk_size=1000):
                for found in page:
                    yield Look(found["path"], found["size"], found["last_modified"].timestamp())

    def delete(self, paths: Sequence[str]) -> None:
        """Removes objects; those that are gone already are no error. Raises Away."""
        import obstore

        for start in range(0, len(paths), 500):
            some = list(paths[start : start + 500])
            try:
                with _as_away():
                    obstore.delete(self._opened(), some)
            except FileNotFoundError:  # some stores stop at what another has removed meanwhile
                for path in some:
                    with suppress(FileNotFoundError), _as_away():
                        obstore.delete(self._opened(), path)

    def close(self) -> None:
        """Ends all transfers: who waits for one gets Away."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(_ended(), loop)
        if thread is not threading.current_thread():
            thread.join(5.0)

    async def _receive(self, path: str, most: int, wait: float, take: Callable[[bytes], object]) -> bool:
        import obstore

        try:
            async with asyncio.timeout(wait):
                result = await obstore.get_async(self._opened(), path)
            size = result.meta["size"]
            if size > most:
                raise TooLarge(f"an object of {size:,} bytes is larger than the {most:,} that may be.")
            async with asyncio.timeout(wait + size / SLOWEST):
                async for piece in result.stream(min_chunk_size=_PIECE):
                    take(piece)
        except FileNotFoundError:
            return False
        except TimeoutError:
            raise Away(f"no answer within {wait:g} seconds.") from None
        return True

    async def _several(self, works: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
            async with room:
                return await work()

        return await asyncio.gather(*map(one, works))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            with _as_away():
                future = asyncio.run_coroutine_threadsafe(work, self._started())
        except Away:
            work.close()
            raise
        try:
            while not future.done() and not self._closed:
                concurrent.futures.wait([future], timeout=1.0)
            with _as_away():
                # One that was handed over as the loop ended is never done.
                return future.result(timeout=2.0 if self._closed else None)
        except FileNotFoundError as error:  # what was to be read is known by then: a bucket that is not there
            raise Away(_first_line(error)) from None
        finally:
            future.cancel()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise Away("it is closed.")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_turn, args=(self._loop,), name="shared-cache", daemon=True)
                self._thread.start()
            return self._loop

    def _opened(self) -> ObjectStore:
        if self._store is None:
            with _as_away():
                self._store = self._open()
        return self._store

    def _open(self) -> ObjectStore:
        from obstore.store import LocalStore, from_url

        if self._folder is not None:
            return LocalStore(self._folder)
        plain = self._config.get("endpoint", "").startswith("http://")
        return from_url(
            self._place,
            config=dict(self._config),  # type: ignore[arg-type]  its keys are those of one store or another
            client_options={
                "allow_http": plain,
                "connect_timeout": "5s",
                "read_timeout": "30s",
                "timeout": "1h",  # of a whole transfer, which `_receive` bounds by its size
            },
            retry_config={
                "max_retries": 1,  # who asks comes back later by itself
                "retry_timeout": timedelta(seconds=30),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=50),
                    "max_backoff": timedelta(seconds=1),
                    "base": 2,
                },
            },
        )


class Rate:
    """Holds what several transfers send together to some bytes a second."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def pieces(self, data: bytes | Path) -> AsyncIterator[bytes]:
        size = max(1, min(_PIECE, self._rate // 4))
        if isinstance(data, bytes):
            for start in range(0, len(data), size):
                yield await self._paced(data[start : start + size])
            return
        with data.open("rb") as file:
            while piece := file.read(size):
                yield await self._paced(piece)

    async def _paced(self, piece: bytes) -> bytes:
        now = asyncio.get_running_loop().time()
        at = max(now, self._free_at)
        self._free_at = at + len(piece) / self._rate
        await asyncio.sleep(at - now)
        return piece


@contextmanager
def _as_away() -> Iterator[None]:
    """What goes wrong with a bucket, by whatever name, is Away. What is not there stays FileNotFoundError."""
    try:
        yield
    except (Away, FileNotFoundError):
        raise
    except (asyncio.CancelledError, concurrent.futures.CancelledError):
        raise Away("it is closed.") from None
    except Exception as error:
        raise Away(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _ended() -> None:
    """Ends all transfers, and then the loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)
    await asyncio.sleep(0)  # who waits for one is told by what is still to be called
    asyncio.get_running_loop().stop()


def _bad(url: str, why: str) -> ProblemError:
    shown = url.partition("?")[0]
    hint = (
        "Write s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///folder; behind a ? may stand "
        f"{', '.join(_SETTINGS)}. Names and secrets of accounts come from the cloud's own environment variables."
    )
    message = f"{shown!r} cannot be used as a shared cache: {why}."
    return ProblemError(Problem(code="bad_shared_cache", message=message, hint=hint, value=shown))
