"""`/metrics`: names by the conventions of Prometheus, what they count, and the board that shows them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from safelight.host.measures import Histogram
from serving import Server, chain, serving, single

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "docs" / "grafana" / "safelight.json"


def text_of(server: Server) -> str:
    with urlopen(f"{server.url}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(text: str, name: str, **labels: str) -> float:
    return samples(text).get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that has run, remembered and failed, and what it counted before and after."""
    with serving(tmp_path_factory.mktemp("metrics") / "home") as server:
        before = text_of(server)
        for document in (chain(4), chain(4), single("fail")):
            run = server.ask("POST", "/runs", {"document": document, "inputs": {"value": 3}})
            server.wait(run["id"])
        deadline = time.monotonic() + 120
        # Its libraries are loaded then, and it has told of its memory.
        while value(text_of(server), "safelight_workers", state="idle") < 1:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(1.5)  # a beat
        yield server, before, text_of(server)


def test_names_are_as_prometheus_has_them(worked: Any) -> None:
    """The rules of `promtool check metrics`."""
    _, _, text = worked
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
    assert len(kinds) > 30 and kinds.keys() == helps.keys()
    assert {"histogram", "gauge", "counter"} == set(kinds.values())
    for name, kind in kinds.items():
        assert re.fullmatch(r"safelight_[a-z0-9]+(_[a-z0-9]+)*", name), name
        assert name.endswith("_total") is (kind == "counter"), name
        assert not name.endswith(("_count", "_sum", "_bucket", "_info")), name
        parts = name.split("_")
        assert not {"gauge", "counter", "histogram", "summary", "metric"} & set(parts), f"{name} holds its type"
        abbreviated = {"s", "ms", "us", "ns", "sec", "kb", "mb", "gb", "mib", "min", "milliseconds", "megabytes"}
        assert not abbreviated & set(parts), f"{name} has a unit that is none of the base units"
        for unit in ("seconds", "bytes"):
            if unit in parts:
                assert name.removesuffix("_total").endswith(unit), f"the unit of {name} is not at its end"
        assert len(helps[name]) > 5
    seen: set[str] = set()
    for line in text.splitlines():
        if not line.startswith("#"):
            key = line.rpartition(" ")[0]
            assert key not in seen, f"{key} is there twice"
            seen.add(key)


def test_promtool_finds_nothing(worked: Any) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; its rules are held by the test above")
    done = subprocess.run([promtool, "check", "metrics"], input=worked[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def test_what_runs_and_nodes_took_is_counted(worked: Any) -> None:
    _, before, after = worked
    assert value(before, "safelight_run_seconds_count", status="done") == 0
    assert value(after, "safelight_run_seconds_count", status="done") == 2
    assert value(after, "safelight_run_seconds_count", status="failed") == 1
    assert value(after, "safelight_queue_wait_seconds_count") == 3
    # The second run found everything in the cache.
    assert value(after, "safelight_node_seconds_count", type="trivial/work.add") == 3
    assert value(after, "safelight_node_seconds_bucket", type="trivial/work.add", le="+Inf") == 3
    assert value(after, "safelight_nodes_total", status="ran") >= 4
    assert value(after, "safelight_nodes_total", status="cached") >= 1
    assert value(after, "safelight_nodes_total", status="failed") == 1
    assert value(after, "safelight_runs", status="done") == 2


def test_gauges_tell_the_state(worked: Any) -> None:
    server, _, text = worked
    assert value(text, "safelight_workers", state="idle") == 1
    assert value(text, "safelight_worker_up", worker="w1") == 1
    assert value(text, "safelight_queue_runs", state="waiting") == 0 == value(text, "safelight_queue_paused")
    assert value(text, "safelight_cache_bytes", tier="memory") > 0
    assert value(text, "safelight_cache_limit_bytes", tier="memory") >= 1 << 30
    assert value(text, "safelight_cache_limit_bytes", tier="disk") >= 1 << 30
    assert value(text, "safelight_worker_cache_hits_total", worker="w1") > 0
    assert ("safelight_worker_cache_misses_total", (("worker", "w1"),)) in samples(text)
    for name in ("server_memory_bytes", "memory_bytes", "memory_free_bytes", "disk_free_bytes"):
        assert value(text, f"safelight_{name}") > 1 << 20, name
    assert abs(value(text, "safelight_start_time_seconds") - time.time()) < 3600
    server.ask("POST", "/queue/pause")
    run = server.ask("POST", "/runs", {"document": chain(3), "inputs": {"value": 77}})
    now = text_of(server)
    assert value(now, "safelight_queue_paused") == 1 == value(now, "safelight_queue_runs", state="waiting")
    server.ask("POST", "/queue/resume")
    server.wait(run["id"])


def test_nodes_of_turns_are_counted_by_their_type(worked: Any) -> None:
    server, _, _ = worked
    inner = {
        "nodes": {"add": {"type": "trivial/work.add", "values": {}}},
        "links": [],
        "inputs": [{"name": "a", "to": "add.a"}],
        "outputs": [{"name": "value", "from": "add.value"}],
    }
    document = {
        "format": "safelight/1",
        "nodes": {
            "n": {"type": "trivial/work.number", "values": {"value": 500}},
            "loop": {"type": "subgraph:more", "repeat": {"times": 3, "carry": {"a": "value"}}},
        },
        "links": [{"from": "n.value", "to": "loop.a"}],
        "outputs": [{"name": "result", "from": "loop.value"}],
        "subgraphs": {"more": inner},
    }
    earlier = value(text_of(server), "safelight_node_seconds_count", type="trivial/work.add")
    status, run = server.call("POST", "/runs", {"document": document})
    assert status == 201, run
    assert server.wait(run["id"])["status"] == "done"
    text = text_of(server)
    assert value(text, "safelight_node_seconds_count", type="trivial/work.add") >= earlier + 3
    assert value(text, "safelight_node_seconds_count", type="other") == 0


def test_the_board_asks_for_what_is_exported(worked: Any) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import grafana_board
    finally:
        sys.path.pop(0)
    text = BOARD.read_text(encoding="utf-8")
    assert text == grafana_board.board_json(), "make it again: python tools/grafana_board.py"
    _, _, exported = worked
    board = json.loads(text)
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked += [one["query"] for one in board["templating"]["list"]]
    names = {name for expression in asked for name in re.findall(r"\bsafelight_\w+", expression)}
    there = {name for name, _ in samples(exported)}
    # Nothing is known of how long a queue of runs that never ran takes.
    assert names - there <= {"safelight_queue_left_seconds"}
    assert len(names) > 20
    labels = {label for _, pairs in samples(exported) for label, _ in pairs} | {"instance"}
    grouped = {found for expression in asked for found in re.findall(r"by \(([\w,]+)\)", expression)}
    assert {label for found in grouped for label in found.split(",")} <= labels
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_a_histogram_counts_what_is_at_most_so_much() -> None:
    one = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        one.add(seconds)
    assert list(one.buckets()) == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert one.sum == pytest.approx(3.65)
