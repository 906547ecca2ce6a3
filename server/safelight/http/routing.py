"""Routes as data: requests are decoded by them, answers encoded, and the OpenAPI document made."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from safelight.graph.whole import half_characters
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.unicode import encode_json

from .problems import Refused

if TYPE_CHECKING:
    from .state import State

T = TypeVar("T")

JSON_BYTES = 32 << 20
_IN_THREAD = 128 << 10


@dataclass(frozen=True)
class Answer:
    """An answer with another status than the route's own, or with headers."""

    data: Any
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """A request, decoded. `path` are the parts of the address, `query` and `body` structs as the route declares."""

    state: State
    request: web.Request
    path: dict[str, str]
    query: Any
    body: Any


Handler = Callable[[Call], Awaitable[Any]]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Route:
    """`answer` and `body` are struct types, or media types for what is not JSON."""

    method: Method
    address: str
    handler: Handler
    summary: str
    tag: str
    answer: Any
    status: int = 200
    body: Any = None
    body_required: bool = True
    query: type[msgspec.Struct] | None = None
    errors: tuple[int, ...] = ()
    also: tuple[int, ...] = ()


RUN_ID = {"type": "string", "pattern": "^r[0-9]{1,18}$", "description": "The id of a run."}
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{40}$", "description": "The digest of the bytes."}
PATHS: dict[str, dict[str, Any]] = {
    "id": RUN_ID,
    "digest": DIGEST,
    "name": {"type": "string", "minLength": 1, "maxLength": 300, "description": "A name; slashes may be part of it."},
    "item": {"type": "string", "pattern": "^p[0-9]{1,18}$", "description": "The id of an output."},
    "board": {"type": "string", "pattern": "^g[0-9]{1,18}$", "description": "The id of a board."},
    "preset": {"type": "string", "pattern": "^s[0-9]{1,18}$", "description": "The id of a preset."},
    "batch": {"type": "string", "pattern": "^b[0-9a-f]{12}$", "description": "The id of a batch."},
    "vote": {"type": "string", "pattern": "^v[0-9]{1,18}$", "description": "The id of a vote."},
    "folder": {"type": "string", "enum": ["input", "output"]},
    "download": {"type": "string", "pattern": "^d[0-9a-f]{12}$", "description": "The id of a download."},
    "tree": {"type": "string", "minLength": 1, "maxLength": 100, "description": "The name of an added model folder."},
    "number": {"type": "integer", "minimum": 1, "maximum": 1 << 53},
}


def decode_query(kind: type[msgspec.Struct], request: web.Request) -> Any:
    given: dict[str, str] = {}
    for key, value in request.query.items():
        if key in given:
            raise Refused(400, "bad_request", f"{key!r} is given twice.", "Give it once.")
        given[key] = value
    fields = {item.encode_name for item in msgspec.structs.fields(kind)}
    unknown = [key for key in given if key not in fields and key != "token"]
    if unknown:
        message = f"There is no parameter {unknown[0][:100]!r}."
        raise Refused(400, "bad_request", message, f"There are: {', '.join(sorted(fields))}.")
    given.pop("token", None)
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(400, "bad_request", f"The address is not understood: {error}.") from None


async def decode_body(route: Route, request: web.Request) -> Any:
    """The body as the route's struct. Raises Refused for anything else."""
    data = await read_body(request, JSON_BYTES)
    if not data and not route.body_required:
        return route.body()
    if request.content_type != "application/json":
        message = f"The body is {request.content_type!r}, not JSON."
        raise Refused(415, "wrong_content_type", message, "Send Content-Type: application/json.")
    if len(data) > _IN_THREAD:
        return await asyncio.to_thread(decode_json, data, route.body)
    return decode_json(data, route.body)


def decode_json(data: bytes, kind: type[T], what: str = "The body") -> T:
    """Raises Refused: `not_json`, `too_deep`, or `bad_request` with the place in it; `what` is how messages call it."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(
            400, "bad_request", f"{what} is not what is expected: {error}.", "Send what is expected there."
        ) from None
    except msgspec.DecodeError as error:
        _refuse_halves(data)
        raise Refused(400, "not_json", f"{what} is not JSON: {error}.", "Send JSON, in UTF-8.") from None
    except UnicodeDecodeError:
        raise Refused(400, "not_json", f"{what} is not UTF-8.", "Send JSON, in UTF-8.") from None
    except RecursionError:
        raise Refused(400, "too_deep", f"{what} nests lists and objects too deep.") from None


def _refuse_halves(data: bytes) -> None:
    """Raises ProblemError `bad_value` for JSON that is sound but for halves of characters in its texts."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    problems = half_characters(body.get("document") if isinstance(body, dict) else None) or half_characters(body)
    if problems:
        raise ProblemError(problems)


def json_response(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = encode_json(data)
    return web.Response(
        status=status,
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, read piece by piece, so that one that is too large is refused before it is all here."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    async for piece in request.content.iter_chunked(256 << 10):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


_SMALLER = "Make it smaller; a larger file can be copied into the input folder."


def _too_large(limit: int) -> ProblemError:
    return Refused(413, "too_large", f"It is larger than the {limit >> 20} MiB that are taken.", _SMALLER)


__all__ = ["PATHS", "Answer", "Call", "Handler", "Problem", "Route", "decode_body", "decode_json", "decode_query"]
