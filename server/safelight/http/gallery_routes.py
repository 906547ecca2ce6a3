"""The gallery: what runs have made, found and looked at, thrown away and taken back."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.host.files import Bytes
from safelight.host.gallery import Wanted
from safelight.host.queue import number_of
from safelight.protocol.common import Done, WorkflowDocument
from safelight.protocol.files import (
    Board,
    BoardBody,
    BoardName,
    Changed,
    FacetsAnswer,
    GalleryPage,
    ItemsBody,
    MarkBody,
    Rating,
)
from safelight.protocol.records import GalleryDetail

from .problems import Refused
from .routing import Call, Route
from .zipped import Member, send_zip

Text = Annotated[str, Meta(max_length=500)]


MOST_ZIPPED = 500
"""As many as a page of the gallery has, and few enough for an address."""


class ZipQuery(msgspec.Struct, kw_only=True):
    """`items` are ids of outputs, with commas between."""

    items: Annotated[str, Meta(max_length=MOST_ZIPPED * 21)]


class GalleryQuery(msgspec.Struct, kw_only=True):
    """`search`: words that all must occur in prompts, models, node types, texts, the file's or workflow's name.

    `node` is a type of node, `since` (included) and `until` (not) are times. `trash` lists the trash instead.
    `rating` is the lowest, 1 to 5 (0: any), `tag` one of theirs, `board` the id of one that they lie on.
    """

    search: Text = ""
    node: Text | None = None
    model: Text | None = None
    workflow: Text | None = None
    batch: Text | None = None
    run: Annotated[str, Meta(max_length=20)] | None = None
    since: Annotated[float, Meta(ge=0, le=1e11)] | None = None
    until: Annotated[float, Meta(ge=0, le=1e11)] | None = None
    trash: bool = False
    digest: Annotated[str, Meta(max_length=40)] | None = None
    rating: Rating = 0
    tag: Text | None = None
    board: Annotated[str, Meta(max_length=20)] | None = None
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


async def listed(call: Call) -> GalleryPage:
    query: GalleryQuery = call.query
    archive = call.state.host.archive
    if query.offset == 0 and await archive.outdated():
        call.state.host.spawn(archive.compare())
    wanted = Wanted(
        search=query.search,
        node=query.node,
        model=query.model,
        workflow=query.workflow,
        batch=query.batch,
        run=number_of(query.run) if query.run is not None else None,
        since=query.since,
        until=query.until,
        trash=query.trash,
        digest=query.digest,
        rating=query.rating,
        tag=query.tag,
        board=query.board,
    )
    items, total = await archive.page(wanted, query.offset, query.limit)
    end = query.offset + len(items)
    return GalleryPage(items=items, total=total, next=end if items and end < total else None)


async def facets(call: Call) -> FacetsAnswer:
    return FacetsAnswer(**await call.state.host.archive.facets())


async def item(call: Call) -> GalleryDetail:
    return await call.state.host.archive.detail(call.path["item"])


async def document(call: Call) -> dict[str, Any]:
    return (await call.state.host.archive.document(call.path["item"])).data()


async def throw_away(call: Call) -> Changed:
    body: ItemsBody = call.body
    return Changed(items=await call.state.host.archive.throw_away(body.items))


async def restore(call: Call) -> Changed:
    body: ItemsBody = call.body
    return Changed(items=await call.state.host.archive.restore(body.items))


async def mark(call: Call) -> Changed:
    return Changed(items=await call.state.host.archive.mark(call.body))


async def boards(call: Call) -> list[Board]:
    return await call.state.host.archive.boards()


async def make_board(call: Call) -> Board:
    body: BoardBody = call.body
    return await call.state.host.archive.make_board(body.name, body.items)


async def rename_board(call: Call) -> Board:
    return await call.state.host.archive.rename_board(call.path["board"], call.body.name)


async def remove_board(call: Call) -> Changed:
    return Changed(items=await call.state.host.archive.remove_board(call.path["board"]))


async def empty(call: Call) -> Done:
    return Done(count=await call.state.host.archive.empty_trash())


async def zipped(call: Call) -> web.StreamResponse:
    state, ids = call.state, list(dict.fromkeys(item.strip() for item in call.query.items.split(",") if item.strip()))
    if not ids or len(ids) > MOST_ZIPPED:
        raise Refused(400, "bad_request", f"{len(ids)} outputs are named.", f"Name 1 to {MOST_ZIPPED}.")
    rows = await state.host.archive.rows(ids)

    def find(row: sqlite3.Row) -> Bytes:
        found = state.folders.bytes_of(row["digest"], [state.host.archive.path_of(row)])
        if found is None:
            raise FileNotFoundError(row["name"])
        return found

    def member(row: sqlite3.Row) -> Member:
        # Before anything is sent, while it can still be told.
        try:
            found = find(row)
        except FileNotFoundError:
            raise Refused(404, "file_missing", f"The file {row['name']} is gone.", "Name the others.") from None
        # What lies in the cache alone would be held until its turn comes: it is read again.
        again = partial(find, row) if found.path is None else lambda: found
        return Member(row["name"], row["made"] or 0.0, again)

    members = await asyncio.to_thread(lambda: [member(row) for row in rows])
    return await send_zip(call.request, members, "safelight.zip")


_ITEM = "/gallery/{item}"
_BOARD = "/boards/{board}"
ROUTES = [
    Route("GET", "/gallery", listed, "What runs made", "gallery", GalleryPage, query=GalleryQuery, errors=(404,)),
    Route("PATCH", "/gallery", mark, "Rate, tag, lay on boards", "gallery", Changed, body=MarkBody, errors=(404,)),
    Route("GET", "/boards", boards, "Collections of outputs", "gallery", list[Board]),
    Route("POST", "/boards", make_board, "Make one", "gallery", Board, 201, BoardBody, errors=(404, 409)),
    Route("PATCH", _BOARD, rename_board, "Rename", "gallery", Board, body=BoardName, errors=(404, 409)),
    Route("DELETE", _BOARD, remove_board, "Delete; what lay on it stays", "gallery", Changed, errors=(404,)),
    Route("GET", "/gallery/facets", facets, "What can be looked for", "gallery", FacetsAnswer),
    Route(
        "GET",
        "/gallery/zip",
        zipped,
        "Several outputs as one file",
        "gallery",
        "application/zip",
        query=ZipQuery,
        errors=(404,),
    ),
    Route(
        "POST", "/gallery/trash", throw_away, "Throw outputs away", "gallery", Changed, body=ItemsBody, errors=(404,)
    ),
    Route("POST", "/gallery/restore", restore, "Take them back", "gallery", Changed, body=ItemsBody, errors=(404,)),
    Route("POST", "/gallery/empty", empty, "Remove for good what is in the trash", "gallery", Done),
    Route("GET", _ITEM, item, "One output with its parameters", "gallery", GalleryDetail, errors=(404,)),
    Route("GET", f"{_ITEM}/document", document, "Its workflow", "gallery", WorkflowDocument, errors=(404, 422)),
]
