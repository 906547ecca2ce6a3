"""What the planner and the runner know of earlier work: the action cache, and the state of files and models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from safelight.graph import GraphNode
from safelight.graph.keys import Known, needs_of
from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.values import File
from safelight.sdk.widgets import AnyWidget, FilePick, Text

from .cache import MISSING, Cache, ValueRef
from .cache.taken import list_ref
from .context import Services

SMALL = 4096
"""Bytes of a value that a plan may look at."""


class CacheMemory:
    """Implements `graph.Memory` on the caches of this process."""

    def __init__(self, services: Services) -> None:
        self._cache: Cache = services.cache
        self._services = services
        self._fingerprints: dict[tuple[type, str], str] = {}
        self.lookup: Callable[[str], Any] = services.cache.lookup
        self.digest: Callable[[Any], str] = services.cache.digest
        self.last_seconds: Callable[[str], float | None] = services.cache.last_seconds

    def available(self, node: GraphNode, known: Known) -> bool:
        del node
        return all(self._cache.has(ref) for ref in needs_of(known))

    def elsewhere(self, known: Known) -> bool:
        return any(self._cache.elsewhere(ref) for ref in needs_of(known))

    def elements(self, ref: Any) -> list[Any]:
        elements = self._cache.elements(ref)
        if elements is None:
            raise LookupError(ref.digest)
        return elements

    def listed(self, refs: Iterable[Any]) -> ValueRef:
        return list_ref(ref if isinstance(ref, ValueRef) else ValueRef(ref.digest, 0) for ref in refs)

    def scalar(self, ref: Any) -> Any:
        value = self._cache.get(ref) if ref.size <= SMALL else MISSING
        if isinstance(value, bool | int | float | str):
            return value
        raise LookupError(ref.digest)

    def value(self, ref: Any) -> Any:
        value = self._cache.get(ref)
        if value is MISSING:
            raise LookupError(ref.digest)
        return value

    def files(self, known: Known) -> tuple[File, ...]:
        """Only of values small enough to be looked at: a file is its name and the digest of its bytes."""
        found: list[File] = []
        for ref in known.outputs.values():
            if ref.size <= SMALL and self._cache.has(ref):
                found += files_in(self._cache.get(ref))
        return tuple(found)

    def unchanged(self, node: GraphNode, arguments: Mapping[str, Any]) -> bool:
        """Whether the files that a node was to read are still what its key says, now that it has read them."""
        for port, spec in node.kind.ports.items():
            if not isinstance(spec.widget, FilePick) or port not in arguments:
                continue
            for name in _texts(arguments[port]):
                known = self._fingerprints.get((type(spec.widget), name))
                try:
                    if known is not None and self._read(spec.widget, name) != known:
                        return False
                except ProblemError:
                    return False
        return True

    def fingerprint(self, widget: AnyWidget, value: str) -> str:
        """Read once a run: files that change while it runs count from the next run on."""
        known = self._fingerprints.get((type(widget), value))
        if known is None:
            known = self._fingerprints[type(widget), value] = self._read(widget, value)
        return known

    def _read(self, widget: AnyWidget, value: str) -> str:
        if isinstance(widget, Text):
            return self._embeddings(widget.embeddings(value))
        if not isinstance(widget, FilePick):
            return self._services.models.find(value).fingerprint if value.strip() else ""
        if not value:
            return hash_text("")
        try:
            return self._cache.fingerprint(self._services.files.path(value))
        except OSError as error:
            message = f"The file {value!r} cannot be read: {error.strerror or error}."
            raise ProblemError(Problem(code="file_unreadable", message=message, value=value)) from None

    def _embeddings(self, names: list[str]) -> str:
        """The state of all embeddings that a text names. Raises ProblemError for all that are missing at once."""
        found: list[str] = []
        problems: list[Problem] = []
        for name in names:
            try:
                found.append(f"{name}={self._services.models.find(name, 'embedding').fingerprint}")
            except ProblemError as error:
                problems += error.problems
        if problems:
            raise ProblemError(problems)
        return hash_text("\n".join(found)) if found else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def files_in(value: Any) -> Iterator[File]:
    """The finished files in an output: one, or lists of them."""
    if isinstance(value, File):
        yield value
    elif isinstance(value, list | tuple):
        for element in value:
            yield from files_in(element)
