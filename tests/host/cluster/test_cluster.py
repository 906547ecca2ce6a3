"""Runs on a cluster of several machines, which join, leave and die: each ends once, with the bits of a local run."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

import waiting
from clusters import Cluster
from safelight.sdk.codec import hash_bytes
from serving import MAIN, Server, saving, serving, single, test_environment

ROOT = Path(__file__).parents[3]
SECONDS = 300.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(800)]

until = partial(waiting.until, seconds=60.0)


def shipped(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def submit(server: Server, document: dict[str, Any], **more: Any) -> str:
    return server.ask("POST", "/runs", {"document": document, **more})["id"]


def digests(server: Server, seeds: list[int], steps: int, **more: Any) -> dict[int, list[str]]:
    """By seed, the digests of the files that its run has made. Each run is done."""
    document = shipped("text_to_image")
    asked = {seed: submit(server, document, inputs={"seed": seed, "steps": steps}, **more) for seed in seeds}
    ended = {seed: server.wait(run, SECONDS) for seed, run in asked.items()}
    assert {run["status"] for run in ended.values()} == {"done"}, ended
    return {seed: [file["digest"] for file in run["files"]] for seed, run in ended.items()}


def local(folder: Path, seeds: list[int], steps: int) -> dict[int, list[str]]:
    with serving(folder / "local", "--threads", "1") as server:
        return digests(server, seeds, steps)


def workers(server: Server) -> list[dict[str, Any]]:
    return server.ask("GET", "/system")["workers"]


def whole(server: Server, files: int) -> None:
    """Every file that is on record lies in the output folder with the bytes of its digest, and nothing else does."""
    items = server.ask("GET", "/gallery?limit=200")["items"]
    folder = server.home / "output"
    assert len(items) == files
    assert {one.name for one in folder.iterdir() if one.is_file()} == {item["name"] for item in items}
    assert all(hash_bytes((folder / item["name"]).read_bytes()) == item["digest"] for item in items)


def test_a_sweep_over_three_machines_has_the_bits_of_a_local_one(cluster: Cluster, tmp_path: Path) -> None:
    seeds = random.sample(range(1, 1 << 30), 9)
    print("seeds", seeds)
    assert cluster.have(3) == 3
    with cluster.serving(tmp_path / "home", 3) as server:
        made = digests(server, seeds, 6)
        assert all(worker["runs"] for worker in workers(server)), "each machine has its part"
        whole(server, 9)
        assert not any((machine.home / "output").exists() for machine in cluster.machines), (
            "homes of workers are their own"
        )
        assert not list(cluster.folder.glob("machine-*/cluster/worker-*/output/*")), (
            "what has arrived is not kept twice"
        )
    assert made == local(tmp_path, seeds, 6)


def test_deaths_of_workers_actors_and_machines(cluster: Cluster, tmp_path: Path) -> None:
    """Each accepted run ends once, at the bits of a local one, whatever dies."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    seeds = chance.sample(range(1, 1 << 30), 10)
    with cluster.serving(tmp_path / "home", cluster.have(3)) as server:
        server.ask("PATCH", "/settings", {"max_deaths": 20, "checkpoint_seconds": 0})
        document = shipped("text_to_image")
        asked = {one: submit(server, document, inputs={"seed": one, "steps": 40}) for one in seeds}
        for what in ("worker", "actor", "raylet"):
            until(lambda: any(worker["run"] for worker in workers(server)))
            time.sleep(chance.uniform(0.5, 2.0))
            busy = [worker for worker in workers(server) if worker["run"] and psutil.pid_exists(worker["pid"])]
            if not busy:
                continue
            process = psutil.Process(chance.choice(busy)["pid"])
            above = {one.name(): one for one in process.parents()}
            print("ends the", what)
            {"worker": process, "actor": process.parent() or process, "raylet": above["raylet"]}[what].kill()
        ended = {one: server.wait(run, SECONDS) for one, run in asked.items()}
        assert {run["status"] for run in ended.values()} == {"done"}, ended
        assert sum(run["attempts"] > 1 for run in ended.values()) >= 2
        made = {one: [file["digest"] for file in run["files"]] for one, run in ended.items()}
        whole(server, 10)
        assert not list((server.home / "cluster" / "states").iterdir()), "checkpoints of what has ended are gone"
    assert made == local(tmp_path, seeds, 40)


def test_a_run_goes_on_at_its_checkpoint_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    alive = cluster.have(2)
    journal = tmp_path / "journal"
    journal.touch()
    with cluster.serving(tmp_path / "home", alive) as server:
        document = single("resumable", count=60, seconds=0.1, journal=str(journal))
        run = submit(server, document, inputs={"value": 7}, checkpoint_seconds=0.3)
        until(lambda: len(journal.read_text().split()) > 30)
        (busy,) = [worker for worker in workers(server) if worker["run"]]
        (raylet,) = [one for one in psutil.Process(busy["pid"]).parents() if one.name() == "raylet"]
        raylet.kill()  # of its machine nothing is left
        ended = server.wait(run, SECONDS)
        assert ended["status"] == "done" and ended["attempts"] == 2
        steps = [int(step) for step in journal.read_text().split()]
        assert steps.count(0) == 1 and len(steps) < 60 + 30, "it has not begun again"
        assert not any(worker["id"] == busy["id"] for worker in workers(server)), "the machine is no longer one"


