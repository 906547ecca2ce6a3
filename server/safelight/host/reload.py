"""`serve --dev`: an edited pack is there without a new start of the server.

The files of all packs are looked at twice a second. When some have changed and then stayed as they are for a moment,
the server imports these packs again, the workers are replaced as soon as they are idle, and clients are told. A pack
that does not import any more is told of with its reason, and its nodes are unknown until it is mended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from safelight.app import Studio
from safelight.protocol.records import CatalogueChanged
from safelight.sdk.pack import PackState, pack_packages

from .documents import Graphs
from .workers import Pool

log = logging.getLogger(__name__)

_LOOK = 0.5
_SKIPPED = {"__pycache__", "node_modules"}

Look = dict[str, dict[str, tuple[int, int]]]


class PackWatch:
    """`changed` is called on the event loop once packs were imported again, with the event that tells of it."""

    def __init__(self, graphs: Graphs, pool: Pool, changed: Callable[[CatalogueChanged], object]) -> None:
        self._graphs = graphs
        self._pool = pool
        self._changed = changed

    async def watch(self) -> None:
        # Where packs lie is found once: that reads the metadata of all that is installed.
        places = await asyncio.to_thread(pack_packages)
        known = await asyncio.to_thread(look, places)
        while True:
            await asyncio.sleep(_LOOK)
            now = await asyncio.to_thread(look, places)
            if now == known:
                continue
            while (later := await asyncio.to_thread(look, places)) != now:  # an editor, or git, is still writing
                now = later
                await asyncio.sleep(_LOOK)
            edited = sorted(name for name in places if now[name] != known[name])
            known = now
            if edited:  # not where all is as it was again
                await self.reload(edited)

    async def reload(self, packages: list[str]) -> None:
        def work(studio: Studio) -> tuple[PackState, ...]:
            studio.reload(packages)
            return studio.catalogue.packs

        packs = await self._graphs.call(work)
        self._pool.renew()
        broken = [state for state in packs if state.reason]
        for state in broken:
            log.warning("the pack %r is incomplete: %s %s", state.name, state.reason, state.remedy)
        log.info("imported again: %s", ", ".join(packages))
        self._changed(CatalogueChanged(packages=packages, broken=broken))


def look(packages: Mapping[str, list[Path]]) -> Look:
    """When each file of each package was written, and its size."""
    return {package: dict(_files(places)) for package, places in packages.items()}


def _files(places: list[Path]) -> Iterator[tuple[str, tuple[int, int]]]:
    todo = list(places)
    while todo:
        path = todo.pop()
        if path.name in _SKIPPED or path.name.startswith("."):
            continue
        try:
            if path.is_dir() and not (path.is_symlink() and path not in places):  # a link may lead round in a circle
                todo += path.iterdir()
            elif path.suffix != ".pyc":
                found = path.stat()
                yield str(path), (found.st_mtime_ns, found.st_size)
        except OSError:
            continue  # it has gone in this moment
