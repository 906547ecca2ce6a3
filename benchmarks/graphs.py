"""Planning and running graphs of nodes that do nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safelight.engine import Cache, CacheMemory, RunOptions, Services, run
from safelight.graph import Document, check, plan
from safelight.media.registry import built_in
from safelight.places import InputFolders
from safelight.sdk import Catalogue, node

from .table import Row, best, processor_seconds, seconds


@node()
def pass_on(value: int = 0, *, plus: int = 0) -> int:
    """Adds two numbers."""
    return value + plus


CATALOGUE = Catalogue.of(pass_on)
TYPE = "graphs.pass_on"


def chain(length: int) -> Document:
    nodes = {f"n{i}": {"type": TYPE, "version": 1, "values": {"plus": i}} for i in range(length)}
    links = [{"from": f"n{i}.value", "to": f"n{i + 1}.value"} for i in range(length - 1)]
    return Document.parse({"format": "safelight/1", "nodes": nodes, "links": links})


def diamond(layers: int) -> Document:
    nodes: dict[str, Any] = {"n": {"type": TYPE}}
    links: list[dict[str, str]] = []
    last = "n"
    for layer in range(layers):
        for side in "lr":
            nodes[f"{side}{layer}"] = {"type": TYPE, "values": {"plus": layer}}
            links.append({"from": f"{last}.value", "to": f"{side}{layer}.value"})
        nodes[f"j{layer}"] = {"type": TYPE}
        links += [
            {"from": f"l{layer}.value", "to": f"j{layer}.value"},
            {"from": f"r{layer}.value", "to": f"j{layer}.plus"},
        ]
        last = f"j{layer}"
    return Document.parse({"format": "safelight/1", "nodes": nodes, "links": links})


def services(folder: Path) -> Services:
    models: Any = None  # these nodes use none
    cache = Cache(folder, CATALOGUE.codec, memory_bytes=1 << 28, disk_bytes=1 << 30)
    return Services(cache, models, InputFolders((folder,)), built_in())


def rows() -> Iterator[Row]:
    times: dict[int, tuple[float, float]] = {}
    spent: dict[int, tuple[float, float]] = {}
    for length in (1_000, 10_000):
        document = chain(length)
        with tempfile.TemporaryDirectory() as name:
            opened = services(Path(name))

            def look(document: Document = document, opened: Services = opened) -> None:
                plan(check(document, CATALOGUE).require(), CacheMemory(opened))

            graph = check(document, CATALOGUE).require()
            everything = RunOptions(force=frozenset(document.nodes))
            first = best(lambda graph=graph, opened=opened, options=everything: run(graph, opened, "", options=options))

            def again(graph: Any = graph, opened: Services = opened) -> None:
                run(graph, opened, "")

            times[length] = best(look), best(again)
            spent[length] = best(look, timed=processor_seconds), best(again, timed=processor_seconds)
            opened.cache.close()
            if length == 1_000:
                planned, cached = times[length]
                each = first / length * 1e6
                yield Row("check + plan, chain of 1,000 nodes", f"{planned * 1e3:.1f} ms", "≤ 50 ms", planned <= 0.05)
                yield Row("all-cached run of it", f"{cached * 1e3:.1f} ms", "≤ 100 ms", cached <= 0.1)
                yield Row("engine cost of a node that does nothing", f"{each:.0f} µs", "≤ 150 µs", each <= 150)
                reopened = services(Path(name))
                took = seconds(lambda graph=graph, reopened=reopened: run(graph, reopened, ""))
                reopened.cache.close()
                yield Row("the same on a newly opened cache", f"{took * 1e3:.1f} ms", "≤ 100 ms", took <= 0.1)
    # Linear work still costs a node somewhat more there: ten thousand nodes no longer fit the processor's own caches.
    planned, cached = times[10_000]
    growth = [spent[10_000][part] / spent[1_000][part] for part in (0, 1)]
    shown = f"{planned * 1e3:.0f} ms, {growth[0]:.1f} × the processor time of 1,000"
    yield Row("check + plan, chain of 10,000 nodes", shown, "≤ 500 ms", planned <= 0.5)
    shown = f"{cached * 1e3:.0f} ms, {growth[1]:.1f} ×"
    yield Row("all-cached run of it", shown, "≤ 1 s", cached <= 1.0)
    with tempfile.TemporaryDirectory() as name:
        opened = services(Path(name))
        document = diamond(30)
        took = best(lambda: plan(check(document, CATALOGUE).require(), CacheMemory(opened)))
        opened.cache.close()
        yield Row("check + plan, diamond of 30 layers (2^30 paths)", f"{took * 1e3:.1f} ms", "at once", took <= 0.05)
