"""Catalogue, check and plan."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.app import Studio
from safelight.graph import Checked, Document
from safelight.host.files import Bytes
from safelight.media.registry import MediaRegistry
from safelight.places import shipped_workflows
from safelight.protocol.graph import (
    CatalogueAnswer,
    CheckAnswer,
    CheckBody,
    Connection,
    ConnectionRules,
    ConvertAnswer,
    ConvertBody,
    PlanAnswer,
    PlanBody,
    PlanNode,
    TextsAnswer,
)
from safelight.sdk.codec import hash_bytes
from safelight.sdk.node_images import node_image
from safelight.sdk.pack import Catalogue
from safelight.sdk.problem import ProblemError, errors
from safelight.sdk.texts import pack_texts, read_texts
from safelight.sdk.types import PortType, can_connect

from .problems import Refused
from .ranges import send
from .routing import Answer, Call, Route
from .state import State


class TextsQuery(msgspec.Struct, kw_only=True):
    """`language` is a tag such as `zh`."""

    language: Annotated[str, Meta(pattern="^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,3}$")]


async def catalogue(call: Call) -> Answer:
    body, digest = await catalogue_bytes(call.state)
    return Answer(msgspec.Raw(body), headers={"ETag": f'"{digest}"', "Cache-Control": "no-cache"})


async def catalogue_bytes(state: State) -> tuple[bytes, str]:
    """The catalogue as JSON, made once for each time that packs are imported, and its digest."""
    number = state.host.catalogues
    if state.catalogue is None or state.catalogue[0] != number:
        found = await state.host.graphs.catalogue()
        state.catalogue = number, *await asyncio.to_thread(encode_catalogue, found, state.folders.media)
    return state.catalogue[1:]


def encode_catalogue(found: Catalogue, media: MediaRegistry) -> tuple[bytes, str]:
    answer = CatalogueAnswer(
        digest="",
        nodes=[kind.spec for kind in found.values()],
        packs=list(found.packs),
        rules=connection_rules(found),
        media=media.described(),
        images=[name for name, kind in found.items() if node_image(kind) is not None],
    )
    digest = hash_bytes(msgspec.json.encode(answer))
    return msgspec.json.encode(msgspec.structs.replace(answer, digest=digest)), digest


def connection_rules(catalogue: Catalogue) -> ConnectionRules:
    """What `can_connect` says of every pair of innermost types that the installed nodes have."""
    kinds: dict[str, PortType] = {}
    variables: set[str] = set()
    for node in catalogue.values():
        for kind in (*node.inputs.values(), *node.outputs.values()):
            inner = kind.innermost
            if inner.var:
                variables.add(inner.name)
            elif inner.name != "Any":
                kinds[str(inner)] = PortType("choice") if inner.name == "choice" else inner
    table: dict[str, dict[str, Connection]] = {}
    for source, given in sorted(kinds.items()):
        row = table[source] = {}
        for target, wanted in sorted(kinds.items()):
            fit = can_connect(given, wanted)
            row[target] = Connection("widen" if fit.how == "widen" else "same" if fit.ok else "no", fit.reason)
    refusal = "{from} does not fit {to}."
    return ConnectionRules(table=table, variables=sorted(variables), refusal=refusal)


async def example_image(call: Call) -> web.StreamResponse:
    found = await call.state.host.graphs.catalogue()
    name = call.path["name"]

    def read() -> Bytes:
        path = node_image(found[name]) if name in found else None
        if path is None:
            raise Refused(404, "not_found", f"There is no image of a node {name[:100]!r}.")
        data = path.read_bytes()
        return Bytes("image/webp", len(data), hash_bytes(data), data=data, inline=True)

    return await send(call.request, await asyncio.to_thread(read), immutable=False)


async def texts(call: Call) -> Answer:
    language = call.query.language
    found = await call.state.host.graphs.catalogue()

    def work() -> dict[str, str]:
        return read_texts(shipped_workflows() / "locale", language) | pack_texts(found.packs, language)

    answer = TextsAnswer(language=language, texts=await asyncio.to_thread(work))
    return Answer(answer, headers={"Cache-Control": "no-cache"})


async def check(call: Call) -> CheckAnswer:
    body: CheckBody = call.body
    try:
        checked = await call.state.host.graphs.check(bytes(body.document), body.targets)
    except ProblemError as error:
        return CheckAnswer(ok=False, problems=list(error.problems))
    document = checked.document.data() if checked.migrated else None
    return CheckAnswer(ok=checked.ok, problems=list(checked.problems), types=_types(checked), document=document)


def _types(checked: Checked) -> dict[str, dict[str, str]]:
    if checked.graph is None:
        return {}
    nodes = checked.graph.nodes
    return {node.id: {port: str(kind) for port, kind in node.types.items()} for node in nodes if node.types}


async def convert(call: Call) -> ConvertAnswer:
    body: ConvertBody = call.body

    def work(studio: Studio) -> ConvertAnswer:
        from safelight.interop.comfyui.export.opening import write_comfyui

        file, report = write_comfyui(Document.loads(bytes(body.document)), studio.catalogue, body.to)
        return ConvertAnswer(file=file, report=report)

    return await call.state.host.graphs.call(work)


async def plan(call: Call) -> PlanAnswer:
    body: PlanBody = call.body
    try:
        checked, found = await call.state.host.graphs.plan(bytes(body.document), body.inputs, body.targets, body.force)
    except ProblemError as error:
        return PlanAnswer(ok=False, nodes={}, seconds=0.0, problems=list(error.problems))
    if found is None:
        return PlanAnswer(ok=False, nodes={}, seconds=0.0, problems=list(checked.problems))
    nodes = {
        name: PlanNode(
            status=node.status,
            seconds=node.seconds,
            turns=node.turns,
            memory=node.memory,
            files=node.files,
            shared=node.shared,
        )
        for name, node in found.nodes.items()
    }
    problems = [*checked.problems, *found.problems]
    return PlanAnswer(ok=not errors(problems), nodes=nodes, seconds=found.seconds, problems=problems)


ROUTES = [
    Route("GET", "/catalogue", catalogue, "All nodes, packs and rules of connecting", "graph", CatalogueAnswer),
    Route(
        "GET",
        "/catalogue/images/{name}",
        example_image,
        "What a node does, as a small image with an example inside",
        "graph",
        "image/webp",
        errors=(404, 416),
        also=(206, 304),
    ),
    Route("GET", "/texts", texts, "Names and help of nodes in a language", "graph", TextsAnswer, query=TextsQuery),
    Route("POST", "/check", check, "Every problem of a document", "graph", CheckAnswer, body=CheckBody),
    Route("POST", "/convert", convert, "Write it for ComfyUI", "graph", ConvertAnswer, body=ConvertBody, errors=(422,)),
    Route("POST", "/plan", plan, "What running a document now would do", "graph", PlanAnswer, body=PlanBody),
]
