"""The websocket: two hundred clients, one that does not read, one that comes back, and previews."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from safelight.client import AsyncClient, Client
from safelight.protocol.records import RunChanged
from safelight.sdk.problem import ProblemError
from serving import Server, chain, document, saving, single

CLIENTS = 200


async def listen(session: aiohttp.ClientSession, server: Server, after: int | None = None) -> Any:
    query = "" if after is None else f"?after={after}"
    return await session.ws_connect(f"{server.url}/api/v1/events{query}", max_msg_size=0)


async def hello_of(socket: Any) -> dict[str, Any]:
    hello = json.loads((await socket.receive(timeout=10)).data)
    assert hello["message"] == "hello"
    return hello


async def events_until(socket: Any, run: str, seconds: float = 60) -> list[dict[str, Any]]:
    """All events up to the end of a run."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            for event in json.loads(message.data)["events"]:
                found.append(event)
                data = event["data"]
                if data["event"] == "run_changed" and data["run"]["id"] == run and is_over(data["run"]):
                    return found


def is_over(run: dict[str, Any]) -> bool:
    return run["status"] in ("done", "failed", "cancelled")


def long_chain(start: int) -> dict[str, Any]:
    return chain(400, start)


def about_runs(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["data"]["event"] != "snapshot"]


async def submitted(server: Server, workflow: dict[str, Any]) -> str:
    status, run = await asyncio.to_thread(server.call, "POST", "/runs", {"document": workflow})
    assert status == 201, run
    return run["id"]


def test_two_hundred_clients_see_the_same_events_in_order(server: Server) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sockets = [await listen(session, server) for _ in range(CLIENTS)]
            # One that never reads: its client takes nothing from the connection.
            deaf = await listen(session, server)
            deaf._response.connection.transport.pause_reading()
            for socket in sockets:
                await hello_of(socket)
            started = time.perf_counter()
            run = await submitted(server, long_chain(5_000_000))
            seen = await asyncio.gather(*(events_until(socket, run) for socket in sockets))
            seconds = time.perf_counter() - started
            first = about_runs(seen[0])
            ours = [event for event in first if event["data"].get("run") == run]
            assert len(ours) == 2 * 400 + 2
            for events in seen:
                numbers = [event["number"] for event in about_runs(events)]
                assert numbers == list(range(numbers[0], numbers[-1] + 1))
                mine = [event for event in events if event["data"].get("run") == run]
                assert mine == ours
            assert seconds < 20
            for socket in sockets:
                await socket.close()
            deaf._response.close()  # it would wait for an answer that it does not read

    asyncio.run(work())


def test_one_that_never_reads_costs_nobody_anything(server: Server) -> None:
    """Its connection is full after some megabytes. The others go on, and it gets a snapshot when it reads again."""
    nodes = {"t": {"type": "trivial/work.length", "values": {"texts": []}}}
    large = document(nodes, [], output="t.value", value="t.texts")

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            deaf, steady = await listen(session, server), await listen(session, server)
            await hello_of(deaf)
            await hello_of(steady)
            deaf._response.connection.transport.pause_reading()
            before = psutil.Process(server.process.pid).memory_info().rss
            last = 0
            for number in range(40):  # three events of 400 kB each
                body = {"document": large, "inputs": {"value": [f"{number}" + "x" * 99_000] * 4}}
                status, run = await asyncio.to_thread(server.call, "POST", "/runs", body)
                assert status == 201, run
                last = (await events_until(steady, run["id"]))[-1]["number"]
            grown = psutil.Process(server.process.pid).memory_info().rss - before
            assert grown < 400 << 20, "what a deaf one has not read is not piled up"
            deaf._response.connection.transport.resume_reading()
            seen: list[dict[str, Any]] = []
            async with asyncio.timeout(60):
                while not seen or seen[-1]["number"] < last:
                    seen += json.loads((await deaf.receive()).data)["events"]
            kinds = [event["data"]["event"] for event in seen]
            assert "snapshot" in kinds[1:], "in the place of what it missed"
            numbers = [event["number"] for event in seen]
            assert numbers == sorted(numbers)

    asyncio.run(work())


def test_a_client_that_comes_back_misses_nothing(server: Server) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            steady, flighty = await listen(session, server), await listen(session, server)
            await hello_of(steady)
            number = (await hello_of(flighty))["number"]
            # Only what follows the snapshot counts for both.
            await flighty.receive()
            await flighty.close()
            run = await submitted(server, long_chain(6_000_000))
            await asyncio.sleep(0.05)
            again = await listen(session, server, number)
            hello = await hello_of(again)
            assert hello["resumed"]
            wanted = [event for event in about_runs(await events_until(steady, run)) if event["number"] > number]
            assert await events_until(again, run) == wanted

    asyncio.run(work())


def test_a_client_of_an_earlier_start_gets_a_snapshot(server: Server) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            socket = await listen(session, server, 17)
            assert not (await hello_of(socket))["resumed"]
            (event,) = json.loads((await socket.receive(timeout=10)).data)["events"]
            assert event["data"]["event"] == "snapshot" and event["data"]["workers"]

    asyncio.run(work())


