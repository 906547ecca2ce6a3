"""A client of ComfyUI's API as its own examples are written: post, wait on the socket, fetch the images."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import aiohttp
from PIL import Image

from comfyui_files import api
from serving import Server

Frame = dict[str, Any] | bytes


def prompt(**sampler: Any) -> dict[str, Any]:
    """Text to image with the starter model."""
    nodes = api()
    nodes["4"]["inputs"]["ckpt_name"] = "starter"
    nodes["9"]["_meta"] = {"title": "Save Image", "mine": [1, "two"]}
    nodes["3"]["inputs"] |= sampler
    return nodes


class Client:
    """One client with an id of its own."""

    def __init__(self, server: Server, token: str = "") -> None:
        self.url = server.url
        self.id = uuid.uuid4().hex
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def call(self, method: str, address: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and answer. JSON bodies go out as urllib sends them, under the type of a form."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = self.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            with urlopen(Request(self.url + address, data, given, method=method), timeout=60) as response:
                return response.status, _decoded(response.read())
        except HTTPError as error:
            return error.code, _decoded(error.read())

    def get(self, address: str) -> Any:
        status, answer = self.call("GET", address)
        assert status == 200, answer
        return answer

    def post(self, nodes: dict[str, Any], **more: Any) -> str:
        """Queues a prompt; gives its id."""
        status, answer = self.call("POST", "/prompt", {"prompt": nodes, "client_id": self.id, **more})
        assert status == 200 and answer["node_errors"] == {}, answer
        return answer["prompt_id"]

    def run(self, nodes: dict[str, Any], flags: dict[str, Any] | None = None, **more: Any) -> tuple[str, list[Frame]]:
        """Posts and waits: the id, and every frame up to the end of the prompt."""

        async def work() -> tuple[str, list[Frame]]:
            async with self.listening() as socket:
                if flags is not None:
                    await socket.send_str(json.dumps({"type": "feature_flags", "data": flags}))
                made = await asyncio.to_thread(self.post, nodes, **more)
                return made, await until_end(socket, made)

        return asyncio.run(work())

    def listening(self) -> Any:
        return _Listening(self)

    def files(self, prompt_id: str) -> dict[str, list[bytes]]:
        """What each output node has made."""
        outputs = self.get(f"/history/{prompt_id}")[prompt_id]["outputs"]
        return {node: [self.view(**file) for file in made["images"]] for node, made in outputs.items()}

    def view(self, **query: str) -> bytes:
        with urlopen(Request(f"{self.url}/view?{urlencode(query)}", headers=self.headers), timeout=60) as response:
            return response.read()

    def upload(self, address: str, filename: str, data: bytes, **fields: str) -> tuple[int, Any]:
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\n\r\n'
        body = b"".join([*parts, head.encode(), data, f"\r\n--{mark}--\r\n".encode()])
        return self.call("POST", address, body, Content_Type=f"multipart/form-data; boundary={mark}")


class _Listening:
    """A connection to the websocket, as a context."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> aiohttp.ClientWebSocketResponse:
        self._session = aiohttp.ClientSession(headers=self._client.headers)
        return await self._session.ws_connect(f"{self._client.url}/ws?clientId={self._client.id}", max_msg_size=0)

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()


async def until(socket: aiohttp.ClientWebSocketResponse, over: Callable[[Frame], bool]) -> list[Frame]:
    """The frames up to one."""
    frames: list[Frame] = []
    async with asyncio.timeout(120):
        while True:
            message = await socket.receive()
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
            frames.append(json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else message.data)
            if over(frames[-1]):
                return frames


def until_end(socket: aiohttp.ClientWebSocketResponse, prompt_id: str) -> Awaitable[list[Frame]]:
    return until(socket, lambda frame: is_frame(frame, "executing", node=None, prompt_id=prompt_id))


def is_frame(frame: Frame, type: str, **data: Any) -> bool:
    return isinstance(frame, dict) and frame["type"] == type and data.items() <= frame["data"].items()


def types(frames: list[Frame]) -> list[str]:
    return [frame["type"] if isinstance(frame, dict) else "image" for frame in frames]


def pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").tobytes()


def png(colour: Any = (200, 30, 40), size: tuple[int, int] = (128, 128), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def our_image(server: Server, template: str = "text_to_image", **inputs: Any) -> bytes:
    """The pixels of what `prompt` makes, from a run of a shipped workflow of ours."""
    document = server.ask("GET", f"/templates/{template}")
    named = {node["type"]: name for name, node in document["nodes"].items()}
    sampler: dict[str, Any] = {"steps": 4, "guidance": 2.0, "seed": 5, "sampler": "dpmpp_2m", "scheduler": "karras"}
    sampler["formulas"] = "k-diffusion"
    values = {f"{named['sampling.sample']}.{port}": value for port, value in sampler.items()}
    if "latent.empty" in named:
        values |= {f"{named['latent.empty']}.{side}": 128 for side in ("width", "height")}
    given = {"prompt": "a red apple", **inputs}
    run = server.wait(server.ask("POST", "/runs", {"document": document, "inputs": given, "values": values})["id"], 120)
    assert run["status"] == "done", run
    with urlopen(server.url + run["files"][-1]["url"], timeout=60) as response:
        return pixels(response.read())


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data
