"""Models: what there is, equal ones, what a workflow lacks, downloads, folders."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.graph import Document
from safelight.host.files import Bytes
from safelight.host.queue import without_details
from safelight.missing import missing_models
from safelight.models import ModelEntry
from safelight.models.entries import matching
from safelight.models.orders import Order
from safelight.protocol.common import Done
from safelight.protocol.models import (
    DownloadBody,
    DownloadList,
    DuplicateList,
    FolderBody,
    FolderList,
    MissingBody,
    MissingList,
    ModelFolder,
    ModelInfo,
    ModelList,
    ScanProgress,
)
from safelight.protocol.records import DownloadInfo
from safelight.sdk.codec import hash_text

from .problems import Refused
from .ranges import send
from .routing import Call, Route

_SCAN_PATIENCE = 1.0
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
_PREVIEW_BYTES = 32 << 20
_BYTES = "application/octet-stream"


class ModelQuery(msgspec.Struct, kw_only=True):
    """`search` are words that all occur in a model's name, title, trigger words, kind, family, licence or hash."""

    search: Annotated[str, Meta(max_length=500)] = ""
    kind: Annotated[str, Meta(max_length=40)] = ""
    family: Annotated[str, Meta(max_length=40)] = ""
    usable: Literal["true", "false", ""] = ""


async def models(call: Call) -> ModelList:
    scan, query = call.state.host.models, call.query
    found = await scan.look(_SCAN_PATIENCE)
    going_on = ScanProgress(done=scan.done, total=scan.total) if scan.scanning else None
    usable = {"true": True, "false": False}.get(query.usable)
    chosen = matching(found, query.search, kind=query.kind, family=query.family, usable=usable)
    return ModelList(models=[_model(entry) for entry in chosen], scanning=going_on)


async def model(call: Call) -> ModelInfo:
    name = call.path["name"]
    return _model(await call.state.host.graphs.call(lambda studio: studio.models.describe(name)))


def _model(entry: ModelEntry) -> ModelInfo:
    return ModelInfo(
        name=entry.name,
        place=entry.place,
        kind=entry.kind,
        sort=entry.sort,
        family=entry.family,
        size=entry.bytes,
        components=entry.components,
        precision=entry.precision,
        format=entry.format,
        tree=entry.tree,
        modified=entry.modified,
        preview=f"/api/v1/model-previews?name={quote(entry.name, safe='')}" if entry.preview else "",
        title=entry.title,
        triggers=entry.triggers,
        licence=entry.licence,
        source=entry.source,
        sha256=entry.sha256,
        problem=without_details(entry.problem) if entry.problem is not None else None,
    )


class PreviewQuery(msgspec.Struct, kw_only=True):
    """`name` is that of a model."""

    name: Annotated[str, Meta(min_length=1, max_length=1000)]


async def preview(call: Call) -> web.StreamResponse:
    """Only what a model of the list has beside it; no path that a client gives is opened."""
    name = call.query.name
    found = await call.state.host.models.look(_SCAN_PATIENCE)
    path = next((Path(entry.preview) for entry in found if entry.name == name and entry.preview), None)

    def look() -> Bytes | None:
        if path is None or not path.is_file() or not call.state.host.studio.models.library.names.inside(path):
            return None
        about = path.stat()
        if about.st_size > _PREVIEW_BYTES:
            return None
        digest = hash_text(f"{path} {about.st_size} {about.st_mtime_ns}")
        return Bytes(_TYPES[path.suffix.lower()], about.st_size, digest, path, inline=True)

    source = await asyncio.to_thread(look)
    if source is None:
        raise Refused(404, "file_missing", f"The model {name[:200]!r} has no image beside it.")
    return await send(call.request, source, immutable=False)


async def duplicates(call: Call) -> DuplicateList:
    work = call.state.host.duplicates
    groups = await work.look(_SCAN_PATIENCE)
    going_on = ScanProgress(done=work.done, total=work.total) if work.working else None
    return DuplicateList(groups=[[_model(entry) for entry in group] for group in groups], hashing=going_on)


async def missing(call: Call) -> MissingList:
    document = bytes(call.body.document)
    found = await call.state.host.graphs.call(lambda studio: missing_models(studio, Document.loads(document)))
    return MissingList(models=[msgspec.structs.replace(one, problem=without_details(one.problem)) for one in found])


