"""Models over HTTP: search, previews, what a workflow lacks, downloads, folders of other programs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tiny_models
from away import Away, serving_away
from serving import Server, serving
from waiting import until


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_models.tiny_lora(tmp_path_factory.mktemp("weights") / "one.safetensors", "sd1").read_bytes()


@pytest.fixture(scope="module")
def away(weights: bytes) -> Iterator[Away]:
    with serving_away(weights) as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, weights: bytes, away: Away) -> Path:
    home = tmp_path_factory.mktemp("models") / "home"
    loras = home / "models/loras"
    loras.mkdir(parents=True)
    (loras / "ink.safetensors").write_bytes(weights)
    (loras / "twice.safetensors").write_bytes(weights)
    (loras / "ink.preview.png").write_bytes(b"an image")
    (loras / "bad.safetensors").write_bytes(b"<html>")
    (home / "models.json").write_text(json.dumps({"hosts": [away.host]}))
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, "--download", pack=False) as made:
        yield made


def download(server: Server, name: str, *status: str) -> dict[str, Any]:
    """A download, once it has one of these states."""

    def look() -> dict[str, Any]:
        return next(one for one in server.ask("GET", "/downloads")["downloads"] if one["id"] == name)

    return until(look, lambda found: found["status"] in status, seconds=30)


def listed(server: Server, query: str = "") -> list[str]:
    answer = until(lambda: server.ask("GET", f"/models{query}"), lambda answer: not answer["scanning"], seconds=30)
    return [one["name"] for one in answer["models"] if one["place"] != "starter"]


def test_models_are_searched_and_their_images_served(server: Server) -> None:
    assert listed(server, "?search=INK&kind=lora&family=sd1") == ["loras/ink.safetensors"]
    assert listed(server, "?usable=false") == ["loras/bad.safetensors"]
    found = server.ask("GET", "/models/loras/ink.safetensors")
    assert (
        found["format"] == "safetensors" and server.call("GET", "/model-previews?name=loras/bad.safetensors")[0] == 404
    )
    assert server.call("GET", found["preview"].removeprefix("/api/v1"))[0] == 200
    assert server.call("GET", "/model-previews?name=/etc/passwd")[0] == 404


def test_equal_files_are_found(server: Server) -> None:
    deadline = time.monotonic() + 30
    while (answer := server.ask("GET", "/model-duplicates"))["hashing"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (group,) = answer["groups"]
    assert {one["name"] for one in group} == {"loras/ink.safetensors", "loras/twice.safetensors"}


def test_what_a_workflow_lacks_is_fetched_from_where_it_says(server: Server, away: Away, home: Path) -> None:
    document = json.loads((Path(__file__).parents[2] / "workflows/few_steps.json").read_text()) | {
        "models": [{"name": "new.safetensors", "url": away.url("new.safetensors"), "folder": "loras"}]
    }
    node, port = next(
        (name, port)
        for name, one in document["nodes"].items()
        for port, value in one.get("values", {}).items()
        if value == "starter/few_step"
    )
    document["nodes"][node]["values"][port] = "new.safetensors"
    (wanted,) = server.ask("POST", "/model-missing", {"document": document})["models"]
    assert (wanted["name"], wanted["kind"], wanted["ports"]) == ("new.safetensors", "lora", [f"{node}.{port}"])
    assert wanted["problem"]["code"] == "model_missing" and wanted["asks"] is False
    faulty = document | {"links": [], "nodes": document["nodes"] | {"stray": {"type": "gone.node"}}}
    assert not server.ask("POST", "/check", {"document": faulty})["ok"]
    assert server.ask("POST", "/model-missing", {"document": faulty})["models"] == [wanted]
    away.manner = "slow"
    order = {name: wanted[name] for name in ("url", "folder", "sha256", "size")}
    begun = server.ask("POST", "/downloads", order)
    download(server, begun["id"], "running")
    paused = server.ask("POST", f"/downloads/{begun['id']}/pause")
    assert paused["status"] == "paused" and not (home / "models/loras/new.safetensors").exists()
    away.manner = "whole"
    server.ask("POST", f"/downloads/{begun['id']}/resume")
    assert download(server, begun["id"], "done", "failed")["model"] == "loras/new.safetensors"
    assert (home / "models/loras/new.safetensors").read_bytes() == away.data
    assert server.ask("POST", "/model-missing", {"document": document})["models"] == []
    server.ask("DELETE", f"/downloads/{begun['id']}")
    assert (home / "models/loras/new.safetensors").exists()
    assert server.call("DELETE", f"/downloads/{begun['id']}")[0] == 404


def test_downloads_that_may_not_be_are_refused(server: Server, away: Away) -> None:
    for body, code in (
        ({"url": "https://example.org/a.safetensors"}, "host_not_allowed"),
        ({"url": "http://169.254.169.254/a.safetensors", "confirmed": "169.254.169.254"}, "bad_url"),
        ({"url": "https://127.0.0.1:9/a.safetensors", "confirmed": "127.0.0.1:9"}, "host_not_allowed"),
        ({"url": "not one"}, "bad_url"),
    ):
        status, answer = server.call("POST", "/downloads", body)
        assert status in (403, 422) and answer["problems"][0]["code"] == code
    inside = {"url": "https://localhost:9/a.safetensors", "confirmed": "localhost:9"}
    begun = server.ask("POST", "/downloads", inside)
    assert download(server, begun["id"], "failed")["problem"]["code"] == "host_not_allowed"
    begun = server.ask("POST", "/downloads", {"url": away.url("run.ckpt")})
    assert download(server, begun["id"], "failed")["problem"]["code"] == "unsafe_weights"


def test_a_download_outlives_the_server(tmp_path: Path, away: Away) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models.json").write_text(json.dumps({"hosts": [away.host]}))
    away.manner = "slow"
    with serving(home, "--download", pack=False) as server:
        begun = server.ask("POST", "/downloads", {"url": away.url("long.safetensors"), "folder": "loras"})
        download(server, begun["id"], "running")
        time.sleep(0.1)
        server.kill()
    away.manner = "whole"
    with serving(home, "--download", pack=False) as server:
        assert download(server, begun["id"], "paused")["url"] == begun["url"]
        server.ask("POST", f"/downloads/{begun['id']}/resume")
        download(server, begun["id"], "done")
    assert (home / "models/loras/long.safetensors").read_bytes() == away.data


def test_folders_of_other_programs_come_and_go(server: Server, tmp_path: Path, weights: bytes) -> None:
    (tmp_path / "ComfyUI/models/loras").mkdir(parents=True)
    (tmp_path / "ComfyUI/models/loras/theirs.safetensors").write_bytes(weights)
    listed(server)
    added = server.ask("POST", "/model-folders", {"folder": str(tmp_path / "ComfyUI"), "like": "comfyui"})
    assert "loras/theirs.safetensors" in listed(server)
    assert [one["name"] for one in server.ask("GET", "/model-folders")["folders"]] == ["", added["name"]]
    server.ask("DELETE", f"/model-folders/{added['name']}")
    assert "loras/theirs.safetensors" not in listed(server)
    for body in ({"folder": "models"}, {"folder": "/"}, {"folder": str(tmp_path / "nowhere")}):
        status, answer = server.call("POST", "/model-folders", body)
        assert status == 422 and answer["problems"][0]["code"] == "bad_model_folder"
