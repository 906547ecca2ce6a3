"""What is posted as to ComfyUI runs, is told of as ComfyUI tells it, and makes what a run of ours makes."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from comfyui_client import Client, Frame, is_frame, pixels, prompt, types, until, until_end
from serving import Server, serving

LONG = {"steps": 150, "sampler_name": "euler", "scheduler": "normal"}


def test_a_script_posts_waits_and_fetches(comfyui: Server, client: Client, apple: bytes) -> None:
    nodes = prompt() | {"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    made, _ = client.run(nodes, unknown_to_us=1)
    files = client.files(made)
    assert {node: [pixels(data) for data in several] for node, several in files.items()} == {
        "9": [apple],
        "10": [apple],
    }
    entry = client.get(f"/history/{made}")[made]
    assert entry["prompt"][1:3] == [made, nodes] and set(entry["prompt"][4]) == {"9", "10"}
    (saved,) = entry["outputs"]["9"]["images"]
    assert (saved["filename"][:3], saved["subfolder"], saved["type"]) == ("it_", "folder", "output")
    assert entry["status"]["status_str"] == "success" and entry["status"]["completed"] is True
    assert [kind for kind, _ in entry["status"]["messages"]] == [
        "execution_start",
        "execution_cached",
        "execution_success",
    ]
    assert entry["meta"]["9"]["display_node"] == "9"
    assert client.get("/api/history?max_items=1") == {made: entry}
    # It is a run of ours like any other.
    name = f"folder/{saved['filename']}"
    (run,) = [run for run in comfyui.ask("GET", "/runs")["runs"] if run["key"] == f"comfyui:{made}"]
    assert run["status"] == "done" and [file["name"] for file in run["files"]] == [name]
    (item,) = [one for one in comfyui.ask("GET", "/gallery?search=apple")["items"] if one["name"] == name]
    assert item["prompts"] == ["a red apple"] and item["models"] == ["checkpoints/starter"]
    assert comfyui.ask("GET", f"/runs/{run['id']}/document")["nodes"]["save_image_9"]["type"] == "image.save"


def test_frames_come_in_the_order_that_clients_rely_on(client: Client) -> None:
    made, frames = client.run(prompt(seed=6))
    assert is_frame(frames[0], "status", sid=client.id)
    own = [frame for frame in frames if isinstance(frame, dict) and frame["data"].get("prompt_id") == made]
    assert types(own)[:2] == ["execution_start", "execution_cached"]
    started = [frame["data"]["node"] for frame in own if frame["type"] == "executing"]
    # The model, the size and the empty prompt may be known from before.
    assert started[-4:] == ["3", "8", "9", None]
    steps = [frame["data"] for frame in own if frame["type"] == "progress"]
    assert [(one["value"], one["max"], one["node"]) for one in steps] == [(step, 4, "3") for step in (1, 2, 3, 4)]
    states = [frame["data"]["nodes"] for frame in own if frame["type"] == "progress_state"]
    assert states[-1]["3"]["state"] == "finished" and states[-1]["9"]["state"] == "running"
    (executed,) = [frame["data"] for frame in own if frame["type"] == "executed"]
    assert executed["node"] == "9" and executed["output"]["images"][0]["subfolder"] == "folder"
    assert types(frames)[-3:] == ["execution_success", "status", "executing"]
    assert "image" not in types(frames), "previews come to those alone who ask"


def test_the_history_is_there_before_the_end_is_told(client: Client) -> None:
    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        async with client.listening() as socket:
            made = await asyncio.to_thread(client.post, prompt(seed=7))
            before = await asyncio.to_thread(client.get, f"/history/{made}")
            await until(socket, lambda frame: is_frame(frame, "execution_success", prompt_id=made))
            return before, (await asyncio.to_thread(client.get, f"/history/{made}"))[made]

    before, after = asyncio.run(work())
    assert before == {} and after["outputs"]["9"]["images"]


def test_what_is_cached_is_told_and_its_files_are_named_again(client: Client) -> None:
    first, _ = client.run(prompt(seed=8))
    again, frames = client.run(prompt(seed=8))
    cached = [node for frame in frames if is_frame(frame, "execution_cached") for node in frame["data"]["nodes"]]
    assert set(cached) == set(prompt())
    assert types(frames).count("execution_cached") == 1, "together: clients look for all their output nodes in it"
    assert [frame["data"]["node"] for frame in frames if is_frame(frame, "executing")] == [None]
    files = [client.get(f"/history/{one}")[one]["outputs"] for one in (first, again)]
    assert files[0] == files[1]


def test_images_come_over_the_websocket(client: Client, apple: bytes) -> None:
    nodes = prompt()
    nodes["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}
    for _ in range(2):  # the second time from the cache
        _, frames = client.run(nodes)
        (place,) = [place for place, frame in enumerate(frames) if isinstance(frame, bytes)]
        frame = frames[place]
        assert isinstance(frame, bytes) and struct.unpack(">II", frame[:8]) == (1, 2)
        assert pixels(frame[8:]) == apple and frame[8:12] == b"\x89PNG"
        now = [one["data"]["node"] for one in frames[:place] if is_frame(one, "executing")]
        assert now[-1] == "9", "scripts take the images of the node that is executing"


@pytest.mark.slow
@pytest.mark.parametrize("with_metadata", [False, True])
def test_previews_come_to_those_who_ask(client: Client, with_metadata: bool) -> None:
    nodes = prompt(seed=20 + with_metadata, **LONG)
    flags = {"supports_preview_metadata": True} if with_metadata else None
    made, frames = client.run(nodes, flags, extra_data={"preview_method": "auto"})
    shown = [frame for frame in frames if isinstance(frame, bytes)]
    assert shown
    for frame in shown:
        kind, second = struct.unpack(">II", frame[:8])
        if with_metadata:
            about = json.loads(frame[8 : 8 + second])
            assert kind == 4 and about["node_id"] == "3" and about["prompt_id"] == made
            start = 8 + second
        else:
            assert (kind, second) == (1, 1)
            start = 8
        assert Image.open(io.BytesIO(frame[start:])).format == "JPEG"
    if with_metadata:
        assert any(is_frame(frame, "feature_flags", supports_preview_metadata=True) for frame in frames)


@pytest.mark.slow
def test_three_are_queued_one_is_deleted_one_interrupted(client: Client) -> None:
    async def work() -> tuple[list[str], dict[str, Any], list[Frame], list[Frame]]:
        async with client.listening() as socket:

            def post() -> list[str]:
                made = [
                    client.post(prompt(seed=30, **LONG)),
                    client.post(prompt(seed=31)),
                    client.post(prompt(seed=32)),
                ]
                return [*made, client.post(prompt(seed=33), front=True)]

            names = await asyncio.to_thread(post)
            await until(socket, lambda frame: is_frame(frame, "progress", prompt_id=names[0]))
            queue = await asyncio.to_thread(client.get, "/queue")
            await asyncio.to_thread(client.call, "POST", "/queue", {"delete": [names[1]]})
            await asyncio.to_thread(client.call, "POST", "/interrupt", b"")
            stopped = await until_end(socket, names[0])
            return names, queue, stopped, await until_end(socket, names[2])

    (first, second, third, ahead), queue, stopped, rest = asyncio.run(work())
    assert [item[1] for item in queue["queue_running"]] == [first]
    assert [item[1] for item in queue["queue_pending"]] == [ahead, second, third]
    assert queue["queue_pending"][0][0] < 0 and queue["queue_running"][0][2]["3"]["class_type"] == "KSampler"
    assert types(stopped)[-3:] == ["execution_interrupted", "status", "executing"]
    assert stopped[-3]["data"]["node_id"] == "" and stopped[-3]["data"]["prompt_id"] == first  # type: ignore[index]
    ended = [frame["data"]["prompt_id"] for frame in rest if is_frame(frame, "executing", node=None)]
    assert ended == [ahead, third]
    assert client.get(f"/history/{second}") == {}, "what has not begun is in no history"
    status = client.get(f"/history/{first}")[first]["status"]
    assert (status["status_str"], status["completed"]) == ("error", False)
    assert status["messages"][-1][0] == "execution_interrupted"
    assert client.get("/prompt")["exec_info"]["queue_remaining"] == 0
    jobs = {job["id"]: job["status"] for job in client.get("/api/jobs")["jobs"]}
    assert [jobs[name] for name in (first, second, third)] == ["cancelled", "cancelled", "completed"]


def test_numbers_order_the_queue_and_ids_make_requests_repeatable(client: Client) -> None:
    running = client.post(prompt(seed=40, **LONG))
    late = client.post(prompt(seed=41), number=1e9)
    named = client.post(prompt(seed=42), prompt_id="7f0c0e5e-0000-4000-8000-00000000000a")
    again = client.post(prompt(seed=42), prompt_id=named)
    early = client.post(prompt(seed=43), number=-1e9)
    pending = [item[1] for item in client.get("/queue")["queue_pending"]]
    assert again == named == "7f0c0e5e-0000-4000-8000-00000000000a"
    assert [name for name in pending if name != running] == [early, named, late]
    assert client.call("POST", "/queue", {"clear": True})[0] == 200
    assert client.call("POST", f"/api/jobs/{running}/cancel") == (200, {"cancelled": True})
    deadline = time.monotonic() + 30
    while client.get("/prompt")["exec_info"]["queue_remaining"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.call("POST", f"/api/jobs/{running}/cancel") == (200, {"cancelled": False})


@pytest.mark.slow
def test_a_client_that_comes_back_is_told_where_its_prompt_stands(client: Client) -> None:
    async def work() -> list[Frame]:
        async with client.listening() as socket:
            made = await asyncio.to_thread(client.post, prompt(seed=50, **LONG))
            await until(socket, lambda frame: is_frame(frame, "progress", prompt_id=made))
        async with client.listening() as socket:
            return await until_end(socket, made)

    frames = asyncio.run(work())
    assert types(frames)[:3] == ["status", "progress_state", "executing"]
    assert frames[1]["data"]["nodes"]["3"]["value"] >= 1  # type: ignore[index]
    assert is_frame(frames[2], "executing", node="3")


def test_others_are_told_of_the_queue_alone(comfyui: Server, client: Client) -> None:
    other = Client(comfyui)

    async def work() -> list[Frame]:
        async with other.listening() as socket:
            made, _ = await asyncio.to_thread(_run_in_thread, client)
            assert made
            return await until(socket, lambda frame: is_frame(frame, "status") and not _left(frame))

    assert set(types(asyncio.run(work()))) == {"status"}


def _run_in_thread(client: Client) -> tuple[str, list[Frame]]:
    return client.run(prompt(seed=60))


def _left(frame: Frame) -> int:
    return (
        -1
        if isinstance(frame, bytes) or "sid" in frame["data"]
        else frame["data"]["status"]["exec_info"]["queue_remaining"]
    )


def test_what_fails_while_it_runs_is_told_at_its_node(client: Client) -> None:
    nodes = prompt()
    crop = {"image": ["8", 0], "width": 64, "height": 64, "x": 5000, "y": 0}
    nodes["11"] = {"class_type": "ImageCrop", "inputs": crop}
    nodes["9"]["inputs"]["images"] = ["11", 0]
    made, frames = client.run(nodes)
    assert types(frames)[-3:] == ["execution_error", "status", "executing"]
    error = frames[-3]["data"]  # type: ignore[index]
    assert (error["node_id"], error["node_type"], error["prompt_id"]) == ("11", "ImageCrop", made)
    assert error["exception_message"] and "8" in error["executed"] and error["traceback"] == []
    entry = client.get(f"/history/{made}")[made]
    assert entry["status"]["messages"][-1][0] == "execution_error" and entry["outputs"] == {}
    assert client.get(f"/api/jobs/{made}")["execution_error"]["node_id"] == "11"


def test_only_what_is_wanted_runs(client: Client) -> None:
    nodes = prompt() | {"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    made, _ = client.run(nodes, partial_execution_targets=["10"])
    assert set(client.files(made)) == {"10"}


@pytest.mark.slow
def test_the_history_outlives_the_server_and_can_be_cleared(tmp_path: Path) -> None:
    home = tmp_path / "home"
    nodes = prompt() | {"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    extra = {"extra_pnginfo": {"workflow": {"id": "mine"}}, "api_key_comfy_org": "secret"}
    with serving(home, "--comfyui-api", pack=False) as server:
        client = Client(server)
        made, _ = client.run(nodes, extra_data=extra)
        before = client.get("/history")
    assert before[made]["prompt"][3]["client_id"] == client.id and "secret" not in json.dumps(before)
    with serving(home, "--comfyui-api", pack=False) as server:
        client = Client(server)
        assert client.get("/history") == before
        assert {node: len(files) for node, files in client.files(made).items()} == {"9": 1, "10": 1}
        jobs = client.get("/api/jobs?workflow_id=mine&status=completed")
        assert [job["id"] for job in jobs["jobs"]] == [made] and jobs["jobs"][0]["outputs_count"] == 2
        assert client.call("POST", "/history", {"delete": [made]})[0] == 200
        assert client.get("/history") == {} and client.get("/api/jobs")["jobs"] == []
