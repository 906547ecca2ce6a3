"""Several workers: what one run can compute at the same time they share, and each run goes where it is best off."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from safelight.host.helping import Helping
from safelight.host.placement import choose, fits
from safelight.host.workers import Begin
from safelight.protocol.records import WorkerInfo
from serving import Server, document, serving, single
from waiting import until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("three") / "home", "--workers", "3") as made:
        ready(made)
        yield made


def ready(server: Server) -> None:
    deadline = time.monotonic() + 60
    while any(worker["state"] != "idle" for worker in workers(server)):
        assert time.monotonic() < deadline, workers(server)
        time.sleep(0.05)


def workers(server: Server) -> list[dict[str, Any]]:
    return server.ask("GET", "/system")["workers"]


def branches(start: int, count: int, journal: Path, seconds: float = 1.0) -> dict[str, Any]:
    """Slow nodes side by side, and their sum."""
    nodes: dict[str, Any] = {"n": {"type": "trivial/work.number", "values": {"value": start}}}
    links = []
    for number in range(count):
        nodes[f"m{number}"] = {"type": "trivial/work.add", "values": {"b": 10 * number}}
        nodes[f"s{number}"] = {"type": "trivial/work.slow", "values": {"seconds": seconds, "journal": str(journal)}}
        links += [{"from": "n.value", "to": f"m{number}.a"}, {"from": f"m{number}.value", "to": f"s{number}.a"}]
        links.append({"from": f"s{number}.value", "to": "sum.numbers"})
    nodes["sum"] = {"type": "trivial/work.total"}
    return document(nodes, links, output="sum.value")


def elements(start: int, count: int, journal: Path, seconds: float) -> dict[str, Any]:
    """One slow node for each element of a list, and their sum."""
    nodes: dict[str, Any] = {
        "n": {"type": "trivial/work.number", "values": {"value": start}},
        "list": {"type": "trivial/work.numbers", "values": {"count": count}},
        "slow": {"type": "trivial/work.slow", "values": {"seconds": seconds, "journal": str(journal)}},
        "sum": {"type": "trivial/work.total"},
    }
    links = [
        {"from": "n.value", "to": "list.a"},
        {"from": "list.values", "to": "slow.a"},
        {"from": "slow.value", "to": "sum.numbers"},
    ]
    return document(nodes, links, output="sum.value")


def submit(server: Server, what: dict[str, Any], **more: Any) -> str:
    return server.ask("POST", "/runs", {"document": what, **more})["id"]


def calls(journal: Path) -> list[tuple[str, str]]:
    """Values and processes of the calls of slow nodes."""
    return [(one, two) for one, two in (line.split() for line in journal.read_text().splitlines())]


def test_three_branches_on_three_workers_take_the_time_of_one(server: Server, tmp_path: Path) -> None:
    run = server.wait(submit(server, branches(1, 3, tmp_path / "j", seconds=2.0)))
    assert run["status"] == "done" and run["outputs"]["result"] == [{"value": 1 + 11 + 21}], run
    made = calls(tmp_path / "j")
    assert sorted(value for value, _ in made) == ["1", "11", "21"] and len({process for _, process in made}) == 3
    assert run["seconds"] < 4.0, "one after the other they take 6 seconds"
    assert {run["nodes"][name]["status"] for name in ("s0", "s1", "s2")} == {"ran"}, "all of it was computed now"


def test_elements_of_a_list_are_shared_and_each_is_computed_once(server: Server, tmp_path: Path) -> None:
    run = server.wait(submit(server, elements(100, 9, tmp_path / "j", 0.4)))
    assert run["outputs"]["result"] == [{"value": sum(range(100, 109))}], run
    made = calls(tmp_path / "j")
    assert sorted(value for value, _ in made) == [str(value) for value in range(100, 109)]
    assert len({process for _, process in made}) == 3


def test_a_helper_that_dies_harms_nothing(server: Server, tmp_path: Path) -> None:
    run = submit(server, branches(1_000, 3, tmp_path / "j", seconds=1.5))
    until(lambda: len([worker for worker in workers(server) if worker["state"] == "busy"]) == 3)
    main = server.ask("GET", f"/runs/{run}")["worker"]
    helper = next(worker for worker in workers(server) if worker["id"] != main)
    os.kill(helper["pid"], signal.SIGKILL)
    done = server.wait(run)
    assert done["status"] == "done" and done["deaths"] == 0 and done["problems"] == []
    assert done["outputs"]["result"] == [{"value": 1_000 + 1_010 + 1_020}]
    assert sorted(value for value, _ in calls(tmp_path / "j")) == ["1000", "1010", "1020"]
    ready(server)


def test_a_helper_that_dies_is_followed_by_another_but_not_for_ever() -> None:
    idle = [WorkerInfo(id=name, state="idle", device="cpu", numerics="same") for name in ("w2", "w3")]
    given: list[str] = []

    def begin(worker: str, part: Begin) -> bool:
        given.append(worker)
        return part.part

    async def breadth(*_: object) -> int:
        return 2

    async def work() -> None:
        spawned: list[Any] = []
        pool: Any = SimpleNamespace(idle=lambda: list(idle), workers=lambda: idle, begin=begin)
        live: Any = SimpleNamespace(active=lambda _: SimpleNamespace(attempt=1, worker="w2"))
        helping = Helping(pool, cast(Any, SimpleNamespace(breadth=breadth)), live, spawned.append, lambda: None)
        more: dict[str, Any] = {"targets": None, "force": [], "checkpoint_seconds": 5.0, "previews": False}
        helping.began(Begin(run="r1", attempt=1, document=b"{}", inputs={}, **more))
        helping.give()
        await spawned.pop()
        helping.give()
        helping.give()
        assert given == ["w2"], "there is room for one"
        for _ in range(10):
            helping.came_back("r1", 1, "died")
            helping.give()
        assert len(given) == 3, "what helpers die of, the run itself is to meet"
        helping.came_back("r1", 1, "stopped")
        helping.give()
        assert len(given) == 3

    asyncio.run(work())


def test_branches_go_on_where_one_fails_whoever_computes_them(server: Server, tmp_path: Path) -> None:
    what = branches(1_700, 6, tmp_path / "j", seconds=1.0)
    what["nodes"]["s3"] = {"type": "trivial/work.fail"}
    run = server.wait(submit(server, what))
    assert run["status"] == "failed" and run["nodes"]["sum"]["status"] == "skipped"
    assert {run["nodes"].get(f"s{number}", {}).get("status") for number in (0, 1, 2, 4, 5)} == {"ran"}, run["nodes"]
    made = sorted(value for value, _ in calls(tmp_path / "j"))
    assert made == ["1700", "1710", "1720", "1740", "1750"], "each is computed, and once"
    ready(server)


def test_a_run_that_waits_comes_before_help(server: Server, tmp_path: Path) -> None:
    first = submit(server, branches(2_000, 6, tmp_path / "j", seconds=1.0))
    until(lambda: len([worker for worker in workers(server) if worker["state"] == "busy"]) == 3)
    asked = time.monotonic()
    second = server.wait(submit(server, single("add", b=4_321)))
    assert second["status"] == "done" and time.monotonic() - asked < 3.0
    assert server.ask("GET", f"/runs/{first}")["status"] == "running"
    assert server.wait(first)["outputs"]["result"] == [{"value": 6 * 2_000 + 150}]


def test_a_cancelled_run_leaves_no_helper_at_work(server: Server, tmp_path: Path) -> None:
    run = submit(server, branches(3_000, 3, tmp_path / "j", seconds=20.0))
    until(lambda: len([worker for worker in workers(server) if worker["state"] == "busy"]) == 3)
    server.ask("POST", f"/runs/{run}/cancel", {})
    assert server.wait(run)["status"] == "cancelled"
    until(lambda: all(worker["state"] == "idle" for worker in workers(server)), seconds=5.0)


def test_a_helper_that_hears_nothing_is_ended_with_its_run(server: Server, tmp_path: Path) -> None:
    what = branches(5_000, 3, tmp_path / "j")
    for number in range(3):
        what["nodes"][f"s{number}"] = {"type": "trivial/work.deaf", "values": {"seconds": 120.0}}
    run = submit(server, what)
    until(lambda: len([worker for worker in workers(server) if worker["state"] == "busy"]) == 3)
    before = {worker["pid"] for worker in workers(server)}
    server.ask("POST", f"/runs/{run}/cancel", {"hard": True})
    assert server.wait(run)["status"] == "cancelled"
    until(lambda: all(worker["state"] in ("idle", "warming") for worker in workers(server)), seconds=30.0)
    assert not before & {worker["pid"] for worker in workers(server)}
    ready(server)


def test_a_run_that_waits_for_a_busy_worker_keeps_nobody_from_helping(server: Server, tmp_path: Path) -> None:
    long = submit(server, single("steps", count=100, seconds=0.05), device="w1")
    until(lambda: server.ask("GET", f"/runs/{long}")["status"] == "running")
    waiting = submit(server, single("add", b=77), device="w1")
    run = server.wait(submit(server, branches(6_000, 2, tmp_path / "j", seconds=1.0)))
    assert run["status"] == "done" and len({process for _, process in calls(tmp_path / "j")}) == 2
    assert server.ask("GET", f"/runs/{waiting}")["status"] == "queued"
    server.ask("POST", f"/runs/{long}/cancel", {})
    assert server.wait(waiting)["status"] == "done"


def test_where_help_is_not_wanted_one_worker_does_all(server: Server, tmp_path: Path) -> None:
    server.ask("PATCH", "/settings", {"spread": False})
    try:
        run = server.wait(submit(server, branches(4_000, 3, tmp_path / "j", seconds=0.5)))
    finally:
        server.ask("PATCH", "/settings", {"spread": True})
    assert run["status"] == "done" and len({process for _, process in calls(tmp_path / "j")}) == 1


def test_a_run_that_is_pinned_goes_there_and_nowhere_else(server: Server, tmp_path: Path) -> None:
    for name in ("w2", "w3", "w2"):
        run = server.wait(submit(server, branches(time.time_ns(), 2, tmp_path / name, seconds=0.4), device=name))
        assert run["status"] == "done" and run["worker"] is None
        pid = next(worker["pid"] for worker in workers(server) if worker["id"] == name)
        assert {process for _, process in calls(tmp_path / name)} == {str(pid)}
    status, answer = server.call("POST", "/runs", {"document": single("add"), "device": "cuda:7"})
    assert status == 422 and [problem["code"] for problem in answer["problems"]] == ["no_such_device"]
    assert "cpu" in answer["problems"][0]["hint"]


def test_workers_are_dealt_over_devices(tmp_path: Path) -> None:
    """No device is there; what a worker is told is what it would compute on."""
    with serving(tmp_path / "home", "--device", "cuda:0", "--device", "cuda:1") as server:
        places = {worker["id"]: worker["place"] for worker in workers(server)}
        assert places == {"w1": "cuda:0", "w2": "cuda:1"}
        for pin, told in (("cuda:1", "cuda:1"), ("w1", "cuda:0"), ("cuda:0", "cuda:0")):
            run = server.wait(submit(server, single("device", output="x.text"), device=pin))
            # Where there is no such device, that is what is wrong with the run: the worker was told of it all the same.
            given = run["outputs"].get("result") or [{"value": problem["value"]} for problem in run["problems"]]
            assert given == [{"value": told}]


def worker(name: str, *models: str, place: str = "cpu", state: Any = "idle") -> WorkerInfo:
    return WorkerInfo(id=name, state=state, place=place, models=models)


def test_the_worker_that_holds_the_model_comes_first() -> None:
    idle = [worker("w1"), worker("w2", "portrait", "starter"), worker("w3", "landscape")]

    def asks(model: str, inputs: Any = None) -> Any:
        made = json.dumps({"nodes": {"m": {"values": {"model": model}}}}).encode()
        return lambda: (made, inputs or {})

    assert choose(idle, "", asks("landscape")) == "w3"
    assert choose(idle, "", asks("portrait")) == "w2"
    assert choose(idle, "", asks("", {"model": "landscape"})) == "w3"
    assert choose(idle, "", asks("other")) == "w1", "the one whose models nobody has to make room for"
    assert choose([worker("w1", state="warming"), worker("w2")], "", asks("x")) == "w2"
    assert choose(idle, "w1", asks("landscape")) == "w1"
    assert choose(idle, "cuda", asks("landscape")) is None


def test_what_a_pin_means() -> None:
    pins = ("", "w1", "cuda", "cuda:1", "cuda:0", "w2", "cpu")
    assert [fits(worker("w1", place="cuda:1"), pin) for pin in pins] == [True, True, True, True, False, False, False]
