"""A server of one file in a thread, for tests of downloads: it breaks off, lies, is slow, and sends on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web


class Away:
    """A server of one file. `manner` is how the next requests are answered; `asked` are the ranges it was asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tag = '"one"'
        self.manner = "whole"
        self.asked: list[str] = []
        self.sent: list[str | None] = []
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "ink.safetensors") -> str:
        return f"http://{self.host}/{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        manner, asked = self.manner, request.headers.get("Range", "")
        self.asked.append(asked)
        self.sent.append(request.headers.get("Authorization"))
        if manner == "page":
            return web.Response(text="<html>log in</html>", content_type="text/html")
        if manner == "page as a file":
            return web.Response(body=b"<!DOCTYPE html><html>" + b" " * 2000, content_type="application/octet-stream")
        if manner == "403":
            raise web.HTTPForbidden
        if "://" in manner:
            raise web.HTTPFound(manner)
        start = 0
        if asked and manner != "no ranges" and request.headers.get("If-Range") == self.tag:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        body = self.data[start:]
        headers = {"Content-Type": "application/octet-stream", "ETag": self.tag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        if manner == "chunks":
            response = web.StreamResponse(headers=headers)
            response.enable_chunked_encoding()
        else:
            promised = {"too short": len(body) // 2, "too long": len(body) + 1000}.get(manner, len(body))
            response = web.StreamResponse(
                status=206 if start else 200, headers={**headers, "Content-Length": str(promised)}
            )
            body = body[:promised]
        await response.prepare(request)
        if manner in ("breaks", "no ranges"):
            await response.write(body[:3000])
            assert request.transport is not None
            request.transport.close()
            return response
        if manner == "stalls":
            await asyncio.sleep(3)
        for place in range(0, len(body), 2000):
            await response.write(body[place : place + 2000])
            if manner == "slow":
                await asyncio.sleep(0.02)
        if manner == "too long":
            assert request.transport is not None
            request.transport.close()
        return response


@contextmanager
def serving_away(data: bytes) -> Iterator[Away]:
    made, ready, loop = Away(data), threading.Event(), asyncio.new_event_loop()

    async def begin() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", made.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.port = runner.addresses[0][1]
        ready.set()

    def work() -> None:
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
