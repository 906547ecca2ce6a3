"""The built editor, and a short page where it is not built."""

from __future__ import annotations

import asyncio
import html
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from safelight.disk import is_below

from .security import FILE_POLICY, PAGE_POLICY
from .state import State

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".map": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


def find_web() -> Path | None:
    """The folder of the built editor: in the package, or, in a checkout, where its build puts it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "web", package.parents[1] / "web" / "dist"):
        if (folder / "index.html").is_file():
            return folder
    return None


async def page(request: web.Request, state: State) -> web.StreamResponse:
    """A file of the editor; its page for every other address that a person visits."""
    token = request.query.get("token")
    if token is not None and state.guard.token is not None and state.guard.is_token(token):
        return signed_in(request, state)
    front, root = state.guard.front, state.web
    path = front.path(request)
    if front.root and request.path == front.root:
        raise web.HTTPPermanentRedirect(front.root + "/")
    if root is None:
        return _plain_page(503 if path != "/" else 200)
    base = _base(front.root, path)
    answer = await asyncio.to_thread(_file, root, path, base)
    if answer is None and "text/html" in request.headers.get("Accept", "") and "." not in path:
        answer = await asyncio.to_thread(_file, root, "/", base)
    if answer is None:
        raise web.HTTPNotFound
    return answer


def signed_in(request: web.Request, state: State) -> web.StreamResponse:
    """Sets the cookie and goes on without the token in the address, so that it is in no history or bookmark."""
    guard = state.guard
    # Relative, so that it is right behind a proxy that has taken a path off, too. The cookie is for what lies below the
    # path, so a visit without its slash is led there.
    last = quote(request.path.rpartition("/")[2], safe="")
    bare = guard.front.root and request.path == guard.front.root
    response = web.HTTPSeeOther(f"./{last}/" if bare else f"./{last}")
    response.set_cookie(
        guard.cookie,
        guard.session(),
        httponly=True,
        samesite="Strict",
        secure=request.secure or guard.front.seen(request).scheme == "https",
        path=guard.front.root + "/",
        max_age=30 * 86_400,
    )
    return response


def sign_in_page() -> web.Response:
    """Asks a person for the token."""
    body = _PAGE.format(
        title="Safelight",
        text="This server needs the token that it printed when it was started.",
        more='<form method="get"><input name="token" type="password" autofocus aria-label="Token"> '
        "<button>Open</button></form>",
    )
    return _html(body, 401)


def _base(root: str, path: str) -> str:
    """The address that those in the page are relative to; empty where that is where the page is."""
    return f"{root}/" if root else "../" * (path.count("/") - 1)


def _file(root: Path, address: str, base: str) -> web.Response | None:
    relative = address.lstrip("/") or "index.html"
    parts = relative.split("/")
    if "\0" in relative or "\\" in relative or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        return None
    path = (root / relative).resolve()
    if not is_below(path, root) or not path.is_file():
        return None
    kind = _TYPES.get(path.suffix.lower(), "application/octet-stream")
    page = path.suffix == ".html"
    # Built assets carry a hash in their name; everything else is asked for again.
    keep = "public, max-age=31536000, immutable" if parts[0] == "assets" else "no-cache"
    headers = {
        "Content-Type": kind,
        "Cache-Control": keep,
        "Content-Security-Policy": PAGE_POLICY if page else FILE_POLICY if kind == "image/svg+xml" else PAGE_POLICY,
    }
    body = path.read_bytes()
    if page and base:
        body = body.replace(b"<head>", f'<head><base href="{base}" />'.encode(), 1)
    return web.Response(body=body, headers=headers)


def _plain_page(status: int) -> web.Response:
    text = (
        "The server is running, but the editor is not built. In a checkout, build it with <code>make web</code>; "
        "the packages have it inside."
    )
    more = '<p>The API is described at <a href="api/v1/openapi.json">/api/v1/openapi.json</a>.</p>'
    return _html(_PAGE.format(title=html.escape("Safelight"), text=text, more=more), status)


def _html(body: str, status: int) -> web.Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    return web.Response(text=body, status=status, content_type="text/html", headers=headers)


_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width"><h1>Safelight</h1><p>{text}</p>{more}</html>'
)
