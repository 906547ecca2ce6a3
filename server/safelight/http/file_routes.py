"""Files of the input and output folders, finished bytes by digest, thumbnails, opening workflows out of images."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.app import Studio
from safelight.graph import Document
from safelight.host.files import Bytes, Found
from safelight.host.gallery import records as gallery
from safelight.host.uploads import Upload, accept, most_bytes
from safelight.interop.reading import offers, read
from safelight.protocol.common import Done
from safelight.protocol.files import FileInfo, FilePage, Opened, Uploaded
from safelight.protocol.imports import Kind
from safelight.protocol.records import FileChanged
from safelight.sdk.problem import Problem, ProblemError

from .problems import Refused
from .ranges import send
from .routing import Answer, Call, Route, read_body
from .state import State

_LEARN_WAIT = (0.0, 0.05, 0.1, 0.2, 0.4)


class ListQuery(msgspec.Struct, kw_only=True):
    search: Annotated[str, Meta(max_length=500)] = ""
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class UploadQuery(msgspec.Struct, kw_only=True):
    """`name` is the path below the input folder."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


class SizeQuery(msgspec.Struct, kw_only=True):
    size: Literal["64", "128", "256", "512", "1024"] = "256"


class OpenQuery(msgspec.Struct, kw_only=True):
    """`kind` is what the file is opened as, where it holds several workflows: one of `kinds` of an answer."""

    kind: Kind | Literal[""] = ""


async def listed(call: Call) -> FilePage:
    folder, query, folders = _folder(call), call.query, call.state.folders
    found, total = await asyncio.to_thread(folders.listed, folder, query.search, query.offset, query.limit)
    infos = await _infos(call.state, folder, found)
    end = query.offset + len(found)
    return FilePage(files=infos, total=total, next=end if found and end < total else None)


async def _infos(state: State, folder: str, found: list[Found]) -> list[FileInfo]:
    names = [one.name for one in found]
    known = await state.host.database.read(lambda connection: gallery.named(connection, names)) if names else {}
    known = known if folder == "output" else {}

    def work() -> list[FileInfo]:
        made: list[FileInfo] = []
        for one in found:
            small = state.folders.media.has_thumbnail(one.media_type)
            digest = state.folders.digest(one) if small else ""
            rows = [row for row in known.get(one.name, ()) if row["digest"] == digest or row["size"] == one.size]
            row = max(rows, key=lambda row: (row["digest"] == digest, row["number"]), default=None)
            made.append(
                FileInfo(
                    name=one.name,
                    size=one.size,
                    modified=one.modified,
                    media_type=one.media_type,
                    url=f"/api/v1/files/{folder}/{quote(one.name)}",
                    thumbnail=f"/api/v1/thumbnails/{digest}" if digest else "",
                    digest=digest or (row["digest"] if row else ""),
                    width=row["width"] if row else 0,
                    height=row["height"] if row else 0,
                    frames=row["frames"] if row else 0,
                    seconds=row["seconds"] if row else 0.0,
                    run=f"r{row['run']}" if row and row["run"] is not None else None,
                )
            )
        return made

    return await asyncio.to_thread(work)


async def get(call: Call) -> web.StreamResponse:
    folder = _folder(call)
    found = await _find(call, folder)
    source = await asyncio.to_thread(call.state.folders.bytes_in, found)
    return await send(call.request, source, immutable=False, name=found.path.name)


async def upload(call: Call) -> Answer:
    state = call.state
    wait = state.uploads.take(state.guard.front.seen(call.request).remote)
    if wait:
        headers = {"Retry-After": str(int(wait) + 1)}
        raise Refused(429, "too_many_uploads", "Too many uploads in a short time.", "Wait a while.", headers=headers)
    data = await read_body(call.request, most_bytes(call.query.name, state.folders.media))

    def work() -> tuple[Upload, Found, bool, dict[str, Any] | None]:
        accepted = accept(call.query.name, data, state.folders.media)
        found, new = state.folders.store(accepted)
        return accepted, found, new, _document(accepted.workflow)

    accepted, found, new, document = await asyncio.to_thread(work)
    (info,) = await _infos(state, "input", [found])
    info = msgspec.structs.replace(info, **msgspec.structs.asdict(accepted.measures))
    if new:
        state.host.publish(FileChanged(folder="input", name=found.name))
    return Answer(Uploaded(file=info, document=document), 201 if new else 200)


def _document(text: str | None) -> dict[str, Any] | None:
    """The workflow that was in an image; None when there is none that can be read."""
    if text is None:
        return None
    try:
        return Document.loads(text).data()
    except ProblemError:
        return None


