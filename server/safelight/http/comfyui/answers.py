"""Bodies and answers in ComfyUI's shapes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.unicode import encode_json

from ..problems import status_of
from ..routing import JSON_BYTES, decode_json, read_body

T = TypeVar("T", bound=msgspec.Struct)


class Body(msgspec.Struct, kw_only=True):
    """Base of bodies. Fields that are not known are left out: clients send what their ComfyUI understands."""


async def read(request: web.Request, kind: type[T]) -> T:
    """The body, whatever its Content-Type says; an empty one is an empty object."""
    data = await read_body(request, JSON_BYTES)
    return decode_json(data or b"{}", kind)


def answer(data: Any, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=status, body=encode_json(data), content_type="application/json", headers=headers)


def done() -> web.Response:
    return web.Response(headers={"Cache-Control": "no-store"})


def refused(error: ProblemError) -> web.Response:
    """What could not be done, as `error`, with what is wrong at nodes left empty."""
    first = error.problems[0]
    return answer({"error": told(first.code, first), "node_errors": {}}, status_of(error))


def told(type: str, problem: Problem, **more: Any) -> dict[str, Any]:
    return {"type": type, "message": problem.message, "details": problem.hint, "extra_info": more}
