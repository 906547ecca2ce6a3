"""Downloads, from a small hub on this machine that answers as the real one does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import hub
from safelight.models.library import Library
from safelight.sdk import ProblemError

COMMIT = "d" * 40
PIPELINE = [
    "README.md",
    "model_index.json",
    "v1-5-pruned.ckpt",
    "v1-5-pruned.safetensors",
    "safety_checker/model.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
]


def test_only_what_is_read_is_fetched() -> None:
    assert sorted(hub.wanted_files(PIPELINE)) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    shards = [f"text_encoder_3/model{half}-0000{n}-of-00002.safetensors" for half in ("", ".fp16") for n in (1, 2)]
    lists = [f"text_encoder_3/model.safetensors.index{half}.json" for half in ("", ".fp16")]
    large = ["model_index.json", "text_encoder_3/config.json", "tokenizer_3/tokenizer.json", *shards, *lists]
    assert sorted(set(large) - set(hub.wanted_files([*large, "safety_checker/config.json"]))) == sorted(
        [lists[0], *shards[:2]]
    )
    assert hub.wanted_files(PIPELINE, "vae") == ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    adapters = [
        "models/image_encoder/config.json",
        "models/image_encoder/model.safetensors",
        "models/ip-adapter_sd15.bin",
        "models/ip-adapter_sd15.safetensors",
        "sdxl_models/image_encoder/config.json",
        "sdxl_models/image_encoder/model.safetensors",
        "sdxl_models/ip-adapter_sdxl.safetensors",
        "sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
    ]
    for name, folder in (
        ("models/ip-adapter_sd15", "models"),
        ("sdxl_models/ip-adapter_sdxl", "sdxl_models"),
        ("sdxl_models/ip-adapter_sdxl_vit-h", "models"),
    ):
        fetched = hub.wanted_files(adapters, f"{name}.safetensors")
        assert fetched == [
            f"{name}.safetensors",
            f"{folder}/image_encoder/config.json",
            f"{folder}/image_encoder/model.safetensors",
        ]
    assert hub.wanted_files(["pytorch_model.bin", "x.ckpt"]) == []
    vae = ["config.json", "diffusion_pytorch_model.safetensors"]
    assert hub.wanted_files([*vae, "sdxl.vae.safetensors", "sdxl_vae.safetensors"]) == vae
    assert hub.wanted_files(["one.safetensors", "two.safetensors"]) == ["one.safetensors", "two.safetensors"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("org/name", ("org/name", "")),
        ("org/name/a/b.safetensors", ("org/name", "a/b.safetensors")),
        ("name", ("", "")),
        ("org//x", ("", "")),
        ("org/", ("", "")),
        ("-org/name", ("", "")),
        ("org/na me", ("", "")),
    ],
)
def test_names_of_repositories(name: str, split: tuple[str, str]) -> None:
    assert hub.split_name(name) == split


def test_the_cache_lies_where_huggingface_hub_has_it() -> None:
    from huggingface_hub import constants

    assert Environment.read({"HF_HUB_CACHE": "/a"}).hub == Path("/a")
    assert Environment.read({"HF_HOME": "/b"}).hub == Path("/b/hub")
    assert Environment.read({"XDG_CACHE_HOME": "/c"}).hub == Path("/c/huggingface/hub")

    assert Environment.read().hub == Path(constants.HF_HUB_CACHE)


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder as the repository `org/tiny`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.fetched: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_GET(self) -> None:
        if not self.path.startswith("/api/"):
            self._file(send=True)
            return
        if "/api/models/org/tiny" not in self.path:
            self._reply(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
            return
        siblings = [{"rfilename": name, "size": len(data)} for name, data in self.server.files.items()]
        facts = {"id": "org/tiny", "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
        self._reply(200, {"Content-Type": "application/json"}, json.dumps(facts).encode())

    def _file(self, send: bool) -> None:
        name = self.path.partition("?")[0].partition("/resolve/")[2].partition("/")[2]
        data = self.server.files.get(name)
        if data is None:
            self._reply(404, {"X-Error-Code": "EntryNotFound"}, b"")
            return
        if send:
            self.server.fetched.append(name)
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
        self._reply(200, headers, data, send)

    def _reply(self, status: int, headers: dict[str, str], data: bytes, send: bool = True) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if send:
            self.wfile.write(data)


@pytest.fixture
def served(home: Path) -> Iterator[Hub]:
    server = Hub(home / "models" / "sd1")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def library(tmp_path: Path, served: Hub, **options: Any) -> Library:
    return Library(
        (tmp_path / "models",),
        digest=Fingerprints(None).digest,
        cache=tmp_path / "cache",
        endpoint=served.url,
        **{"allow_download": True, **options},
    )


def test_a_missing_model_is_fetched_once_and_told_about(tmp_path: Path, served: Hub) -> None:
    served.files["README.md"] = served.files["old.ckpt"] = b"not needed"
    told: list[tuple[str, int, int]] = []
    books = library(tmp_path, served, progress=lambda *step: told.append(step))
    source = books.find("org/tiny")
    assert (source.place, books.family(source)) == ("hub", "sd1")
    assert set(served.fetched) == set(served.files) - {"README.md", "old.ckpt"}
    size = len(served.files["unet/diffusion_pytorch_model.safetensors"])
    assert told[-1][1] == told[-1][2]
    assert ("unet/diffusion_pytorch_model.safetensors", size, size) in told
    served.fetched.clear()
    assert books.find("org/tiny") == source and not served.fetched
    assert library(tmp_path, served, allow_download=False).find("org/tiny") == source


def test_what_an_interrupted_download_left_out_is_fetched(tmp_path: Path, served: Hub) -> None:
    books = library(tmp_path, served)
    source = books.find("org/tiny")
    snapshot = hub.snapshot(tmp_path / "cache", "org/tiny", "")
    assert snapshot is not None
    lost = snapshot / "vae" / "diffusion_pytorch_model.safetensors"
    lost.resolve().unlink()
    lost.unlink()
    served.fetched.clear()
    assert books.find("org/tiny") == source
    assert served.fetched == ["vae/diffusion_pytorch_model.safetensors"]


def test_nothing_is_fetched_unasked(tmp_path: Path, served: Hub) -> None:
    with pytest.raises(ProblemError) as caught:
        library(tmp_path, served, allow_download=False).find("org/tiny")
    assert caught.value.problems[0].code == "model_missing" and not served.fetched


def test_a_repository_that_is_not_there(tmp_path: Path, served: Hub) -> None:
    with pytest.raises(ProblemError) as caught:
        library(tmp_path, served).find("org/other")
    (problem,) = caught.value.problems
    assert problem.code == "model_missing" and "'org/other'" in problem.message


def test_a_repository_of_pickles(tmp_path: Path, served: Hub) -> None:
    served.files = {"model.ckpt": b"x", "pytorch_model.bin": b"x"}
    with pytest.raises(ProblemError) as caught:
        library(tmp_path, served).find("org/tiny")
    assert caught.value.problems[0].code == "model_missing" and not served.fetched


def test_a_hub_that_cannot_be_reached(tmp_path: Path, served: Hub) -> None:
    served.shutdown()
    served.server_close()
    with pytest.raises(ProblemError) as caught:
        library(tmp_path, served).find("org/tiny")
    (problem,) = caught.value.problems
    assert problem.code == "download_failed" and problem.hint


def test_the_command_that_hints_name_fetches_what_is_read_and_no_more(tmp_path: Path, served: Hub) -> None:
    assert hub.command("org/tiny", "main", "vae") == "safelight models download org/tiny/vae@main"
    served.files |= {"README.md": b"x", "tiny.ckpt": b"x", "tiny.safetensors": b"x", "safety/model.safetensors": b"x"}
    before = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    places = {"HF_HUB_CACHE": str(tmp_path / "cache"), "SAFELIGHT_HOME": str(tmp_path), "HF_ENDPOINT": served.url}

    def get(name: str, **more: str) -> Any:
        words = [sys.executable, "-m", "safelight", "models", "get", name, "--json"]
        env = {**before, **places, **more}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    code, refused = get("org/tiny", HF_HUB_OFFLINE="1")
    assert code == 2 and refused["problems"][0]["code"] == "download_failed" and not served.fetched
    code, found = get("org/tiny")
    assert code == 0 and (found["kind"], found["family"]) == ("pipeline", "sd1")
    assert sorted(served.fetched) == sorted(hub.wanted_files(list(served.files)))
    assert not {"README.md", "tiny.ckpt", "tiny.safetensors", "safety/model.safetensors"} & set(served.fetched)
