"""Managing the models of this machine: fetching, duplicates, and where a workflow says that its models come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from safelight.sdk.problem import Problem, ProblemError

from .addresses import Rules
from .entries import ModelEntry
from .hub import split_name
from .index import Hashes
from .library import Library
from .orders import Order, Part, Progress, arrived, forget
from .trees import PLACES

_MOST_SOURCES = 1000


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a workflow says of a model's file: where it can be had, and what it must be."""

    name: str
    url: str = ""
    sha256: str = ""
    size: int = 0
    folder: str = ""


class Manager:
    """Over the library of a store. `may_download` is whether this program was started so that it may."""

    def __init__(self, library: Library, *, may_download: bool, offline: bool, allow_pickle: bool) -> None:
        self._library = library
        self.may_download = may_download and not offline
        self._offline = offline
        self._allow_pickle = allow_pickle

    @property
    def folder(self) -> Path:
        """Where files that are fetched are placed: the first of our own folders."""
        return self._library.folders[0]

    def rules(self, confirmed: tuple[str, ...] = ()) -> Rules:
        trees = self._library.trees
        return Rules(trees.kept.hosts if trees is not None else (), confirmed, self._allow_pickle)

    def check(self, order: Order, confirmed: tuple[str, ...] = ()) -> None:
        """Raises ProblemError for what would not be fetched; the network is not asked."""
        if not self.may_download:
            message = "Nothing is downloaded: " + (
                "this machine is told to stay offline." if self._offline else "the server was started without it."
            )
            hint = "Unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE." if self._offline else "Start it with --download."
            raise ProblemError(Problem(code="download_failed", message=message, hint=hint, value=order.url))
        if "://" in order.url:
            self.rules(confirmed).check(order.url)
        elif not split_name(order.url.partition("@")[0])[0]:
            message = f"{order.url[:200]!r} is neither an address nor a model of the hub."
            hint = "Give the https address of a file, or org/name."
            raise ProblemError(Problem(code="bad_url", message=message, hint=hint, value=order.url))

    def fetch(self, order: Order, confirmed: tuple[str, ...] = (), progress: Progress | None = None) -> str:
        """Fetches a file by its address, or what is read of a repository of the hub; returns the model's name.

        Raises:
            Stopped, ProblemError: as `fetch.fetch` and `hub.download`.
        """
        self.check(order, confirmed)
        if "://" not in order.url:

            def tell(file: str, done: int, total: int) -> None:
                del file
                if progress is not None:
                    progress(done, total)

            self._library.bring(order.url, tell)
            return order.url
        from .fetch import fetch

        path, _ = fetch(order, self.folder, self.rules(confirmed), progress, self._place)
        return path.relative_to(self.folder).as_posix()

    def _place(self, path: Path) -> str:
        """The subfolder for a file that nobody has named one for: by what it is, else the top."""
        return PLACES.get(self._library.kind_of_file(path), "")

    def begun(self) -> list[tuple[Part, int]]:
        """Files that have arrived in part, and how many bytes of each."""
        return arrived(self.folder)

    def forget(self, order: Order) -> None:
        forget(self.folder, order)

    def hash(self, path: Path, going_on: Callable[[], None] | None = None) -> Hashes:
        """The hashes of a file; kept from the first time on. Raises OSError where it cannot be read."""
        return self._library.hash_of(path, going_on)

    def duplicates(self, going_on: Callable[[int, int], None] | None = None) -> list[list[ModelEntry]]:
        """Models in one file whose files are equal, those that take the most first.

        Only files of one size are read, and each only once as long as it stays the same. `going_on` is told how many of
        how many have been hashed, and may raise.
        """
        by_size: dict[int, list[ModelEntry]] = {}
        for entry in self._library.list_models():
            if entry.place == "file" and entry.bytes:
                by_size.setdefault(entry.bytes, []).append(entry)
        alike = [entry for entries in by_size.values() if len(entries) > 1 for entry in entries]
        same: dict[str, list[ModelEntry]] = {}
        seen: set[tuple[int, int]] = set()
        for number, entry in enumerate(alike):

            def tell(number: int = number) -> None:
                if going_on is not None:
                    going_on(number, len(alike))

            tell()
            try:
                found = Path(entry.path).stat()
                digest = self.hash(Path(entry.path), tell).sha256
            except OSError:  # gone, or not to be read
                continue
            if (found.st_dev, found.st_ino) in seen:  # one file by several names takes no room twice
                continue
            seen.add((found.st_dev, found.st_ino))
            same.setdefault(digest, []).append(msgspec.structs.replace(entry, sha256=digest))
        groups = [entries for entries in same.values() if len(entries) > 1]
        return sorted(groups, key=lambda entries: -entries[0].bytes * (len(entries) - 1))


def sources(document: Mapping[str, Any]) -> dict[str, Said]:
    """Where a workflow says that its models can be had, by file name in lower case.

    The document, its subgraphs and its nodes may have a list `models` of `{name, url, sha256, size, folder}`; as
    ComfyUI writes it, below `properties`, with `directory`, and `hash` beside `hash_type`. The first of several counts.
    """
    found: dict[str, Said] = {}
    for given in _listed(document):
        name, url = given.get("name"), given.get("url")
        if not isinstance(name, str) or not isinstance(url, str) or len(found) >= _MOST_SOURCES:
            continue
        hashed = given.get("hash") if str(given.get("hash_type", "")).upper() == "SHA256" else None
        sha256 = given.get("sha256") or hashed
        size = given.get("size")
        folder = given.get("folder") or given.get("directory")
        said = Said(
            name=name[:500],
            url=url[:2000],
            sha256=sha256.lower() if isinstance(sha256, str) and len(sha256) == 64 else "",
            size=size if isinstance(size, int) and size > 0 else 0,
            folder=folder if isinstance(folder, str) and len(folder) < 100 else "",
        )
        found.setdefault(base_name(name), said)
    return found


def base_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].casefold()


def _listed(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting: list[Any] = [document]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, Mapping):
            continue
        properties = one.get("properties")
        for owner in (one, properties if isinstance(properties, Mapping) else {}):
            models = owner.get("models")
            yield from (entry for entry in (models if isinstance(models, list) else ()) if isinstance(entry, Mapping))
        for inner in (one.get("nodes"), one.get("subgraphs")):
            waiting += list(inner.values()) if isinstance(inner, Mapping) else []
