"""The websocket of events. Each client has a task of its own that waits for its own connection alone."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import msgspec
from aiohttp import WSMsgType, web

from safelight.host.host import Host
from safelight.host.stream import Listener
from safelight.host.workers import Preview
from safelight.protocol.common import Problem, Problems
from safelight.protocol.messages import Hello, PreviewHeader, Watch

from .problems import Refused
from .state import State
from .system_routes import version

MAX_CLIENTS = 1_000
_MESSAGE_BYTES = 64 << 10
_HEARTBEAT = 20.0
_BUFFER = 256 << 10


async def events(request: web.Request, state: State) -> web.StreamResponse:
    """Serves one client until it goes, or the server does."""
    after = request.query.get("after")
    if after is not None and not (after.isascii() and after.isdigit() and len(after) <= 16):
        raise Refused(400, "bad_request", f"{after[:50]!r} is not the number of an event.")
    if len(state.host.stream) >= MAX_CLIENTS:
        raise Refused(503, "too_many_clients", f"{MAX_CLIENTS} clients are listening already.")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(400, "not_a_websocket", "This address speaks websocket.", "Connect with ws://.")
    socket = web.WebSocketResponse(
        heartbeat=_HEARTBEAT, compress=False, max_msg_size=_MESSAGE_BYTES, writer_limit=_BUFFER
    )
    await socket.prepare(request)
    host = state.host
    listener = host.stream.listen(int(after) if after is not None else None)
    hello = Hello(server=host.id, version=version(), number=host.stream.last, resumed=listener.resumed)
    writer = asyncio.create_task(_write(socket, listener, msgspec.json.encode(hello)), name="event writer")
    try:
        await _read(socket, listener, host)
    finally:
        host.leave(listener)
        listener.closed = True
        listener.woken.set()
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await writer
    return socket


async def _write(socket: web.WebSocketResponse, listener: Listener, hello: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        await socket.send_frame(hello, WSMsgType.TEXT)
        while True:
            frame, images = await listener.next()
            if frame is None and not images:
                break
            if frame is not None:
                await socket.send_frame(b'{"message":"events","events":' + frame + b"}", WSMsgType.TEXT)
            for image in images:
                await socket.send_frame(preview_frame(image), WSMsgType.BINARY)
        await socket.close(code=1001, message=b"the server ends")


async def _read(socket: web.WebSocketResponse, listener: Listener, host: Host) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            wanted = msgspec.json.decode(message.data, type=Watch)
        except (msgspec.DecodeError, RecursionError) as error:
            problem = Problem(code="bad_message", message=f"The message is not understood: {str(error)[:200]}.")
            await socket.send_frame(msgspec.json.encode(Problems(problems=(problem,))), WSMsgType.TEXT)
            continue
        host.watch(listener, wanted.previews)


def preview_frame(image: Preview) -> bytes:
    """Two bytes of header length (big-endian), the header as JSON, the image."""
    header = msgspec.json.encode(
        PreviewHeader(
            run=image.run,
            node=image.node,
            step=image.step,
            total=image.total,
            media_type=image.media_type,
            width=image.width,
            height=image.height,
        )
    )
    return struct.pack(">H", len(header)) + header + image.data