async def remove(call: Call) -> Done:
    folder = _folder(call)
    name = call.path["name"]
    if folder == "output":
        await _find(call, folder)
        thrown = await call.state.host.archive.throw_away_named(name)
        return Done(count=len(thrown))
    try:
        await asyncio.to_thread(call.state.folders.remove, name)
    except ProblemError as error:
        raise _as_missing(error) from None
    call.state.host.publish(FileChanged(folder=folder, name=name, removed=True))
    return Done()


async def blob(call: Call) -> web.StreamResponse:
    source = await _bytes(call.state, call.path["digest"])
    return await send(call.request, source, immutable=True)


async def thumbnail(call: Call) -> web.StreamResponse:
    source = await _bytes(call.state, call.path["digest"])
    side = int(call.query.size)
    try:
        data = await asyncio.to_thread(call.state.folders.small, source, side)
    except ProblemError as error:
        raise Refused(404, "no_thumbnail", error.problems[0].message) from None
    small = Bytes("image/webp", len(data), f"{source.digest}-{side}", data=data, inline=True)
    return await send(call.request, small, immutable=True)


async def _bytes(state: State, digest: str) -> Bytes:
    if len(digest) != 40 or any(mark not in "0123456789abcdef" for mark in digest):
        raise Refused(404, "blob_missing", f"{digest[:60]!r} is not a digest.")
    rows = await state.host.database.read(lambda connection: gallery.with_digest(connection, digest))
    places = [state.host.archive.path_of(row) for row in rows]
    # A worker writes behind: what an event has just announced may be a moment away.
    waits = _LEARN_WAIT if state.host.dispatcher.announced(digest) else _LEARN_WAIT[:1]
    for wait in waits:
        await asyncio.sleep(wait)
        found = await asyncio.to_thread(state.folders.bytes_of, digest, places)
        if found is not None:
            return found
    await asyncio.to_thread(state.folders.learn)
    found = await asyncio.to_thread(state.folders.bytes_of, digest, places)
    if found is None:
        hint = "It was deleted, or evicted from the cache."
        raise Refused(404, "blob_missing", f"There is nothing with the digest {digest}.", hint)
    return found


async def open_workflow(call: Call) -> Opened:
    media = call.state.folders.media
    most = max(medium.limits.bytes for medium in media.media if medium.carries)
    data = await read_body(call.request, most)

    def work(studio: Studio) -> Opened:
        known = studio.models.library.of_hash
        found = list(offers(data, media, known))
        reading = read(data, media, kind=call.query.kind or None, found=found)
        kinds: list[Kind] = [offer.kind for offer in found]
        kind: Kind = call.query.kind or kinds[0]
        return Opened(document=reading.document.data(), report=reading.report, kind=kind, kinds=kinds)

    return await call.state.host.graphs.call(work)


async def _find(call: Call, folder: str) -> Found:
    try:
        return await asyncio.to_thread(call.state.folders.find, folder, call.path["name"])
    except ProblemError as error:
        raise _as_missing(error) from None


def _as_missing(error: ProblemError) -> ProblemError:
    problem: Problem = error.problems[0]
    if problem.code == "file_missing":
        return Refused(404, problem.code, problem.message)
    return error


def _folder(call: Call) -> Literal["input", "output"]:
    folder = call.path["folder"]
    if folder == "input" or folder == "output":  # noqa: PLR1714  narrows the type
        return folder
    raise Refused(404, "folder_missing", f"There is no folder {folder[:50]!r}.", "There are input and output.")


_BYTES = "application/octet-stream"
ROUTES = [
    Route("GET", "/files/{folder}", listed, "Files, newest first", "files", FilePage, query=ListQuery, errors=(404,)),
    Route(
        "POST",
        "/files/input",
        upload,
        "Upload an image, a video, sound, a mesh or a text",
        "files",
        Uploaded,
        201,
        _BYTES,
        query=UploadQuery,
        errors=(422,),
        also=(200,),
    ),
    Route(
        "GET", "/files/{folder}/{name}", get, "The bytes of a file", "files", _BYTES, errors=(404, 416), also=(206, 304)
    ),
    Route(
        "DELETE",
        "/files/{folder}/{name}",
        remove,
        "Remove an upload; throw an output away",
        "files",
        Done,
        errors=(404,),
    ),
    Route("GET", "/blobs/{digest}", blob, "Bytes by digest", "files", _BYTES, errors=(404, 416), also=(206, 304)),
    Route(
        "GET",
        "/thumbnails/{digest}",
        thumbnail,
        "A small image",
        "files",
        "image/webp",
        query=SizeQuery,
        errors=(404, 416),
        also=(206, 304),
    ),
    Route(
        "POST",
        "/open",
        open_workflow,
        "The workflow in a file",
        "files",
        Opened,
        200,
        _BYTES,
        query=OpenQuery,
        errors=(422,),
    ),
]
