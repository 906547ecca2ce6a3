"""The table of the routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from safelight.sdk.problem import ProblemError

from ..state import State
from . import file_routes, jobs, listing_routes, posting, queue_routes, socket
from .answers import refused

Handler = Callable[[State, web.Request], Awaitable[web.StreamResponse]]

_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/prompt", queue_routes.exec_info),
    ("POST", "/prompt", posting.post),
    ("GET", "/queue", queue_routes.queue),
    ("POST", "/queue", queue_routes.change_queue),
    ("GET", "/history", queue_routes.history),
    ("GET", "/history/{id}", queue_routes.history_of),
    ("POST", "/history", queue_routes.change_history),
    ("POST", "/interrupt", queue_routes.interrupt),
    ("POST", "/free", queue_routes.free),
    ("GET", "/jobs", jobs.jobs),
    ("GET", "/jobs/{id}", jobs.job),
    ("POST", "/jobs/cancel", queue_routes.cancel_jobs),
    ("POST", "/jobs/{id}/cancel", queue_routes.cancel_job),
    ("GET", "/object_info", listing_routes.info),
    ("GET", "/object_info/{name:.+}", listing_routes.info),
    ("GET", "/embeddings", listing_routes.embeddings),
    ("GET", "/models", listing_routes.folders),
    ("GET", "/models/{folder}", listing_routes.models),
    ("GET", "/view_metadata/{folder}", listing_routes.metadata),
    ("GET", "/extensions", listing_routes.extensions),
    ("GET", "/system_stats", listing_routes.system),
    ("GET", "/features", listing_routes.features),
    ("GET", "/view", file_routes.view),
    ("POST", "/upload/image", file_routes.upload_image),
    ("POST", "/upload/mask", file_routes.upload_mask),
    ("GET", "/ws", socket.serve),
)


def add_routes(app: web.Application, state: State) -> None:
    """Adds every route by its own name and below /api, where ours all lie in /api/v1; and both below the root path."""
    roots = dict.fromkeys((state.guard.front.root, ""))
    for method, address, handler in _ROUTES:
        for prefix in (root + api for root in roots for api in ("", "/api")):
            if method == "GET":
                app.router.add_get(prefix + address, _handle(state, handler), allow_head=address != "/ws")
            else:
                app.router.add_route(method, prefix + address, _handle(state, handler))


def _handle(state: State, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(state, request)
        except ProblemError as error:
            return refused(error)

    return handle