async def downloads(call: Call) -> DownloadList:
    return DownloadList(downloads=call.state.host.downloads.listed())


async def download(call: Call) -> DownloadInfo:
    body: DownloadBody = call.body
    order = Order(url=body.url, folder=body.folder, name=body.name, sha256=body.sha256, size=body.size)
    return await call.state.host.downloads.begin(order, (body.confirmed,) if body.confirmed else ())


async def pause(call: Call) -> DownloadInfo:
    return await call.state.host.downloads.pause(call.path["download"])


async def resume(call: Call) -> DownloadInfo:
    return await call.state.host.downloads.resume(call.path["download"])


async def remove(call: Call) -> Done:
    await call.state.host.downloads.remove(call.path["download"])
    return Done()


async def folders(call: Call) -> FolderList:
    library, shown = call.state.host.studio.models.library, call.state.loopback

    def look() -> FolderList:
        own = [ModelFolder(name="", like="plain", folder=str(one) if shown else None) for one in library.folders]
        trees = library.trees
        problems = trees.problems() if trees is not None else []
        damaged = any(problem.code == "config_damaged" for problem in problems)
        added = trees.kept.trees if trees is not None and not damaged else ()
        rest = [ModelFolder(name=tree.name, like=tree.like, folder=tree.folder if shown else None) for tree in added]
        return FolderList(folders=own + rest, problems=problems if shown else [])

    return await asyncio.to_thread(look)


async def add_folder(call: Call) -> ModelFolder:
    _here_only(call)
    body: FolderBody = call.body
    trees = call.state.host.studio.models.library.trees
    assert trees is not None
    folder = Path(body.folder)
    if not folder.is_absolute() or "\0" in body.folder:
        message = f"{body.folder[:200]!r} is not the whole path of a folder."
        raise Refused(422, "bad_model_folder", message, "Give it from the top.", value=body.folder)
    tree = await asyncio.to_thread(trees.add, folder, body.like)
    call.state.host.models.again()
    return ModelFolder(name=tree.name, like=tree.like, folder=tree.folder)


async def remove_folder(call: Call) -> Done:
    _here_only(call)
    trees = call.state.host.studio.models.library.trees
    assert trees is not None
    await asyncio.to_thread(trees.remove, call.path["tree"])
    call.state.host.models.again()
    return Done()


def _here_only(call: Call) -> None:
    """A folder that is added may be read by every workflow: that is for who sits at the machine to say."""
    if not call.state.loopback:
        message = "Model folders are added on the machine itself."
        raise Refused(403, "not_from_here", message, "Run `safelight models add FOLDER` there.")


ROUTES = [
    Route("GET", "/models", models, "Models that can be named", "models", ModelList, query=ModelQuery),
    Route("GET", "/models/{name}", model, "One model", "models", ModelInfo, errors=(404, 422)),
    Route(
        "GET",
        "/model-previews",
        preview,
        "Its image",
        "models",
        _BYTES,
        query=PreviewQuery,
        errors=(404, 416),
        also=(206, 304),
    ),
    Route("GET", "/model-duplicates", duplicates, "Models whose files are equal", "models", DuplicateList),
    Route(
        "POST",
        "/model-missing",
        missing,
        "Models that a workflow lacks, and where they can be had",
        "models",
        MissingList,
        body=MissingBody,
        errors=(422,),
    ),
    Route("GET", "/downloads", downloads, "Downloads", "models", DownloadList),
    Route(
        "POST",
        "/downloads",
        download,
        "Fetch a model",
        "models",
        DownloadInfo,
        201,
        body=DownloadBody,
        errors=(403, 422),
    ),
    Route("POST", "/downloads/{download}/pause", pause, "Pause one", "models", DownloadInfo, errors=(404,)),
    Route(
        "POST", "/downloads/{download}/resume", resume, "Go on with one", "models", DownloadInfo, errors=(403, 404, 422)
    ),
    Route("DELETE", "/downloads/{download}", remove, "Stop and forget one", "models", Done, errors=(404,)),
    Route("GET", "/model-folders", folders, "Folders of models", "models", FolderList),
    Route(
        "POST", "/model-folders", add_folder, "Add one", "models", ModelFolder, 201, body=FolderBody, errors=(403, 422)
    ),
    Route("DELETE", "/model-folders/{tree}", remove_folder, "Forget one", "models", Done, errors=(403, 422)),
]
