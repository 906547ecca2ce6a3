"""Saved workflows with their revisions, and those that ship with the program."""

from __future__ import annotations

import asyncio
import unicodedata
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.graph import Document
from safelight.host.documents import workflows
from safelight.host.files import Bytes
from safelight.places import shipped_groups, shipped_image, shipped_names
from safelight.protocol.common import Done, WorkflowDocument
from safelight.protocol.records import RevisionInfo, Workflow, WorkflowChanged, WorkflowInfo
from safelight.protocol.workflows import PlaceBody, RenameBody, SaveBody, Template, TemplateCost
from safelight.sdk.codec import hash_bytes
from safelight.sdk.problem import ProblemError, did_you_mean

from .problems import Refused
from .ranges import send
from .routing import Answer, Call, Route


class ListQuery(msgspec.Struct, kw_only=True):
    """`drafts`: also what editors keep of documents that have no name yet."""

    search: Annotated[str, Meta(max_length=500)] = ""
    drafts: bool = False


class RevisionQuery(msgspec.Struct, kw_only=True):
    """Without a revision the workflow is removed whichever it has."""

    revision: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None


async def listed(call: Call) -> list[WorkflowInfo]:
    search, drafts = call.query.search, call.query.drafts
    return await call.state.host.database.read(lambda connection: workflows.listed(connection, search, drafts))


async def get(call: Call) -> Answer:
    name = call.path["name"]
    found = await call.state.host.database.read(lambda connection: workflows.get(connection, name))
    return Answer(found, headers={"ETag": f'"{found.revision}"', "Cache-Control": "no-cache"})


async def save(call: Call) -> Answer:
    body: SaveBody = call.body
    name = checked_name(call.path["name"])

    def read(_: Any) -> tuple[Document, bytes]:
        document = Document.loads(bytes(body.document))
        # Written again: equal content, equal bytes, and nothing that another program would read differently.
        return document, msgspec.json.encode(document.data())

    document, text = await call.state.host.graphs.call(read)
    found = await call.state.host.database.write(
        lambda connection: workflows.save(
            connection,
            name,
            text,
            revision=body.revision,
            message=body.message,
            description=document.description,
            nodes=len(document.nodes),
            title=document.name,
            autosave=body.autosave,
            draft=body.draft,
        )
    )
    call.state.host.publish(WorkflowChanged(name=name, revision=found.revision))
    return Answer(found, 201 if found.revision == 1 else 200, {"ETag": f'"{found.revision}"'})


async def rename(call: Call) -> WorkflowInfo:
    old, new = call.path["name"], checked_name(call.body.name)
    revision = call.body.revision
    found = await call.state.host.database.write(lambda connection: workflows.rename(connection, old, new, revision))
    call.state.host.publish(WorkflowChanged(name=old, revision=0))
    call.state.host.publish(WorkflowChanged(name=new, revision=found.revision))
    return found


async def place(call: Call) -> WorkflowInfo:
    name, body = call.path["name"], call.body
    folder = None if body.folder is None else checked_folder(body.folder)
    found = await call.state.host.database.write(
        lambda connection: workflows.place(connection, name, folder=folder, starred=body.starred, opened=body.opened)
    )
    call.state.host.publish(WorkflowChanged(name=name, revision=found.revision))
    return found


async def remove(call: Call) -> Done:
    name, revision = call.path["name"], call.query.revision
    await call.state.host.database.write(lambda connection: workflows.remove(connection, name, revision))
    call.state.host.publish(WorkflowChanged(name=name, revision=0))
    return Done()


async def revisions(call: Call) -> list[RevisionInfo]:
    name = call.path["name"]
    return await call.state.host.database.read(lambda connection: workflows.revisions(connection, name))


async def revision(call: Call) -> Workflow:
    name = call.path["name"]
    digits = call.path["number"]
    if not (digits.isascii() and digits.isdigit() and 1 <= len(digits) <= 15 and int(digits) > 0):
        raise Refused(404, "revision_missing", f"{digits[:50]!r} is not the number of a revision.")
    return await call.state.host.database.read(lambda connection: workflows.get(connection, name, int(digits)))