def test_a_machine_that_joins_in_the_middle_gets_its_part(cluster: Cluster, tmp_path: Path) -> None:
    alive = cluster.have(1)
    with cluster.serving(tmp_path / "home", alive) as server:
        runs = [submit(server, single("steps", count=20, seconds=0.1), inputs={"value": one}) for one in range(40)]
        known = {worker["id"] for worker in workers(server)}
        (new,) = cluster.join(1)
        ended = [server.wait(run, SECONDS) for run in runs]
        assert {run["status"] for run in ended} == {"done"}
        assert [run["outputs"]["result"][0]["value"] for run in ended] == list(range(40))
        joined = [worker for worker in workers(server) if worker["id"] not in known]
        assert len(joined) == 1 and joined[0]["runs"] > 0
        new.leave()
        assert not new.left, "Ctrl-C leaves no process behind"
        until(lambda: all(worker["id"] in known for worker in workers(server)))


def test_cancel_within_a_step(cluster: Cluster, tmp_path: Path) -> None:
    alive = cluster.have(1)
    with cluster.serving(tmp_path / "home", alive) as server:
        run = submit(server, single("steps", count=1000, seconds=0.1))
        until(lambda: server.ask("GET", f"/runs/{run}")["status"] == "running")
        time.sleep(0.5)
        started = time.monotonic()
        server.ask("POST", f"/runs/{run}/cancel")
        assert server.wait(run)["status"] == "cancelled"
        assert time.monotonic() - started < 2.0, "a step takes 0.1 s; the machine is busy with other things, too"
        hard = submit(server, single("stubborn", seconds=60.0))
        until(lambda: server.ask("GET", f"/runs/{hard}")["status"] == "running")
        server.ask("POST", f"/runs/{hard}/cancel", {"hard": True})
        assert server.wait(hard)["status"] == "cancelled"


def test_files_go_there_and_come_back(cluster: Cluster, tmp_path: Path) -> None:
    alive = cluster.have(1)
    home = tmp_path / "home"
    (home / "input" / "mine").mkdir(parents=True)
    shutil.copy(ROOT / "workflows" / "input" / "car.png", home / "input" / "mine" / "motor.png")
    shown = {
        "format": "safelight/1",
        "name": "shown",
        "nodes": {
            "load": {"type": "image.load", "version": 1, "values": {"file": "mine/motor.png"}},
            "see": {"type": "image.preview", "version": 1},
        },
        "links": [{"from": "load.image", "to": "see.image"}],
    }
    with cluster.serving(home, alive) as server:
        run = server.wait(submit(server, shipped("image_to_image"), inputs={"image": "mine/motor.png", "steps": 3}), 90)
        assert run["status"] == "done", run
        # Changed under its name, it is another image.
        shutil.copy(ROOT / "workflows" / "input" / "house.png", home / "input" / "mine" / "motor.png")
        other = server.wait(
            submit(server, shipped("image_to_image"), inputs={"image": "mine/motor.png", "steps": 3}), 90
        )
        assert other["status"] == "done" and other["files"][0]["digest"] != run["files"][0]["digest"]
        assert other["files"][0]["name"] != run["files"][0]["name"], "nothing is overwritten"
        same = server.wait(submit(server, saving(), inputs={"value": 3}))
        again = server.wait(submit(server, saving(), inputs={"value": 3}))
        assert same["files"][0]["name"] == again["files"][0]["name"], "the same bytes are there once"
        seen = server.wait(submit(server, shown))
        (file,) = seen["nodes"]["see"]["files"]
        with urlopen(f"{server.url}/api/v1/blobs/{file['digest']}", timeout=20) as answer:
            assert hash_bytes(answer.read()) == file["digest"], "what a node shows is here, too"


def test_a_server_that_is_killed_goes_on_after_its_next_start(cluster: Cluster, tmp_path: Path) -> None:
    alive = cluster.have(1)
    home, journal = tmp_path / "home", tmp_path / "journal"
    journal.touch()
    with cluster.serving(home, alive) as server:
        document = single("resumable", count=60, seconds=0.1, journal=str(journal))
        run = submit(server, document, inputs={"value": 8}, checkpoint_seconds=0.3)
        until(lambda: len(journal.read_text().split()) > 30)
        pids = [worker["pid"] for worker in workers(server)]
        server.kill()
        until(lambda: not any(psutil.pid_exists(pid) for pid in pids), seconds=30)
    with cluster.serving(home, alive) as server:
        ended = server.wait(run, SECONDS)
        assert ended["status"] == "done"
        steps = [int(step) for step in journal.read_text().split()]
        assert steps.count(0) == 1, "it has gone on at its checkpoint"


def refused(cluster_address: str, home: Path, **environment: str) -> str:
    """What `safelight serve` says when it does not start."""
    said = subprocess.run(
        [sys.executable, "-c", MAIN, "serve", "--port", "0", "--pool", "ray", "--address", cluster_address],
        env=test_environment(home) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 2, said.stderr
    return said.stderr


def test_a_cluster_asks_for_its_token(cluster: Cluster, tmp_path: Path) -> None:
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    given = cluster.environment | {"HOME": str(nobody)}
    assert "RAY_AUTH_MODE" in refused(cluster.address, tmp_path / "a", **given | {"RAY_AUTH_MODE": "disabled"})
    assert "no token" in refused(cluster.address, tmp_path / "b", **given | {"RAY_AUTH_TOKEN": ""})
    assert "joined" in refused(cluster.address, tmp_path / "c", **given | {"RAY_AUTH_TOKEN": "0" * 40})


def test_a_cluster_that_lets_anybody_in_is_refused(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("open")
    cluster = Cluster(folder, RAY_AUTH_MODE="disabled")
    try:
        given = cluster.environment | {"RAY_AUTH_MODE": "token"}
        assert "lets in whoever has no token" in refused(cluster.address, tmp_path / "home", **given)
    finally:
        cluster.close()
