"""The write-behind of the shared tier: results go up from the disk when there is time, and what waits is on record."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from safelight.disk import try_lock

from ..batch import LIST, parts_of
from ..disk import Disk, Raw
from ..refs import ValueRef
from ..states import States
from .bucket import Away, Bucket, Put, Rate
from .ledger import Kind, Ledger, Waiting, record_name
from .options import SharedOptions
from .seal import (
    ACTION,
    STATE,
    Entry,
    Manifest,
    StateHead,
    action_path,
    sealed,
    sha256,
    state_path,
    value_path,
)

log = logging.getLogger(__name__)

FRESH_SECONDS = 12 * 3600
"""A value that was put into the bucket so lately is not put there again. Half of what a collection leaves alone."""
_BATCH = 32
_POLL = 2.0
"""Seconds after which it is looked for what other processes of this machine have handed in."""
_UNREADY = 0.2
_UNWRITTEN = 60.0
"""Seconds after which what is on record and not on the disk counts as lost."""
_INLINE = 2 << 10
_INLINE_ALL = 64 << 10
"""Bytes of a payload, and of all of them, that stand in the manifest: for small values one question is enough."""


class Uploads:
    """One thread, which begins with the first thing to send. Of all processes on one folder a single one sends.

    It reads from the disk alone, so what waits takes no memory, and is there after a restart.
    """

    def __init__(self, options: SharedOptions, bucket: Bucket, ledger: Ledger, disk: Disk, states: States) -> None:
        self._options = options
        self._bucket = bucket
        self._ledger = ledger
        self._disk = disk
        self._states = states
        self._rate = Rate(options.upload_rate) if options.upload_rate else None
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._away = False
        self._rest_until = 0.0
        self._release: Callable[[], None] | None = None
        self._state_at: dict[str, float] = {}

    def offer(self, name: str, kind: Kind) -> None:
        """Returns at once. What is offered again while it waits is sent once."""
        self._ledger.wait(name, kind)
        self._start()

    def drop(self, key: str) -> None:
        self._ledger.write("DELETE FROM waiting WHERE name = ? AND kind = 1", key)
        self.offer(key, "drop")

    def catch_up(self) -> None:
        if self._ledger.waiting(1):
            self._start()

    def drain(self, seconds: float) -> int:
        """Waits until nothing waits to be sent, or the bucket is away, or the time is over. Gives what still waits."""
        deadline = time.monotonic() + seconds
        while True:
            self._disk.flush()
            self._ledger.flush()
            count = len(self._ledger.waiting(self._options.queue))
            if not count or self._away or self._closed or time.monotonic() >= deadline:
                return count
            self._start()
            with self._changed:
                self._changed.wait(0.02)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            self._bucket.close()  # ends a transfer that goes on
            thread.join(5.0)

    def _start(self) -> None:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="shared-cache-uploads", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while not self._closed:
                pause = self._round()
                with self._changed:
                    if pause and not self._closed:
                        self._changed.wait(pause)
        finally:
            if self._release is not None:
                self._release()

    def _round(self) -> float:
        """Sends some of what waits. Gives the seconds until there may be more to do."""
        try:
            if not self._may_send():
                return _POLL
            now = time.monotonic()
            if now < self._rest_until:
                return self._rest_until - now
            self._ledger.flush()
            found = [
                one
                for one in self._ledger.waiting(_BATCH)
                if one.kind != "state" or now >= self._state_at.get(one.name, 0.0)
            ]
            if not found:
                return min(_POLL, self._options.state_seconds or _POLL)
            self._disk.flush()
            sent = self._send(found)
            self._away = False
            self._ledger.tell("trouble", "")
            with self._changed:
                self._changed.notify_all()
            return 0.0 if sent else _UNREADY
        except Away as error:
            self._is_away(str(error))
        except Exception as error:
            # Nothing that happens here may end the thread, or be told to a run.
            log.exception("results could not be sent to the shared cache")
            self._is_away(str(error) or type(error).__name__)
        return self._options.rest

    def _is_away(self, why: str) -> None:
        if self._closed:
            return
        if not self._away:
            log.info("the shared cache takes nothing (%s): what is to be sent waits.", why)
        self._away = True
        self._rest_until = time.monotonic() + self._options.rest
        self._ledger.tell("trouble", why)
        with self._changed:
            self._changed.notify_all()

    def _may_send(self) -> bool:
        if self._release is None:
            self._release = try_lock(self._disk.folder / f"{record_name(self._options.url)}.lock")
        return self._release is not None

    def _send(self, waiting: list[Waiting]) -> bool:
        """Values first, then the manifests that name them, and then it is noted. False where nothing of it is ready.

        Raises:
            Away: all of it still waits.
        """
        spoiled = {path for (path,) in self._ledger.rows("SELECT path FROM spoiled")}
        manifests: list[Put] = []
        values: dict[str, tuple[Entry, Path | bytes]] = {}
        entries: dict[str, Entry] = {}
        unready: set[Waiting] = set()
        for one in waiting:
            if one.kind == "action":
                try:
                    manifest = self._manifest(one.name, values)
                except (OSError, ValueError) as error:  # evicted, or damaged, while it was read
                    log.debug("the result %s is not sent: %s", one.name, error)
                    manifest = None
                if manifest is None:
                    # Another program of this machine may not have written yet what it has told of.
                    if time.time() - one.at < _UNWRITTEN:
                        unready.add(one)
                    else:
                        self._ledger.count("lost")
                    continue
                entries |= {entry.id: entry for entry in manifest.entries}
                data = sealed(self._options.key, ACTION, one.name, manifest)
                manifests.append(Put(action_path(one.name), data, len(data)))
        lacking = self._lacking(values, spoiled)
        up = sum(job.bytes for job in [*lacking, *manifests])
        self._bucket.put([job for job in lacking if self._is_there(job)], self._rate)
        self._bucket.put(manifests, self._rate)
        now = time.time()
        for entry in entries.values():
            # What lies in a manifest itself is no object of its own, and a later manifest may need it as one.
            self._ledger.learn(entry, now if entry.id in values else 0.0)
        for one in waiting:
            if one.kind == "state":
                up += self._send_state(one.name)
            elif one.kind == "drop":
                self._drop_state(one.name)
        for path in {job.path for job in [*lacking, *manifests]} & spoiled:
            self._ledger.write("DELETE FROM spoiled WHERE path = ?", path)
        for one in waiting:
            if one not in unready:
                self._ledger.done(one)
        self._ledger.count("sent", len(manifests))
        self._ledger.count("bytes_up", up)
        self._ledger.flush()
        return len(unready) < len(waiting)

    @staticmethod
    def _is_there(job: Put) -> bool:
        """A file may have been evicted since; then its manifest names what is not there, which readers bear."""
        return isinstance(job.data, bytes) or job.data.exists()

    def _manifest(self, key: str, values: dict[str, tuple[Entry, Path | bytes]]) -> Manifest | None:
        """The manifest of an action, whose values are added to those to be sent. None: it is not on the disk."""
        action = self._disk.action(key)
        if action is None:
            return None
        found: dict[str, Entry] = {}
        room = _INLINE_ALL
        todo = [ref.digest for ref in action.outputs.values()]
        while todo:
            id = todo.pop()
            if id in found:
                continue
            if id in values:
                entry = values[id][0]
            else:
                raw = self._disk.raw(id)
                made = None if raw is None else self._entry(id, raw, room)
                # What is gone here may be there all the same; what was cheap to compute is nowhere.
                entry = made or self._ledger.entry(id)
                if entry is None or entry.length > self._options.entry_bytes:
                    continue
                if entry.data is not None:
                    room -= len(entry.data)
                elif made is not None and raw is not None:
                    values[id] = made, raw.payload
            found[id] = entry
            todo += entry.inside
        return Manifest(action, tuple(found.values()))

    def _entry(self, id: str, raw: Raw, room: int) -> Entry | None:
        """What is told of a payload; None where its bytes are not those that were written, or are too many."""
        if raw.bytes > self._options.entry_bytes:
            self._ledger.count("large")
            return None
        found = _digests(raw.payload)
        if found != (raw.crc, raw.bytes, found[2]):
            self._disk.forget(id)
            return None
        inside = parts_of(raw.parts)
        if raw.kind == LIST:
            data = raw.payload if isinstance(raw.payload, bytes) else raw.payload.read_bytes()
            inside = tuple(ref.digest for ref in msgspec.json.decode(data, type=list[ValueRef]))
        small = raw.payload if isinstance(raw.payload, bytes) and raw.bytes <= min(_INLINE, room) else None
        return Entry(id, raw.kind, raw.size, raw.bytes, raw.crc, found[2], raw.seconds, inside, small)

    def _lacking(self, values: dict[str, tuple[Entry, Path | bytes]], spoiled: set[str]) -> list[Put]:
        """Those of the values that the bucket does not have, or that a collection might take before long."""
        fresh = time.time() - FRESH_SECONDS
        jobs = {
            (path := value_path(entry)): Put(path, data, entry.length)
            for entry, data in values.values()
            if value_path(entry) in spoiled or not self._ledger.sent(entry, fresh)
        }
        there = self._bucket.look([path for path in jobs if path not in spoiled])
        return [
            job
            for path, job in jobs.items()
            if path not in there or there[path].bytes != job.bytes or there[path].at < fresh
        ]

    def _send_state(self, key: str) -> int:
        started = time.monotonic()
        data = self._states.raw(key)
        if data is None:
            return 0
        if len(data) > self._options.entry_bytes:
            self._ledger.count("large")
            return 0
        # On record first: it must not stay in the bucket when this process ends in between.
        self._ledger.write("INSERT OR REPLACE INTO state VALUES (?)", key)
        body = sealed(self._options.key, STATE, key, StateHead(len(data), sha256(data))) + b"\n" + data
        self._bucket.put([Put(state_path(key), body, len(body))], self._rate)
        took = time.monotonic() - started
        # One that takes long to send is sent seldom.
        self._state_at[key] = time.monotonic() + max(self._options.state_seconds, 10 * took)
        return len(body)

    def _drop_state(self, key: str) -> None:
        if not self._ledger.rows("SELECT 1 FROM state WHERE name = ?", key):
            return
        self._bucket.delete([state_path(key)])
        self._ledger.write("DELETE FROM state WHERE name = ?", key)
        self._state_at.pop(key, None)


def _digests(payload: bytes | Path) -> tuple[int, int, str]:
    """CRC-32, length and SHA-256; zeros where it cannot be read."""
    crc = length = 0
    digest = hashlib.sha256()
    try:
        for piece in _pieces(payload):
            crc = zlib.crc32(piece, crc)
            length += len(piece)
            digest.update(piece)
    except OSError:
        return 0, -1, ""
    return crc, length, digest.hexdigest()


def _pieces(payload: bytes | Path) -> Iterable[bytes]:
    if isinstance(payload, bytes):
        yield payload
        return
    with payload.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
