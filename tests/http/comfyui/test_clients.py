"""Clients of other people, unchanged: each starts, waits, and gets the image that a run of ours makes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients import installed, npm_installed
from comfyui_client import Client, our_image, pixels, png, prompt
from serving import Server, serving

pytestmark = pytest.mark.slow
SCRIPTS = Path(__file__).parent / "scripts"
TOKEN = "sesame"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that asks for a token."""
    home = tmp_path_factory.mktemp("guarded") / "home"
    with serving(home, "--comfyui-api", "--token", TOKEN, pack=False) as made:
        yield made


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """The workflow as ComfyUI exports it for the API: every node has its title."""
    nodes = prompt()
    for node in nodes.values():
        node.setdefault("_meta", {"title": node["class_type"]})
    nodes["3"]["_meta"] = {"title": "Sampler"}
    path = tmp_path / "workflow_api.json"
    path.write_text(json.dumps(nodes), "utf-8")
    (tmp_path / "start.png").write_bytes(png())
    return path


def said(command: list[str], folder: Path) -> Any:
    """What a script prints, as JSON."""
    environment = dict(os.environ) | {"PYTHONPATH": str(folder)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout)


def images(listed: list[str]) -> list[bytes]:
    return [pixels(base64.b64decode(one)) for one in listed]


@pytest.mark.parametrize("token", ["", TOKEN])
def test_comfy_api_simplified(comfyui: Server, guarded: Server, workflow: Path, apple: bytes, token: str) -> None:
    folder = installed("comfy-api-simplified==1.6.0", "websockets==15.0.1", *_REQUESTS)
    server = guarded if token else comfyui
    script = [sys.executable, str(SCRIPTS / "simplified.py"), server.url, str(workflow)]
    told = said([*script, str(workflow.parent / "start.png"), token], folder)
    assert images(told["images"]["text to image"]) == [apple]
    assert [name.rpartition(".")[2] for name in told["names"]] == ["png"]
    (changed,) = images(told["images"]["image to image"])
    assert images(told["images"]["websocket"]) == [changed]
    if not token:
        assert changed == our_image(comfyui, "image_to_image", image="default_upload_folder/start.png", denoise=0.6)
    assert told["queue"] == {"queue_running": [], "queue_pending": []}
    assert (told["sampler"], told["embeddings"], told["devices"]) == (["KSampler"], [], 1)


_REQUESTS = ("requests==2.32.5", "urllib3==2.5.0", "idna==3.10", "certifi==2025.8.3", "charset-normalizer==3.4.3")


@pytest.mark.parametrize("token", ["", TOKEN])
def test_comfyui_sdk(comfyui: Server, guarded: Server, workflow: Path, apple: bytes, token: str) -> None:
    folder = npm_installed("@saintno/comfyui-sdk@0.3.1")
    server = guarded if token else comfyui
    script = [shutil.which("node") or "", str(SCRIPTS / "sdk.mjs"), str(folder), server.url, str(workflow)]
    told = said([*script, str(workflow.parent / "start.png"), token], folder)
    assert images(told["first"]) == [apple]
    (changed,) = images(told["second"])
    if not token:
        assert changed == our_image(comfyui, "image_to_image", image="from_sdk.png", denoise=0.6)
    *good, wrong = told["events"]
    for one in good:
        assert (one["pending"], one["finished"], one["failed"]) == (1, 1, ""), one
    assert good[-1]["start"] == 1 and good[-1]["progress"] > 0 and len(told["fresh"]) == 1, good
    assert told["refused"] == [] and wrong["failed"] and wrong["finished"] == 0
    assert told["checkpoints"] == ["starter"] and "karras" in told["samplers"]["scheduler"][0]
    assert told["queue"]["queue_running"] == [] and told["devices"] == 1


@pytest.mark.parametrize("way", ["history", "socket"])
def test_scripts_as_the_examples_of_comfyui_are(comfyui: Server, workflow: Path, apple: bytes, way: str) -> None:
    folder = installed("websocket-client==1.9.0")
    script = [sys.executable, str(SCRIPTS / "websockets_example.py"), comfyui.url, str(workflow), way]
    assert images(said(script, folder)) == [apple]
    assert Client(comfyui).get("/prompt")["exec_info"]["queue_remaining"] == 0
