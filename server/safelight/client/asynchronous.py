"""A client of the server, for programs: `Client` blocks, `AsyncClient` is for asyncio. Both speak in the server's
structs.

    with Client("http://127.0.0.1:8686") as client:
        run = client.run(workflow="text_to_image", inputs={"prompt": "a red apple"})
        client.download(run, Path("images"))
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from safelight.disk import is_below
from safelight.graph import Document
from safelight.protocol.common import Done
from safelight.protocol.files import FilePage, GalleryPage, Opened, Uploaded
from safelight.protocol.graph import CatalogueAnswer, CheckAnswer, PlanAnswer
from safelight.protocol.imports import Kind
from safelight.protocol.messages import Events, Hello
from safelight.protocol.records import (
    ENDED,
    Batch,
    HostEvent,
    Run,
    RunChanged,
    RunDetail,
    RunFile,
    Snapshot,
    Workflow,
    WorkflowInfo,
)
from safelight.protocol.runs import BatchAnswer, QueueAnswer, RunPage
from safelight.protocol.system import Health, SystemAnswer
from safelight.sdk.problem import Problem, ProblemError

from .connection import GATEWAY, RESTART, Connection

Documented = Document | Mapping[str, Any] | None


class AsyncClient(Connection):
    """Talks to one server. To be used as `async with`, on one event loop.

    Every method raises ProblemError: with the server's problems, or `server_unreachable`, `certificate_refused`,
    `not_the_server` (a proxy in between has answered by itself).
    """

    # What there is

    async def health(self) -> Health:
        status, answer = await self._send("GET", "/healthz", None, {}, {})
        return self._decoded(status, answer, Health)

    async def catalogue(self) -> CatalogueAnswer:
        return await self.request("GET", "/catalogue", CatalogueAnswer)

    async def system(self) -> SystemAnswer:
        return await self.request("GET", "/system", SystemAnswer)

    async def check(self, document: Documented, targets: Sequence[str] | None = None) -> CheckAnswer:
        return await self.request("POST", "/check", CheckAnswer, {"document": _data(document), "targets": targets})

    async def plan(
        self,
        document: Documented,
        inputs: Mapping[str, Any] | None = None,
        targets: Sequence[str] | None = None,
        force: Sequence[str] = (),
    ) -> PlanAnswer:
        body = {"document": _data(document), "inputs": inputs or {}, "targets": targets, "force": force}
        return await self.request("POST", "/plan", PlanAnswer, body)

    # Runs

    async def submit(self, document: Documented = None, **how: Any) -> Run:
        """Has a run accepted. `how` are the fields of the request: `workflow`, `inputs`, `values`, `key`, ...

        Safe to be repeated after a lost connection: the request carries a key, made up if none is given.
        """
        body = _body(document, how)
        body.setdefault("key", secrets.token_hex(12))
        return await self.request("POST", "/runs", Run, body, repeat=True)

    async def submit_batch(self, document: Documented = None, **how: Any) -> BatchAnswer:
        """Has a sweep accepted: `rows`, `sweep`, and what `submit` takes."""
        body = _body(document, how)
        body.setdefault("key", secrets.token_hex(12))
        return await self.request("POST", "/runs/batch", BatchAnswer, body, repeat=True)

    async def get(self, run: str) -> RunDetail:
        return await self.request("GET", f"/runs/{_part(run)}", RunDetail)

    async def runs(self, **query: str | int) -> RunPage:
        return await self.request("GET", "/runs", RunPage, query={key: str(value) for key, value in query.items()})

    async def queue(self) -> QueueAnswer:
        return await self.request("GET", "/queue", QueueAnswer)

    async def cancel(self, run: str, *, hard: bool = False) -> Run:
        return await self.request("POST", f"/runs/{_part(run)}/cancel", Run, {"hard": hard})

    async def retry(self, run: str) -> Run:
        return await self.request("POST", f"/runs/{_part(run)}/retry", Run)

    async def log(self, run: str) -> str:
        """What happened in a run, as text."""
        status, answer = await self._send("GET", f"/api/v1/runs/{_part(run)}/log", None, {}, {})
        if status >= 400:
            self._decoded(status, answer, Any)
        return answer.decode()

    async def batch(self, batch: str) -> Batch:
        """A sweep as a grid."""
        return await self.request("GET", f"/batches/{_part(batch)}", Batch)

    async def batch_table(self, batch: str) -> str:
        """A sweep as CSV, one line a run."""
        status, answer = await self._send("GET", f"/api/v1/batches/{_part(batch)}/table.csv", None, {}, {})
        return answer.decode() if status < 400 else self._decoded(status, answer, str)

    async def cancel_batch(self, batch: str) -> Done:
        return await self.request("POST", f"/batches/{_part(batch)}/cancel", Done)

    async def retry_batch(self, batch: str) -> BatchAnswer:
        """Has what failed or was cancelled of a sweep run again."""
        return await self.request("POST", f"/batches/{_part(batch)}/retry", BatchAnswer)

    async def events(self, after: int | None = None) -> AsyncGenerator[tuple[int, HostEvent], None]:
        """Events with their numbers, for ever. Connects again by itself, and misses nothing.

        Raises:
            ProblemError: `server_unreachable` when it does not come back within the client's patience, or `refused`.
        """
        loop = asyncio.get_running_loop()
        failures, patience = 0, self._patience
        lost: float | None = loop.time()
        while True:
            try:
                query = {"after": str(after)} if after is not None else {}
                async with self._open.ws_connect(
                    self._url + "/api/v1/events", params=query, heartbeat=30, max_msg_size=0
                ) as socket:
                    self._met = True
                    failures, lost, patience = 0, None, max(self._patience, RESTART)
                    async for message in socket:
                        if message.type is not aiohttp.WSMsgType.TEXT:
                            continue
                        told = msgspec.json.decode(message.data, type=Hello | Events)
                        if isinstance(told, Hello):
                            continue
                        for event in told.events:
                            after = event.number
                            yield event.number, event.data
            except aiohttp.WSServerHandshakeError as error:
                lost = loop.time() if lost is None else lost
                if not self._met or error.status not in GATEWAY or loop.time() - lost > patience:
                    raise self._refused(error) from None
            except aiohttp.ClientConnectorCertificateError as error:
                raise self._distrusted(error) from None
            except (aiohttp.ClientError, ValueError) as error:
                lost = loop.time() if lost is None else lost
                if loop.time() - lost > patience:
                    raise self._unreachable(error) from None
            lost = loop.time() if lost is None else lost
            await asyncio.sleep(min(1.0, 0.1 * 2**failures))
            failures += 1

    async def run(
        self,
        document: Documented = None,
        on_event: Callable[[HostEvent], None] | None = None,
        on_accepted: Callable[[Run], None] | None = None,
        **how: Any,
    ) -> RunDetail:
        """Has a run accepted, waits for its end and gives it with all its results. `on_event` is told its events."""
        stream = self.events()
        try:
            await anext(stream)  # the snapshot: from here on nothing is missed
            accepted = await self.submit(document, **how)
            if on_accepted is not None:
                on_accepted(accepted)
            if accepted.status in ENDED:
                return await self.get(accepted.id)
            async for _, event in stream:
                if isinstance(event, Snapshot):
                    # The connection was lost for long; the run may have ended meanwhile.
                    if accepted.id not in {run.id for run in event.runs}:
                        found = await self.get(accepted.id)
                        if found.status in ENDED:
                            return found
                    continue
                ours = getattr(event, "run", None)
                if isinstance(event, RunChanged):
                    if event.run.id == accepted.id and event.run.status in ENDED:
                        if on_event is not None:
                            on_event(event)
                        break
                elif ours == accepted.id and on_event is not None:
                    on_event(event)
        finally:
            await stream.aclose()
        return await self.get(accepted.id)

    # Files and workflows

    async def upload(self, path: Path, name: str | None = None) -> Uploaded:
        """Puts an image or text into the server's input folder."""
        data = await asyncio.to_thread(path.read_bytes)
        return await self.request("POST", "/files/input", Uploaded, data=data, query={"name": name or path.name})

    async def files(self, folder: str = "output", **query: str | int) -> FilePage:
        given = {key: str(value) for key, value in query.items()}
        return await self.request("GET", f"/files/{folder}", FilePage, query=given)

    async def gallery(self, **query: str | float) -> GalleryPage:
        """What runs have made: `search`, `node`, `model`, `workflow`, `since`, `until`, `offset`, `limit`, ..."""
        given = {key: str(value) for key, value in query.items()}
        return await self.request("GET", "/gallery", GalleryPage, query=given)

    async def download(self, run: Run, folder: Path) -> list[Path]:
        """Writes all files of a run into a folder, under free names, and says where."""
        return [await self.fetch(file, folder) for file in run.files]

    async def fetch(self, file: RunFile, folder: Path) -> Path:
        """Writes one file of a run. The same bytes under its name are left as they are.

        Raises:
            ProblemError: `cannot_write`, for the folder.
        """
        status, data = await self._send("GET", file.url, None, {}, {}, page=file.media_type == "text/html")
        if status >= 400:
            self._decoded(status, data, Any)
        try:
            return await asyncio.to_thread(_write, folder, file.name, data)
        except OSError as error:
            message = f"{file.name!r} cannot be written into {str(folder)!r}: {error.strerror or error}."
            hint = "Choose another folder; the file stays on the server."
            raise ProblemError(Problem(code="cannot_write", message=message, hint=hint, value=str(folder))) from None

    async def open(self, path: Path, kind: Kind | None = None) -> Opened:
        """The workflow in a file or image; `kind` asks for another one of the `kinds` that an answer names."""
        data = await asyncio.to_thread(path.read_bytes)
        return await self.request("POST", "/open", Opened, query={"kind": kind} if kind else {}, data=data)

    async def workflows(self, search: str = "") -> list[WorkflowInfo]:
        return await self.request("GET", "/workflows", list[WorkflowInfo], query={"search": search})

    async def workflow(self, name: str) -> Workflow:
        return await self.request("GET", f"/workflows/{quote(name, safe='')}", Workflow)

    async def save(self, name: str, document: Documented, revision: int = 0, message: str = "") -> WorkflowInfo:
        """Raises ProblemError `workflow_conflict` when another revision is there."""
        body = {"document": _data(document), "revision": revision, "message": message}
        return await self.request("PUT", f"/workflows/{quote(name, safe='')}", WorkflowInfo, body)


def _part(text: str) -> str:
    """A part of an address: what was typed leads to no other one."""
    return quote(text, safe="")


def _data(document: Documented) -> Any:
    return document.data() if isinstance(document, Document) else document


def _body(document: Documented, how: Mapping[str, Any]) -> dict[str, Any]:
    body = {key: value for key, value in how.items() if value is not None}
    if document is not None:
        body["document"] = _data(document)
    return body


def _write(folder: Path, name: str, data: bytes) -> Path:
    """The name comes from a server: only its last parts count, and only below the folder."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("", "/", "..", ".")]
    target = folder.joinpath(*parts) if parts else folder / "file"
    if not is_below(target, folder):
        target = folder / target.name
    target.parent.mkdir(parents=True, exist_ok=True)
    number = 1
    path = target
    while path.exists():
        if path.read_bytes() == data:
            return path
        number += 1
        path = target.with_name(f"{target.stem}_{number}{target.suffix}")
    with path.open("xb") as file:
        file.write(data)
    return path
