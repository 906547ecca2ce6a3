"""A cluster of processes on one machine: how runs spread over workers, and that none is lost whatever is killed.

    python -m benchmarks.cluster speed        # 200 runs on workers 1, 2, 4, on devices that sleep
    python -m benchmarks.cluster branches     # one run of three branches on three workers of one server, without Ray
    python -m benchmarks.cluster kills        # 300 runs, 10 kills of workers, actors, machines and servers

It takes minutes and starts up to twenty processes, which it ends. `speed` and `kills` are for Linux, with
`safelight[cluster]`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the cluster that the tests start

from clusters import Cluster, wait_workers
from serving import Server, document, serving

RUNS = 300
SWEEP = 200
KILLS = 10
PATIENCE = 1800.0


def work(steps: int, seconds: float, journal: Path) -> dict[str, Any]:
    """A number, steps that sleep and can go on at a checkpoint, and a file."""
    nodes = {
        "n": {"type": "trivial/work.number", "values": {"value": 1}},
        "steps": {
            "type": "trivial/work.resumable",
            "values": {"count": steps, "seconds": seconds, "journal": str(journal)},
        },
        "save": {"type": "trivial/work.save"},
    }
    links = [{"from": "n.value", "to": "steps.a"}, {"from": "steps.value", "to": "save.value"}]
    return document(nodes, links, output="steps.value", value="n.value")


def submit(server: Server, made: dict[str, Any], count: int, first: int = 0) -> dict[str, int]:
    """Runs by id, with the number that each is to save."""
    values = range(first, first + count)
    return {server.ask("POST", "/runs", {"document": made, "inputs": {"value": one}})["id"]: one for one in values}


def standing(server: Server) -> dict[str, int]:
    """How many runs there are of each status."""
    counts: dict[str, int] = {}
    page = server.ask("GET", "/runs?limit=500")
    for run in page["runs"]:
        counts[run["status"]] = counts.get(run["status"], 0) + 1
    return counts


def speed(folder: Path) -> None:
    """Devices that sleep: what is measured is the way there and back, not this machine's two cores."""
    cluster = Cluster(folder)
    try:
        alone = 0.0
        for number in (1, 2, 4):
            cluster.have(number)
            with cluster.serving(folder / f"home-{number}", number) as server:
                wait_warm(server)
                runs = submit(server, work(20, 0.05, folder / "journal"), SWEEP, first=1000 * number)  # none is cached
                started = time.perf_counter()
                for run in runs:
                    assert server.wait(run, PATIENCE)["status"] == "done"
                took = time.perf_counter() - started
            alone = alone or took
            print(
                f"{number} workers: {SWEEP} runs of 1 s in {took:.1f} s, {alone / took:.2f} times as fast", flush=True
            )
    finally:
        cluster.close()


def branches(folder: Path) -> None:
    """Three nodes that sleep a second each, side by side, and their sum: from the request to the result."""
    with serving(folder / "home", "--workers", "3") as server:
        wait_warm(server)
        times = [_branches(server, folder / "journal", start) for start in range(12)]
    print(f"three branches of 1 s on three workers: {statistics.median(times):.2f} s, {max(times):.2f} s at most of 12")


def _branches(server: Server, journal: Path, start: int) -> float:
    nodes: dict[str, Any] = {"n": {"type": "trivial/work.number", "values": {"value": start}}}
    links = []
    for number in range(3):
        nodes[f"m{number}"] = {"type": "trivial/work.add", "values": {"b": 100 * (number + 1)}}
        nodes[f"s{number}"] = {"type": "trivial/work.slow", "values": {"seconds": 1.0, "journal": str(journal)}}
        links += [{"from": "n.value", "to": f"m{number}.a"}, {"from": f"m{number}.value", "to": f"s{number}.a"}]
        links.append({"from": f"s{number}.value", "to": "sum.numbers"})
    nodes["sum"] = {"type": "trivial/work.total"}
    started = time.perf_counter()
    run = server.ask("POST", "/runs", {"document": document(nodes, links, output="sum.value")})["id"]
    assert server.wait(run, PATIENCE)["outputs"]["result"] == [{"value": 3 * start + 600}]
    return time.perf_counter() - started


def wait_warm(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(worker["state"] != "idle" for worker in server.ask("GET", "/system")["workers"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def kills(folder: Path, seed: int) -> None:
    """Ends processes at random moments, lets another machine join for each that is gone, and counts at the end."""
    print("seed", seed, flush=True)
    chance = random.Random(seed)
    cluster = Cluster(folder)
    server = None
    home = folder / "home"
    try:
        cluster.have(3)
        server = Server(home, *cluster.arguments(), **cluster.environment)
        wait_workers(server, 3)
        server.ask("PATCH", "/settings", {"max_deaths": 20, "checkpoint_seconds": 0.2})
        runs = submit(server, work(20, 0.05, folder / "journal"), RUNS)
        started = time.perf_counter()
        plan = ["server", "server", "raylet", "raylet", "actor", "actor", "actor", "worker", "worker", "worker"][:KILLS]
        chance.shuffle(plan)
        for what in plan:
            time.sleep(chance.uniform(2, 8))
            if what == "server":
                server.kill()
                server = Server(home, *cluster.arguments(), **cluster.environment)
            else:
                _kill(what, server, chance)
            wait_workers(server, cluster.have(3), PATIENCE)
            print(f"{time.perf_counter() - started:6.1f} s: a {what} was ended; {standing(server)}", flush=True)
        ended = {run: server.wait(run, PATIENCE) for run in runs}
        print(f"{time.perf_counter() - started:6.1f} s: all have ended", flush=True)
        assert {run["status"] for run in ended.values()} == {"done"}
        assert all(run["outputs"]["result"] == [{"value": runs[name]}] for name, run in ended.items())
        named = [file["name"] for run in ended.values() for file in run["files"]]
        output = home / "output"
        assert len(named) == len(set(named)) == RUNS
        assert sorted(int((output / name).read_text()) for name in named) == list(range(RUNS))
        extra = {path.name for path in output.iterdir() if path.is_file()} - set(named)
        again = sum(run["attempts"] > 1 for run in ended.values())
        print(f"{RUNS} runs are done, each once; {again} in more than one attempt; {len(extra)} files beside theirs")
        assert not extra
    finally:
        if server is not None and server.process.poll() is None:
            server.stop()
        cluster.close()


def _kill(what: str, server: Server, chance: random.Random) -> None:
    """Ends the process of a busy worker, or one that it hangs on."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        busy = [one for one in server.ask("GET", "/system")["workers"] if one["run"] and psutil.pid_exists(one["pid"])]
        if busy:
            process = psutil.Process(chance.choice(busy)["pid"])
            if what == "raylet":
                process = next((one for one in process.parents() if one.name() == "raylet"), process)
            elif what == "actor":
                process = process.parent() or process
            process.kill()
            return
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "branches", "kills"])
    parser.add_argument("--seed", type=int, default=None, help="of the kills; any, and printed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        if given.what == "speed":
            speed(Path(folder))
        elif given.what == "branches":
            branches(Path(folder))
        else:
            kills(Path(folder), random.randrange(1 << 30) if given.seed is None else given.seed)


if __name__ == "__main__":
    main()