async def templates(call: Call) -> list[Template]:
    def read(_: Any) -> list[Template]:
        found: list[Template] = []
        names = shipped_names()
        placed = {name: group for group, within in shipped_groups().items() for name in within if name in names}
        for name in [*placed, *(name for name in names if name not in placed)]:
            try:
                document = Document.loads(names[name].read_bytes())
            except (OSError, ProblemError):
                continue
            title = document.name or name
            found.append(
                Template(
                    name=name,
                    title=title,
                    description=document.description,
                    nodes=len(document.nodes),
                    image=f"/api/v1/templates/{quote(name)}/image" if shipped_image(name) else "",
                    group=placed.get(name, ""),
                )
            )
        return found

    return await call.state.host.graphs.call(read)


async def template_costs(call: Call) -> list[TemplateCost]:
    return await call.state.host.graphs.costs()


async def template(call: Call) -> dict[str, Any]:
    name = call.path["name"]

    def read(_: Any) -> dict[str, Any]:
        names: dict[str, Path] = shipped_names()
        if name not in names:
            message = f"No workflow {name[:100]!r} ships with the program."
            raise Refused(404, "template_missing", message, did_you_mean(name, names))
        return Document.loads(names[name].read_bytes()).data()

    return await call.state.host.graphs.call(read)


async def template_image(call: Call) -> web.StreamResponse:
    name = call.path["name"]

    def read() -> Bytes:
        path = shipped_image(name)
        if path is None:
            raise Refused(404, "template_missing", f"There is no image of a workflow {name[:100]!r}.")
        data = path.read_bytes()
        return Bytes("image/webp", len(data), hash_bytes(data), data=data, inline=True)

    return await send(call.request, await asyncio.to_thread(read), immutable=False)


def checked_name(name: str) -> str:
    """A name for a workflow: any text of one line that can stand in an address. Raises Refused `bad_name`."""
    name = unicodedata.normalize("NFC", name)
    strange = any(mark in "/\\" or unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") for mark in name)
    if strange or not 1 <= len(name) <= 120 or name.strip() != name or name in (".", ".."):
        hint = "Use up to 120 characters, without slashes, and no blanks at the ends."
        raise Refused(400, "bad_name", f"{name[:120]!r} cannot name a workflow.", hint)
    return name


def checked_folder(folder: str) -> str:
    """Names parted by slashes, or nothing. Raises Refused `bad_name`."""
    return "/".join(checked_name(part) for part in folder.split("/")) if folder else ""


_ONE = "/workflows/{name}"
ROUTES = [
    Route("GET", "/workflows", listed, "Saved workflows", "workflows", list[WorkflowInfo], query=ListQuery),
    Route("GET", _ONE, get, "One with its document", "workflows", Workflow, errors=(404,)),
    Route("PUT", _ONE, save, "Save", "workflows", WorkflowInfo, body=SaveBody, errors=(409, 422), also=(201,)),
    Route("PATCH", _ONE, place, "Say where it is listed", "workflows", WorkflowInfo, body=PlaceBody, errors=(404,)),
    Route("DELETE", _ONE, remove, "Delete", "workflows", Done, query=RevisionQuery, errors=(404, 409)),
    Route("POST", f"{_ONE}/rename", rename, "Rename", "workflows", WorkflowInfo, body=RenameBody, errors=(404, 409)),
    Route("GET", f"{_ONE}/revisions", revisions, "Its history", "workflows", list[RevisionInfo], errors=(404,)),
    Route("GET", _ONE + "/revisions/{number}", revision, "An earlier state", "workflows", Workflow, errors=(404,)),
    Route("GET", "/templates", templates, "What ships with the program", "workflows", list[Template]),
    Route("GET", "/template-costs", template_costs, "What each takes here", "workflows", list[TemplateCost]),
    Route("GET", "/templates/{name}", template, "One of them", "workflows", WorkflowDocument, errors=(404,)),
    Route(
        "GET",
        "/templates/{name}/image",
        template_image,
        "What it makes, in small",
        "workflows",
        "image/webp",
        errors=(404, 416),
        also=(206, 304),
    ),
]
