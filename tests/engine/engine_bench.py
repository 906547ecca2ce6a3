"""A small engine for tests: trivial nodes, a cache on a folder, and the events of a run in a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trivial_nodes
from safelight.engine import Cache, CacheMemory, Cancel, Event, RunOptions, RunResult, Services, choices, lightly, run
from safelight.graph import Document, Graph, Plan, check, plan
from safelight.media.registry import built_in
from safelight.places import InputFolders
from safelight.sdk import Catalogue


@dataclass
class Engine:
    folder: Path
    catalogue: Catalogue = field(default_factory=trivial_nodes.catalogue)
    memory_bytes: int = 1 << 26
    disk_bytes: int | None = 1 << 30
    """None keeps nothing on disk."""
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """A new cache on the same folder: what a restarted process has."""
        folder = None if self.disk_bytes is None else self.folder / "cache"
        cache = Cache(folder, self.catalogue.codec, memory_bytes=self.memory_bytes, disk_bytes=self.disk_bytes or 0)
        models: Any = None
        self.services = Services(cache, models, InputFolders((self.folder,)), built_in())

    def restart(self) -> None:
        self.services.cache.close()
        self.open()

    def graph(self, document: Document, targets: Iterable[str] | None = None) -> Graph:
        return check(document, self.catalogue, None if targets is None else list(targets)).require()

    def plan(self, document: Document, **more: Any) -> Plan:
        return plan(
            self.graph(document), CacheMemory(self.services), choose=choices, light=lightly(self.services), **more
        )

    def run(
        self,
        document: Document,
        targets: Iterable[str] | None = None,
        cancel: Cancel | None = None,
        options: RunOptions | None = None,
    ) -> RunResult:
        self.events = []

        return run(
            self.graph(document, targets),
            self.services,
            "",
            emit=self.events.append,
            cancel=cancel,
            options=options or RunOptions(strict=True),
        )

    def statuses(self, document: Document, **more: Any) -> dict[str, str]:
        return {name: report.status for name, report in self.run(document, **more).nodes.items()}

    def output(self, result: RunResult, name: str) -> Any:
        return self.services.cache.get(result.outputs[name])


def doc(
    nodes: dict[str, Any],
    links: Iterable[tuple[str, str]] = (),
    outputs: dict[str, str] | None = None,
    *,
    prefix: str = "trivial_nodes.",
    **more: Any,
) -> Document:
    """A document from short forms: nodes as `{"a": ("add", {"plus": 1})}`, links as pairs."""
    written = {
        key: {"type": f"{prefix}{entry}"}
        if isinstance(entry, str)
        else {"type": f"{prefix}{entry[0]}", "values": entry[1], **(entry[2] if len(entry) > 2 else {})}
        for key, entry in nodes.items()
    }
    return Document.parse(
        {
            "format": "safelight/1",
            "nodes": written,
            "links": [{"from": source, "to": target} for source, target in links],
            "outputs": [{"name": name, "from": source} for name, source in (outputs or {}).items()],
            **more,
        }
    )
