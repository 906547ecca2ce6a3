"""The client for plain programs: the one for asyncio, on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from safelight.protocol.common import Done
from safelight.protocol.files import FilePage, GalleryPage, Opened, Uploaded
from safelight.protocol.graph import CatalogueAnswer, CheckAnswer, PlanAnswer
from safelight.protocol.imports import Kind
from safelight.protocol.records import Batch, HostEvent, Run, RunDetail, RunFile, Workflow, WorkflowInfo
from safelight.protocol.runs import BatchAnswer, QueueAnswer, RunPage
from safelight.protocol.system import Health, SystemAnswer

from .asynchronous import AsyncClient, Documented

T = TypeVar("T")


class Client:
    """The same, blocking: every method of `AsyncClient` by its name. To be used in a `with` block."""

    def __init__(self, url: str, token: str | None = None, *, patience: float = 10.0) -> None:
        self._client = AsyncClient(url, token, patience=patience)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="safelight-client", daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        try:
            self._do(self._client.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(Exception):
            self._do(self._client.__aexit__(kind, error, trace))
        self._end()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def request(self, method: str, address: str, kind: Any = Any, body: Any = None, **more: Any) -> Any:
        return self._do(self._client.request(method, address, kind, body, **more))

    def health(self) -> Health:
        return self._do(self._client.health())

    def catalogue(self) -> CatalogueAnswer:
        return self._do(self._client.catalogue())

    def system(self) -> SystemAnswer:
        return self._do(self._client.system())

    def check(self, document: Documented, targets: Sequence[str] | None = None) -> CheckAnswer:
        return self._do(self._client.check(document, targets))

    def plan(self, document: Documented, inputs: Mapping[str, Any] | None = None, **how: Any) -> PlanAnswer:
        return self._do(self._client.plan(document, inputs, **how))

    def submit(self, document: Documented = None, **how: Any) -> Run:
        return self._do(self._client.submit(document, **how))

    def submit_batch(self, document: Documented = None, **how: Any) -> BatchAnswer:
        return self._do(self._client.submit_batch(document, **how))

    def get(self, run: str) -> RunDetail:
        return self._do(self._client.get(run))

    def runs(self, **query: str | int) -> RunPage:
        return self._do(self._client.runs(**query))

    def queue(self) -> QueueAnswer:
        return self._do(self._client.queue())

    def cancel(self, run: str, *, hard: bool = False) -> Run:
        return self._do(self._client.cancel(run, hard=hard))

    def retry(self, run: str) -> Run:
        return self._do(self._client.retry(run))

    def log(self, run: str) -> str:
        return self._do(self._client.log(run))

    def batch(self, batch: str) -> Batch:
        return self._do(self._client.batch(batch))

    def batch_table(self, batch: str) -> str:
        return self._do(self._client.batch_table(batch))

    def cancel_batch(self, batch: str) -> Done:
        return self._do(self._client.cancel_batch(batch))

    def retry_batch(self, batch: str) -> BatchAnswer:
        return self._do(self._client.retry_batch(batch))

    def gallery(self, **query: str | float) -> GalleryPage:
        return self._do(self._client.gallery(**query))

    def events(self, after: int | None = None) -> Iterator[tuple[int, HostEvent]]:
        stream = self._client.events(after)
        try:
            while True:
                yield self._do(stream.__anext__())
        finally:
            self._do(stream.aclose())

    def run(
        self,
        document: Documented = None,
        on_event: Callable[[HostEvent], None] | None = None,
        on_accepted: Callable[[Run], None] | None = None,
        **how: Any,
    ) -> RunDetail:
        return self._do(self._client.run(document, on_event, on_accepted, **how))

    def upload(self, path: Path, name: str | None = None) -> Uploaded:
        return self._do(self._client.upload(path, name))

    def files(self, folder: str = "output", **query: str | int) -> FilePage:
        return self._do(self._client.files(folder, **query))

    def download(self, run: Run, folder: Path) -> list[Path]:
        return self._do(self._client.download(run, folder))

    def fetch(self, file: RunFile, folder: Path) -> Path:
        return self._do(self._client.fetch(file, folder))

    def open(self, path: Path, kind: Kind | None = None) -> Opened:
        return self._do(self._client.open(path, kind))

    def workflows(self, search: str = "") -> list[WorkflowInfo]:
        return self._do(self._client.workflows(search))

    def workflow(self, name: str) -> Workflow:
        return self._do(self._client.workflow(name))

    def save(self, name: str, document: Documented, revision: int = 0, message: str = "") -> WorkflowInfo:
        return self._do(self._client.save(name, document, revision, message))
