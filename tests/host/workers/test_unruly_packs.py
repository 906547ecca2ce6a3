"""Nodes that misbehave, through the command line and the server: the run ends with a problem at that node, the next
run is right, and the server is up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.test_unruly_packs import FAULTS, LEAKS, all_faults
from serving import Server, serving, test_environment

pytest.importorskip("torch")
PACKS = Path(__file__).parents[2] / "packs" / "unruly"
SOUND = {
    "format": "safelight/1",
    "nodes": {"image": {"type": "unruly/faults.image"}, "kept": {"type": "unruly/leaks.keeps_its_input"}},
    "links": [{"from": "image.image", "to": "kept.image"}],
    "outputs": [{"name": "mean", "from": "kept.value"}],
}


def lone(kind: str) -> dict[str, Any]:
    """A document of one misbehaving node, and a sound one beside it."""
    nodes: dict[str, Any] = {
        "x": {"type": f"unruly/{kind}"},
        "sound": {"type": "values.integer", "values": {"value": 7}},
    }
    outputs = [{"name": "result", "from": "x.value"}, {"name": "sound", "from": "sound.value"}]
    return {"format": "safelight/1", "nodes": nodes, "links": [], "outputs": outputs}


def command(folder: Path, document: dict[str, Any], *words: str, code: int) -> dict[str, Any]:
    path = folder / "workflow.json"
    path.write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "safelight", "run", str(path), "--json", "-o", str(folder / "out"), *words],
        env={**test_environment(folder / "home", False), "PYTHONPATH": _path()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
    )
    assert done.returncode == code, (done.stdout[-2000:], done.stderr[-2000:])
    return json.loads(done.stdout)


def _path() -> str:
    return os.pathsep.join([str(PACKS), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("unruly") / "home"
    with serving(home, pack=False, PYTHONPATH=_path()) as started:
        started.ask("PATCH", "/settings", {"max_deaths": 1})
        yield started


def through(server: Server, document: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    answer = server.ask("POST", "/runs", {"document": document})
    return server.wait(answer["runs"][0]["id"] if "runs" in answer else answer["id"], seconds)


def sound(server: Server) -> None:
    """The server is up, and a run on it is right."""
    run = through(server, SOUND)
    assert run["status"] == "done" and run["outputs"]["mean"] == [{"value": 0.5}], run


def test_all_faults_on_the_command_line(tmp_path: Path) -> None:
    for _ in range(2):
        told = command(tmp_path, all_faults(), code=1)
        assert {problem["node"]: problem["code"] for problem in told["problems"]} == {
            name: code for name, (code, _) in FAULTS.items()
        }
        assert told["outputs"]["mean"] == [{"value": 0.5}]
    assert command(tmp_path, SOUND, code=0)["outputs"]["mean"] == [{"value": 0.5}]


@pytest.mark.parametrize("name", LEAKS)
def test_what_a_node_leaves_behind_on_the_command_line(tmp_path: Path, name: str) -> None:
    told = command(tmp_path, lone(f"leaks.{name}"), code=0)
    assert told["status"] == "done" and told["outputs"]["sound"] == [{"value": 7}]
    assert told["problems"] == []


def test_a_thread_that_is_left_behind_does_not_keep_the_command(tmp_path: Path) -> None:
    started = time.monotonic()
    assert command(tmp_path, lone("leaks.leaves_a_stubborn_thread"), code=0)["status"] == "done"
    assert time.monotonic() - started < 50


def test_all_faults_on_the_server(server: Server) -> None:
    plan = server.ask("POST", "/plan", {"document": all_faults()})
    assert plan["nodes"]["exits"]["status"] == "run"
    run = through(server, all_faults())
    assert run["status"] == "failed"
    told = {problem["node"]: problem["code"] for problem in run["problems"]}
    assert told == {name: code for name, (code, _) in FAULTS.items()}
    assert run["outputs"]["mean"] == [{"value": 0.5}]
    sound(server)


@pytest.mark.parametrize("name", LEAKS)
def test_what_a_node_leaves_behind_on_the_server(server: Server, name: str) -> None:
    assert through(server, lone(f"leaks.{name}"))["status"] == "done"
    sound(server)


@pytest.mark.parametrize("name", ["leaves", "kills", "crashes"])
def test_a_node_that_takes_its_worker_with_it(server: Server, name: str) -> None:
    run = through(server, lone(f"deaths.{name}"))
    assert run["status"] == "failed"
    assert [problem["node"] for problem in run["problems"]] == ["x"], run["problems"]
    sound(server)


def test_a_node_that_never_comes_back(server: Server) -> None:
    answer = server.ask("POST", "/runs", {"document": lone("deaths.hangs")})
    run = answer["runs"][0]["id"] if "runs" in answer else answer["id"]
    while server.ask("GET", f"/runs/{run}").get("nodes", {}).get("x", {}).get("status") != "running":
        time.sleep(0.02)
    server.ask("POST", f"/runs/{run}/cancel", {"hard": True})
    assert server.wait(run)["status"] == "cancelled"
    sound(server)
