"""The personal library of subgraphs."""

from __future__ import annotations

from typing import Any

import msgspec

from safelight.graph import Document
from safelight.host import parts
from safelight.host.records import Part, PartChanged, PartInfo

from .routing import Answer, Call, Route
from .structs.common import Done
from .structs.workflows import RenameBody, SavePartBody
from .workflow_routes import RevisionQuery, checked_name


async def listed(call: Call) -> list[PartInfo]:
    return await call.state.host.database.read(parts.listed)


async def get(call: Call) -> Answer:
    name = call.path["name"]
    found = await call.state.host.database.read(lambda connection: parts.get(connection, name))
    return Answer(found, headers={"ETag": f'"{found.revision}"', "Cache-Control": "no-cache"})


async def save(call: Call) -> Answer:
    body: SavePartBody = call.body
    name = checked_name(call.path["name"])

    def read(_: Any) -> tuple[bytes, str, int]:
        document = Document.loads(bytes(body.document))
        return msgspec.json.encode(document.data()), document.description, len(document.nodes)

    text, description, nodes = await call.state.host.graphs.call(read)
    found = await call.state.host.database.write(
        lambda connection: parts.save(
            connection, name, text, revision=body.revision, description=description, nodes=nodes
        )
    )
    call.state.host.publish(PartChanged(name=name, revision=found.revision))
    return Answer(found, 201 if found.revision == 1 else 200, {"ETag": f'"{found.revision}"'})


async def rename(call: Call) -> PartInfo:
    old, new = call.path["name"], checked_name(call.body.name)
    revision = call.body.revision
    found = await call.state.host.database.write(lambda connection: parts.rename(connection, old, new, revision))
    call.state.host.publish(PartChanged(name=old, revision=0))
    call.state.host.publish(PartChanged(name=new, revision=found.revision))
    return found


async def remove(call: Call) -> Done:
    name, revision = call.path["name"], call.query.revision
    await call.state.host.database.write(lambda connection: parts.remove(connection, name, revision))
    call.state.host.publish(PartChanged(name=name, revision=0))
    return Done()


_ONE = "/library/{name}"
ROUTES = [
    Route("GET", "/library", listed, "Kept subgraphs", "library", list[PartInfo]),
    Route("GET", _ONE, get, "One with its document", "library", Part, errors=(404,)),
    Route("PUT", _ONE, save, "Keep a subgraph", "library", PartInfo, body=SavePartBody, errors=(409, 422), also=(201,)),
    Route("DELETE", _ONE, remove, "Take one out", "library", Done, query=RevisionQuery, errors=(404, 409)),
    Route("POST", f"{_ONE}/rename", rename, "Rename", "library", PartInfo, body=RenameBody, errors=(404, 409)),
]
