"""Bytes by content: ETag, conditional and range requests."""

from __future__ import annotations

import asyncio
import re
from typing import IO
from urllib.parse import quote

from aiohttp import web

from safelight.host.files import Bytes

from .problems import Refused
from .security import FILE_POLICY

_PIECE = 256 << 10


async def send(request: web.Request, source: Bytes, *, immutable: bool, name: str = "") -> web.StreamResponse:
    """The bytes, or the part that was asked for, or 304 where the client has them."""
    etag = f'"{source.digest}"'
    keep = "private, max-age=31536000, immutable" if immutable else "private, no-cache"
    headers = {
        "ETag": etag,
        "Cache-Control": keep,
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": FILE_POLICY,
    }
    wanted = request.headers.get("If-None-Match", "")
    if wanted == "*" or etag in (tag.strip().removeprefix("W/") for tag in wanted.split(",")):
        return web.Response(status=304, headers=headers)
    start, end, status = 0, source.size, 200
    asked = request.headers.get("Range")
    if asked is not None and request.headers.get("If-Range", etag) == etag:
        part = _part(asked, source.size)
        if part is not None:
            start, end = part
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{source.size}"
    headers["Content-Type"] = source.media_type
    if not source.inline:
        said = f"; filename*=UTF-8''{quote(name)}" if name else ""
        headers["Content-Disposition"] = f"attachment{said}"
    headers["Content-Length"] = str(end - start)
    response = web.StreamResponse(status=status, headers=headers)
    try:
        file = await asyncio.to_thread(source.open)
    except OSError:
        raise Refused(404, "file_missing", "The file is gone.") from None
    try:
        await response.prepare(request)
        if request.method != "HEAD":
            await _copy(file, response, start, end)
    finally:
        await asyncio.to_thread(file.close)
    return response


async def _copy(file: IO[bytes], response: web.StreamResponse, start: int, end: int) -> None:
    await asyncio.to_thread(file.seek, start)
    left = end - start
    while left > 0:
        piece = await asyncio.to_thread(file.read, min(_PIECE, left))
        if not piece:
            break
        left -= len(piece)
        await response.write(piece)


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Start and end of the one range that was asked for; None for what is to be answered whole. Refused: outside."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start = int(match[1])
        end = min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refused(416, "bad_range", f"The file has {size} bytes.", headers=headers)
    return start, end
