"""The aiohttp application: routes, and what happens around each of them."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from safelight.sdk.problem import ProblemError

from . import events, graph_routes, static, watching
from .comfyui.routes import add_routes
from .problems import Refused, answer_to, plain
from .routing import Answer, Call, Route, decode_body, decode_query, json_response
from .security import FILE_POLICY, HEADERS
from .state import State
from .table import BASE, ROUTES

log = logging.getLogger(__name__)

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
ADDRESS_BYTES = 8 << 10
_BODY_SECONDS = 120.0
_REASONS = {404: ("not_found", "There is nothing at {path}."), 405: ("wrong_method", "{path} does not take {method}.")}


def application(state: State) -> web.Application:
    """The application for one server; it starts and stops the host with itself."""

    @web.middleware
    async def around(request: web.Request, handler: Handle) -> web.StreamResponse:
        return await _around(state, request, handler)

    app = web.Application(middlewares=[around])
    # A proxy may leave the root path in the address, or take it off.
    roots = tuple(dict.fromkeys((state.guard.front.root, "")))

    def add(method: str, address: str, handler: Handle, **options: Any) -> None:
        for root in roots:
            if method == "GET":
                app.router.add_get(root + address, handler, **options)
            else:
                app.router.add_route(method, root + address, handler)

    for route in ROUTES:
        add(route.method, BASE + _pattern(route), _handle(state, route))

    def bound(handler: Callable[[web.Request, State], Awaitable[web.StreamResponse]]) -> Handle:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request, state)

        return handle

    add("GET", f"{BASE}/openapi.json", bound(_description))
    add("GET", f"{BASE}/events", bound(events.events), allow_head=False)
    add("GET", "/healthz", bound(watching.health))
    add("GET", "/metrics", bound(watching.prometheus))
    if state.comfyui:
        add_routes(app, state)
    add("*", "/api/{rest:.*}", bound(_nothing))
    if state.guard.front.root:
        app.router.add_get(state.guard.front.root, bound(static.page))
    add("GET", "/{rest:.*}", bound(static.page))

    async def start(_: web.Application) -> None:
        await state.host.open()
        state.probe = asyncio.create_task(state.watch_loop(), name="loop probe")
        # What the first client will ask for is made before it asks.
        state.host.spawn(graph_routes.catalogue_bytes(state))

    async def shutdown(_: web.Application) -> None:
        state.host.stream.close()

    async def stop(_: web.Application) -> None:
        if state.probe is not None:
            state.probe.cancel()
        await state.host.close()

    app.on_response_prepare.append(_add_headers)
    app.on_startup.append(start)
    app.on_shutdown.append(shutdown)
    app.on_cleanup.append(stop)
    return app


def _pattern(route: Route) -> str:
    # Names of files and models hold slashes, other names do not.
    slashes = route.address.startswith(("/files/", "/models/"))
    return route.address.replace("{name}", "{name:.+}") if slashes else route.address


async def _description(request: web.Request, state: State) -> web.Response:
    del request
    from .openapi import openapi_json

    body = await asyncio.to_thread(openapi_json, state.guard.front.root)
    return web.Response(body=body, content_type="application/json")


async def _nothing(request: web.Request, state: State) -> web.StreamResponse:
    """Everything below /api that no route serves: a wrong method where the address is known."""
    path = state.guard.front.path(request)
    allowed: set[str] = set()
    for route in ROUTES:
        if re.fullmatch(BASE + re.sub(r"{(\w+)(?::(.+?))?}", _part, _pattern(route)), path):
            allowed |= {route.method, "HEAD"} if route.method == "GET" else {route.method}
    if allowed:
        raise web.HTTPMethodNotAllowed(request.method, sorted(allowed))
    raise web.HTTPNotFound


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    del request
    for key, value in HEADERS.items():
        response.headers.setdefault(key, value)
    response.headers.setdefault("Content-Security-Policy", FILE_POLICY)
    response.headers["Server"] = "safelight"  # versions are nobody's business


def _part(match: re.Match[str]) -> str:
    return match[2] or "[^/]+"


def _handle(state: State, route: Route) -> Handle:
    async def handle(request: web.Request) -> web.StreamResponse:
        query = decode_query(route.query or _NoQuery, request)
        body = None
        if isinstance(route.body, type) and route.body is not str:
            try:
                async with asyncio.timeout(_BODY_SECONDS):
                    body = await decode_body(route, request)
            except TimeoutError:
                raise Refused(408, "too_slow", f"The body did not come within {_BODY_SECONDS:g} seconds.") from None
        path = dict(request.match_info)
        if any("\0" in part for part in path.values()):
            raise Refused(400, "bad_path", "The address holds a NUL character.")
        answer = await route.handler(Call(state, request, path, query, body))
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(answer, Answer):
            etag = answer.headers.get("ETag")
            if etag is not None and request.method in ("GET", "HEAD") and request.headers.get("If-None-Match") == etag:
                return web.Response(status=304, headers=answer.headers)
            headers = answer.headers
            if "Location" in headers:
                headers = {**headers, "Location": state.guard.front.root + headers["Location"]}
            return json_response(answer.data, answer.status or route.status, headers)
        return json_response(answer, route.status)

    return handle


class _NoQuery(msgspec.Struct):
    """For routes without parameters."""


async def _around(state: State, request: web.Request, handler: Handle) -> web.StreamResponse:
    """Security before the handler; problems, headers and counts after it."""
    started = time.perf_counter()
    try:
        try:
            state.guard.check(request)
            if len(request.raw_path) > ADDRESS_BYTES:
                raise Refused(414, "address_too_long", f"The address has more than {ADDRESS_BYTES} characters.")
        except Refused as refused:
            given = request.query.get("token", "")
            may_try = (
                refused.status == 401
                and request.method == "GET"
                and not state.guard.front.path(request).startswith("/api/")
            )
            if may_try and given and state.guard.is_token(given):
                response: web.StreamResponse = static.signed_in(request, state)
            elif may_try and "text/html" in request.headers.get("Accept", ""):
                response = static.sign_in_page()
            else:
                raise
        else:
            response = await handler(request)
    except ProblemError as error:
        response = answer_to(error)
    except web.HTTPException as error:
        response = error if error.status < 400 else _from_aiohttp(request, error)
    except asyncio.CancelledError:
        raise
    except ConnectionError:
        response = web.Response(status=_GONE)  # nobody is there to read it, and nothing is wrong with the server
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        response = plain(500, "internal_error", "The server made a mistake.", "Its log holds the details.")
    _finish(state, request, response, time.perf_counter() - started)
    return response


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    code, message = _REASONS.get(error.status, ("bad_request", "The request is not understood."))
    message = message.format(path=repr(request.path[:200]), method=request.method)
    allow = error.headers.get("Allow")
    return plain(error.status, code, message, headers={"Allow": allow} if allow else None)


def _finish(state: State, request: web.Request, response: web.StreamResponse, seconds: float) -> None:
    route = request.match_info.route.resource
    # The same address is one route, with the root path and without it.
    name = route.canonical.removeprefix(state.guard.front.root) or "/" if route is not None else "none"
    state.counts.requests[request.method if request.method in _METHODS else "OTHER", name, response.status] += 1
    state.counts.seconds[request.method if request.method in _METHODS else "OTHER", name] += seconds


_GONE = 499
"""The client has closed the connection before it was answered, as many servers count it."""
_METHODS: Sequence[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
