"""Taking out of the bucket what is old, or too much: safe beside machines that read and write it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from .bucket import Bucket, Look, TooLarge
from .seal import FORMAT, MANIFEST_BYTES, read_unsigned, value_path
from .uploads import FRESH_SECONDS

log = logging.getLogger(__name__)

GRACE_SECONDS = 2 * FRESH_SECONDS
"""Nothing younger is taken: a machine may just be writing the manifest that names it."""
_ANSWER_SECONDS = 60.0
_READERS = 16


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection has taken, or would take, and what stays. Sizes in bytes.

    `results` are manifests: what nodes gave. `values` are what they name, blobs included. `states` are checkpoints.
    """

    results: int
    values: int
    states: int
    bytes: int
    results_left: int
    values_left: int
    bytes_left: int


def collect(
    url: str,
    *,
    older_than: float | None = None,
    budget: int | None = None,
    grace: float = GRACE_SECONDS,
    dry_run: bool = False,
    clock: Callable[[], float] = time.time,
) -> Collected:
    """Takes out results older than `older_than` seconds, then the oldest beyond `budget` bytes, then what none names.

    Age is counted from when a result was last written there. Manifests go before what they name, and what machines have
    begun to name meanwhile is looked for again before anything of it goes: who reads an entry that has just gone
    misses, and computes it.

    Args:
        url: the bucket; see `SharedOptions`.
        older_than: None takes none for its age.
        budget: None takes none for its size.
        grace: seconds; what is younger stays in any case. Less than half a day is for tests: see `FRESH_SECONDS`.
        dry_run: only counts.
        clock: gives seconds since 1970.

    Raises:
        ProblemError: `bad_shared_cache`.
        Away: the bucket cannot be reached; what has been taken by then is gone.
    """
    bucket = Bucket(url)
    try:
        return _Collection(bucket, clock() - grace).run(
            None if older_than is None else clock() - older_than, budget, dry_run
        )
    finally:
        bucket.close()


class _Collection:
    def __init__(self, bucket: Bucket, settled: float) -> None:
        """What was written after `settled` stays."""
        self._bucket = bucket
        self._settled = settled
        self._names: dict[str, frozenset[str]] = {}
        """By manifest, the paths of the values that it names."""

    def run(self, cutoff: float | None, budget: int | None, dry_run: bool) -> Collected:
        # Values are listed before manifests: what is written in between is named by a manifest that is seen.
        values = self._list("values") | self._list("blobs")
        states = self._list("states")
        results = self._list("actions")
        self._read(results)
        unreadable = results.keys() - self._names.keys()
        if unreadable:
            log.warning("%d manifests in the bucket cannot be read; they stay until they are old.", len(unreadable))
        going = self._old(results, cutoff)
        old_states = self._old(states, cutoff)
        going |= self._beyond(budget, results, values, states.keys() - old_states, going, states)
        if not dry_run:
            self._bucket.delete(sorted(going))
            # What has come since, and may name what nothing has named before.
            self._read(self._list("actions"))
        named = {path for result, paths in self._names.items() if result not in going for path in paths}
        loose = {path for path, look in values.items() if path not in named and look.at < self._settled}
        if not dry_run:
            self._bucket.delete(sorted(loose | old_states))
        everything = values | states | results
        gone = going | loose | old_states
        return Collected(
            results=len(going),
            values=len(loose),
            states=len(old_states),
            bytes=sum(everything[path].bytes for path in gone),
            results_left=len(results) - len(going),
            values_left=len(values) - len(loose),
            bytes_left=sum(look.bytes for path, look in everything.items() if path not in gone),
        )

    def _list(self, kind: str) -> dict[str, Look]:
        return {look.path: look for look in self._bucket.list(f"{FORMAT}/{kind}")}

    def _read(self, results: Iterable[str]) -> None:
        """Learns what manifests name. Whose they are does not matter: what any of them names stays."""

        def names(path: str) -> None:
            try:
                data = self._bucket.get(path, MANIFEST_BYTES, _ANSWER_SECONDS)
            except TooLarge:
                return
            found = None if data is None else read_unsigned(data)
            if found is not None:
                self._names[path] = frozenset(value_path(entry) for entry in found.entries if entry.data is None)

        with ThreadPoolExecutor(_READERS) as threads:
            list(threads.map(names, [path for path in results if path not in self._names]))

    def _old(self, looks: dict[str, Look], cutoff: float | None) -> set[str]:
        if cutoff is None:
            return set()
        return {path for path, look in looks.items() if look.at < min(cutoff, self._settled)}

    def _beyond(
        self,
        budget: int | None,
        results: dict[str, Look],
        values: dict[str, Look],
        states: Iterable[str],
        going: set[str],
        all_states: dict[str, Look],
    ) -> set[str]:
        """The oldest results without which the rest is within the budget."""
        if budget is None:
            return set()
        staying = sorted((path for path in results if path not in going), key=lambda path: results[path].at)
        uses = Counter(path for result in staying for path in self._names.get(result, ()))
        total = sum(all_states[path].bytes for path in states) + sum(results[path].bytes for path in staying)
        total += sum(look.bytes for path, look in values.items() if uses[path] or look.at >= self._settled)
        found: set[str] = set()
        for result in staying:
            if total <= budget or results[result].at >= self._settled:
                break
            found.add(result)
            total -= results[result].bytes
            for path in self._names.get(result, ()):
                uses[path] -= 1
                if not uses[path] and path in values and values[path].at < self._settled:
                    total -= values[path].bytes
        return found
