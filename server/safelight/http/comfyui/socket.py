"""`/ws`: what happens, told as ComfyUI tells it. Each client follows the stream of our events by itself.

At the end of a run the history is there before anything is told: first how it ended, then the length of the queue, then
`executing` without a node.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from safelight.host.queue import prompts
from safelight.host.stream import Listener
from safelight.host.workers import Preview
from safelight.protocol.records import ENDED, NumberedEvent, Run, RunChanged, RunRemoved, Snapshot

from ..events import MAX_CLIENTS
from ..problems import Refused
from ..state import State
from . import frames
from .entries import end
from .frames import Message, Told
from .listing_routes import FEATURES
from .queue_routes import is_posted, remaining

_HEARTBEAT = 20.0
_MESSAGE_BYTES = 64 << 10
_PATIENCE = (0.0, 0.1, 0.3, 0.6)
_ID_CHARACTERS = 100
_events = msgspec.json.Decoder(list[NumberedEvent])


async def serve(state: State, request: web.Request) -> web.StreamResponse:
    """Serves one client until it goes, or the server does."""
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(400, "not_a_websocket", "This address speaks websocket.", "Connect with ws://.")
    if len(state.host.stream) >= MAX_CLIENTS:
        raise Refused(503, "too_many_clients", f"{MAX_CLIENTS} clients are listening already.")
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, compress=False, max_msg_size=_MESSAGE_BYTES)
    await socket.prepare(request)
    name = request.query.get("clientId", "")[:_ID_CHARACTERS] or uuid.uuid4().hex
    listener = state.host.stream.listen(state.host.stream.last)
    client = _Client(state, socket, listener, name)
    writer = asyncio.create_task(client.write(), name="comfyui writer")
    try:
        await client.read()
    finally:
        state.host.leave(listener)
        listener.closed = True
        listener.woken.set()
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await writer
    return socket


class _Client:
    """One connection. `told` are the prompts of this client that go on; None stands for runs of others."""

    def __init__(self, state: State, socket: web.WebSocketResponse, listener: Listener, name: str) -> None:
        self._state = state
        self._host = state.host
        self._socket = socket
        self._listener = listener
        self._name = name
        self._told: dict[str, Told | None] = {}
        self._with_metadata = False
        self._first = True

    async def read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                said = msgspec.json.decode(message.data)
            except (msgspec.DecodeError, RecursionError):
                continue
            if self._first and isinstance(said, dict) and said.get("type") == "feature_flags":
                flags = said.get("data")
                self._with_metadata = isinstance(flags, dict) and flags.get("supports_preview_metadata") is True
                await self._say(("feature_flags", FEATURES))
            self._first = False

    async def write(self) -> None:
        """Tells until the client is gone or the server ends. Whatever else ends it closes the connection, too: a client
        must not wait for what will not come."""
        try:
            with contextlib.suppress(ConnectionError):
                await self._say(frames.status(remaining(self._host), self._name))
                await self._catch_up()
                while True:
                    batch, images = await self._listener.next()
                    if batch is None and not images:
                        break
                    for event in _events.decode(batch) if batch is not None else ():
                        await self._tell(event.data)
                    for one in images:
                        await self._show(one)
        finally:
            await self._socket.close(code=1001, message=b"the server ends")

    async def _catch_up(self) -> None:
        """A client that comes back is told where its prompt stands."""
        for run, nodes in self._host.live.nodes().items():
            told = await self._known(run)
            if told is None:
                continue
            for node, at in list(nodes.items()):
                owner = told.owner(node)
                if owner is None or at.status in ("waiting", "off"):
                    continue
                running = at.status == "running"
                told.mark(owner, running=running, step=at.step, total=at.total)
                told.node = owner if running else told.node
            await self._say(told.progress_state())
            if told.node is not None:
                await self._say(told.executing(told.node))

    async def _tell(self, event: Any) -> None:
        if isinstance(event, RunChanged):
            await self._changed(event.run)
        elif isinstance(event, RunRemoved):
            self._told.pop(event.id, None)
            await self._say(frames.status(remaining(self._host)))
        elif isinstance(event, Snapshot):
            await self._missed({run.id for run in event.runs})
        elif (run := getattr(event, "run", None)) is not None:
            told = await self._known(run)
            if told is not None:
                await self._follow(told, event)

    async def _follow(self, told: Told, event: Any) -> None:
        node, files = told.sent_files(event)
        if files:
            if told.node != node:
                told.node = node
                await self._say(told.executing(node))
            for file in files:
                await self._send(file.digest, file.media_type)
        for message in told.follow(event):
            await self._say(message)

    async def _changed(self, run: Run) -> None:
        if not is_posted(run):
            self._told.pop(run.id, None)
            return
        if run.status in ENDED:
            await self._ended(run)
        else:
            if run.status == "running":
                await self._known(run.id)
            await self._say(frames.status(remaining(self._host)))

    async def _ended(self, run: Run) -> None:
        told = await self._known(run.id)
        self._told.pop(run.id, None)
        over: list[Message] = []
        if run.attempts:  # one that was taken out of the queue has not begun
            (posted,) = await self._host.database.read(lambda c: prompts.find(c, [run.id])) or (None,)
            if told is not None:
                over += told.known()
            if posted is not None and (told is not None or run.status == "cancelled"):
                over.append(end(posted))
        for message in (*over, frames.status(remaining(self._host))):
            await self._say(message)
        if told is not None and run.attempts:
            await self._say(told.executing(None))
            self._watch()

    async def _missed(self, live: set[str]) -> None:
        """A client that was too slow has a gap: its prompts that have ended meanwhile are told to have."""
        for run in [run for run, told in self._told.items() if told is not None and run not in live]:
            found = await self._host.database.read(lambda c, run=run: prompts.find(c, [run]))
            if found and found[0].run.status in ENDED:
                await self._ended(found[0].run)
        await self._say(frames.status(remaining(self._host)))

    async def _known(self, run: str) -> Told | None:
        """A prompt of this client; None for what is another's, or no prompt."""
        if run not in self._told:
            found = await self._host.database.read(lambda connection: prompts.find(connection, [run]))
            own = found and found[0].prompt.client == self._name
            self._told[run] = Told.of(found[0]) if own else None
            self._watch()
        return self._told[run]

    def _watch(self) -> None:
        """Asks for previews of those prompts whose client wants them."""
        wanted = [run for run, told in self._told.items() if told is not None and told.wants_previews]
        if set(wanted) != set(self._listener.previews):
            self._host.watch(self._listener, wanted)

    async def _show(self, preview: Preview) -> None:
        told = self._told.get(preview.run)
        if told is not None:
            frame = frames.preview(preview, told, with_metadata=self._with_metadata)
            await self._socket.send_frame(frame, WSMsgType.BINARY)

    async def _send(self, digest: str, media_type: str) -> None:
        """An image itself. A worker writes behind: what an event has just announced may be a moment away."""
        for pause in _PATIENCE:
            await asyncio.sleep(pause)
            found = await asyncio.to_thread(self._state.folders.bytes_of, digest, ())
            if found is not None:
                try:
                    data = await asyncio.to_thread(found.read)
                except OSError:  # it was evicted in this very moment
                    return
                await self._socket.send_frame(frames.image(data, media_type), WSMsgType.BINARY)
                return

    async def _say(self, message: Message) -> None:
        await self._socket.send_frame(frames.text(message), WSMsgType.TEXT)