def test_previews_come_to_those_who_ask(server: Server) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            watching, other = await listen(session, server), await listen(session, server)
            await watching.send_json({"message": "watch", "previews": ["*"]})
            await asyncio.sleep(0.1)
            run = await submitted(server, single("sampled", count=40, seconds=0.05))
            images: list[dict[str, Any]] = []
            async with asyncio.timeout(60):
                while True:
                    message = await watching.receive()
                    if message.type is aiohttp.WSMsgType.BINARY:
                        (length,) = struct.unpack(">H", message.data[:2])
                        header = json.loads(message.data[2 : 2 + length])
                        assert message.data[2 + length :].startswith(b"\xff\xd8\xff")
                        images.append(header)
                    elif message.data and f'"id":"{run}"' in message.data and '"status":"done"' in message.data:
                        break
            assert len(images) >= 3 and {image["run"] for image in images} == {run}
            steps = [image["step"] for image in images]
            assert steps == sorted(steps) and images[0]["width"] == 8
            while (message := await other.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
                if f'"id":"{run}"' in message.data and '"status":"done"' in message.data:
                    break
            assert message.type is aiohttp.WSMsgType.TEXT, "nobody else gets binary frames"

    asyncio.run(work())


def test_what_is_no_message_is_answered_and_ignored(server: Server) -> None:
    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            socket = await listen(session, server)
            await hello_of(socket)
            for text in ("nonsense", "[" * 50_000, '{"message": "watch"}', '{"message": "other"}'):
                await socket.send_str(text)
                async with asyncio.timeout(10):
                    while "problems" not in (answer := json.loads((await socket.receive()).data)):
                        pass
                assert answer["problems"][0]["code"] == "bad_message"
            async with session.get(f"{server.url}/api/v1/events?after=x") as refused:
                assert refused.status == 400

    asyncio.run(work())


# The clients of the package


def test_the_client_runs_waits_and_downloads(server: Server, tmp_path: Path) -> None:
    with Client(server.url) as client:
        heard: list[str] = []
        run = client.run(saving(), inputs={"value": 424242}, on_event=lambda event: heard.append(type(event).__name__))
        assert run.status == "done" and heard[0] == "RunStarted" and "NodeFinished" in heard
        (path,) = client.download(run, tmp_path)
        assert path.read_text(encoding="utf-8") == "424242\n"
        assert client.download(run, tmp_path) == [path], "the same bytes are not written twice"
        assert client.check(chain(3)).ok
        assert client.plan(chain(3)).nodes
        assert "trivial/work.add" in {node.id for node in client.catalogue().nodes}
        assert client.health().ready
        batch = client.submit_batch(chain(2), sweep={"value": [1, 2]})
        assert [run.values for run in client.batch(batch.batch).runs] == [[1], [2]]
        assert client.gallery(run=run.id).items[0].digest == run.files[0].digest


def test_the_client_has_as_much_patience_as_it_is_given() -> None:
    started = time.perf_counter()
    with Client("http://127.0.0.1:9", patience=0.5) as client:
        for ask in (client.health, lambda: client.run(chain(2))):
            with pytest.raises(ProblemError, match="cannot be reached"):
                ask()
    assert time.perf_counter() - started < 5
    names = {name for name in dir(AsyncClient) if not name.startswith("_")}
    assert names == {name for name in dir(Client) if not name.startswith("_")}, "both clients can do the same"


def test_the_async_client_follows_events(server: Server) -> None:
    async def work() -> None:
        async with AsyncClient(server.url) as client:
            stream = client.events()
            await anext(stream)
            accepted = await client.submit(chain(3), inputs={"value": 77})
            async for _, event in stream:
                if isinstance(event, RunChanged) and event.run.id == accepted.id and event.run.status == "done":
                    assert event.run.outputs["result"][0].value == 79
                    break
            await stream.aclose()

    asyncio.run(work())


def test_a_model_that_is_dropped_into_the_folder_is_told_of(server: Server) -> None:
    def is_listed() -> bool:
        return "dropped.safetensors" in {model["name"] for model in server.call("GET", "/models")[1]["models"]}

    async def told(socket: Any, listed: bool) -> None:
        """Until the list is told to have changed, and has."""
        async with asyncio.timeout(30):
            while True:
                for event in json.loads((await socket.receive()).data)["events"]:
                    over = event["data"]["event"] == "models_changed" and not event["data"]["scanning"]
                    if over and await asyncio.to_thread(is_listed) is listed:
                        return

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            socket = await listen(session, server)
            await hello_of(socket)
            assert not await asyncio.to_thread(is_listed)
            dropped = server.home / "models" / "dropped.safetensors"
            dropped.parent.mkdir(parents=True, exist_ok=True)
            dropped.write_bytes((2).to_bytes(8, "little") + b"{}")
            await told(socket, True)
            dropped.unlink()
            await told(socket, False)

    asyncio.run(work())
