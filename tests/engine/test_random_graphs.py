"""Whatever the graph and whatever the budgets: the right results, each node once, and the plan agrees with the run.

`SAFELIGHT_GRAPHS=1000 pytest tests/engine/test_random_graphs.py` does a thousand graphs at each pair of budgets; the
usual run does a few, some of them new each day.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import random_graphs
from engine.cache_tools import python_paths, same
from safelight.engine import Cache, CacheMemory, RunResult, Services, choices, run
from safelight.engine.calling import Caller
from safelight.graph import Document, Keys, check, plan
from safelight.graph.survey import Survey
from safelight.media.registry import built_in
from safelight.places import InputFolders

MANY = int(os.environ.get("SAFELIGHT_GRAPHS", "12"))
BUDGETS: dict[str, tuple[int, int | None]] = {
    "one byte each": (1, 1),
    "memory only, tight": (60_000, None),
    "both tight": (60_000, 90_000),
    "disk only": (1, 1 << 28),
    "memory only, ample": (1 << 28, None),
    "both ample": (1 << 28, 1 << 28),
}


class Bench:
    """An engine whose calls are counted by node."""

    def __init__(self, folder: Path, memory: int, disk: int | None) -> None:
        self.catalogue = random_graphs.catalogue()
        cache = Cache(None if disk is None else folder, self.catalogue.codec, memory_bytes=memory, disk_bytes=disk or 0)
        models: Any = None
        self.services = Services(cache, models, InputFolders((folder,)), built_in())

    def close(self) -> None:
        self.services.cache.close()

    def once(self, document: Document, *, alone: bool = True) -> RunResult:
        """One run, with all that has to hold of it; `alone` unless other processes share the folder."""
        graph = check(document, self.catalogue).require()
        planned = plan(graph, CacheMemory(self.services), choose=choices).nodes
        memory = CacheMemory(self.services)
        remembered = Survey(graph, memory, Keys(memory, "")).known
        with counted() as (calls, made):
            result = run(graph, self.services, "")
        assert result.status == "done", result.problems
        for name, wanted in random_graphs.evaluate(document).items():
            assert same(result.values[name], wanted), f"{name}: {result.values[name]!r:.100} and not {wanted!r:.100}"
        sizes = {node.id: (1 if not node.lift else 1_000, len(node.kind.lazy)) for node in graph.nodes}
        for name, count in calls.items():
            # A turn begins anew with each input that it turns out to need, and its values may have no room till then.
            call = name.partition("/")[0]
            elements, lazy = sizes.get(name, (1, 2 if name.endswith("/pick") else 0))
            lazy += 1 + sizes[call][1] if call != name else 0
            assert count <= elements * (1 + lazy), f"{name} was called {count} times"
        called = {name.partition("/")[0] for name in calls}  # a call is where any of its turns is
        for name, node in planned.items() if alone else ():
            ran = name in called
            if node.status in ("cached", "unneeded", "off"):
                assert not ran, f"{name} was planned as {node.status} and ran"
            report = result.nodes.get(name)
            if node.status == "cached" and report is not None:
                assert report.status == "cached"
            if node.turns is not None and node.status in ("cached", "run"):
                total = node.turns.cached + node.turns.run
                assert node.turns.total in (None, total), f"{name} has {node.turns}"
            if node.status == "run" and not ran:
                # A result that turned out as it was before stops there; so does a list without elements. Of two nodes
                # that do the same work one does it for both; and a value that was evicted may be made by another node.
                kinds = {other: node_type(document, other) for other in calls}
                same_work = [other for other, kind in kinds.items() if kind == node_type(document, name)]
                known = remembered[graph.index[name]]
                made_by_another = known is not None and {ref.digest for ref in known.outputs.values()} & made
                planned_node = graph.nodes[graph.index[name]]
                because = planned_node.lift or planned_node.body or same_work or above(graph, name) & called
                because = because or made_by_another
                assert because, f"{name} did not run"
        return result


def node_type(document: Document, name: str) -> str:
    """The type of a node, or of one in a turn of a call."""
    call, _, inner = name.partition("/")
    if not inner:
        return document.nodes[call].type
    return document.subgraphs["body"].nodes[inner.partition("/")[2]].type


@contextmanager
def counted() -> Iterator[tuple[Counter[str], set[str]]]:
    """How often each node is called, and the digests of what the calls gave."""
    calls: Counter[str] = Counter()
    made: set[str] = set()
    plain = Caller.call

    def call(self: Caller, node: Any, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
        calls[node.id] += 1
        outputs = plain(self, node, key, arguments)
        cache = self._services.cache
        for value in outputs.values():
            made.add(cache.digest(value))
            made.update(cache.digest(item) for item in (value if isinstance(value, list) else ()))
        return outputs

    Caller.call = call
    try:
        yield calls, made
    finally:
        Caller.call = plain


def above(graph: Any, name: str) -> set[str]:
    found: set[int] = set()
    todo = [graph.index[name]]
    while todo:
        for wire in graph.nodes[todo.pop()].wires.values():
            new = {source for source, _ in wire.sources} - found
            found |= new
            todo += new
    return {graph.nodes[number].id for number in found}


def live(bench: Bench, seed: int, *, alone: bool = True) -> None:
    """The life of one graph: run, run again, edited a few times and run each time."""
    rng = random.Random(seed)
    data = random_graphs.make(rng, rng.choice([3, 6, 10, 14, 24]))
    for _ in range(5):
        document = Document.parse(json.loads(json.dumps(data)))
        bench.once(document, alone=alone)
        if rng.random() < 0.5:
            bench.once(document, alone=alone)
        random_graphs.edit(rng, data)


FOUND = (13, 30, 64, 20_788_000_000, 20_788_000_014)
"""Seeds that found a fault in the turns of calls: a list without room was made again without end, and so was a turn
that asked for an input that was known and gone; what came into a call without turns was gone and planned as there;
turns were gone by where a value above came out as before; and the first turn of one was made three times."""


def seeds(count: int) -> list[int]:
    fixed = [*range((count + 1) // 2), *FOUND]
    today = int(time.time()) // 86_400 * 1_000_000
    return fixed + [today + number for number in range(count // 2)]


@pytest.mark.parametrize("name", BUDGETS)
def test_random_graphs_at_any_budget(tmp_path: Path, name: str) -> None:
    memory, disk = BUDGETS[name]
    bench = Bench(tmp_path, memory, disk)
    for number, seed in enumerate(seeds(MANY)):
        try:
            live(bench, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, graph {number} of this cache: {error}") from error
        if number % 5 == 4:  # what a restarted program finds on disk
            bench.close()
            bench = Bench(tmp_path, memory, disk)
    bench.close()


@pytest.mark.parametrize("name", ["one byte each", "both tight", "both ample"])
def test_processes_that_share_a_folder(tmp_path: Path, name: str) -> None:
    memory, disk = BUDGETS[name]
    code = (
        "import sys; from pathlib import Path; from engine.test_random_graphs import Bench, live\n"
        "bench = Bench(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))\n"
        "[live(bench, seed, alone=False) for seed in range(int(sys.argv[4]), int(sys.argv[4]) + int(sys.argv[5]))]\n"
        "bench.close()"
    )
    count = max(3, MANY // 10)
    environment = {**os.environ, "PYTHONPATH": python_paths()}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(memory), str(disk), str(first), str(count)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in (0, 1, 0)
    ]
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said[-2000:]
