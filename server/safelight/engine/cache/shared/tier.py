"""The shared tier as the cache sees it: questions are answered or given up soon, results are handed on to be sent."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safelight.sdk.codec import Encoded

from ..batch import BLOB, TENSORS
from ..container import Damaged
from ..disk import Disk, Loaded, read_payload
from ..mapped import LARGE
from ..refs import BLOB_MARK, Action, SharedInfo
from ..states import States
from .bucket import Away, Bucket, TooLarge
from .ledger import Ledger
from .models import HEAD_BYTES, head_path, place_model, read_head
from .options import SharedOptions
from .patience import Patience
from .seal import (
    ACTION,
    MANIFEST_BYTES,
    STATE,
    Entry,
    Manifest,
    Refused,
    StateHead,
    action_path,
    sha256,
    state_path,
    unsealed,
    value_path,
)
from .uploads import Uploads

log = logging.getLogger(__name__)
T = TypeVar("T")

ABSENT_SECONDS = 30.0
"""What was not there is not asked for again so soon: a plan and the run after it ask the same."""
_ABSENT = 100_000


class Shared:
    """All methods may be called from any thread, and none raises for a bucket that fails or lies.

    `disk` is the tier before this one: what comes is kept there, and what is sent is read there.
    """

    def __init__(self, options: SharedOptions, disk: Disk | None, states: States) -> None:
        """Raises ProblemError for an address that is none (see `check_options`)."""
        self.options = options
        self._disk = disk
        self._states = states
        self._bucket = Bucket(options.url)
        self._ledger = Ledger(disk.folder if disk is not None else None, options.url, options.queue)
        self._patience = Patience(options.wait, options.rest)
        self._uploads = Uploads(options, self._bucket, self._ledger, disk, states) if disk is not None else None
        self._lock = threading.Lock()
        self._absent: OrderedDict[str, float] = OrderedDict()
        self._told: set[str] = set()

    # Actions and values

    def lookup(self, key: str) -> Action | None:
        """What the team knows of an action. Values that it names may be had from then on."""
        path, started = action_path(key), time.monotonic()
        data = self._ask(path, lambda wait: self._bucket.get(path, MANIFEST_BYTES, wait))
        if data is None:
            return None
        try:
            found = unsealed(self.options.key, ACTION, key, data, Manifest)
        except Refused as error:
            # In vain, like a no: in a bucket of another team each answer is one of these.
            self._patience.in_vain(time.monotonic() - started)
            self._refuse(path, str(error))
            return None
        for entry in found.entries:
            self._ledger.learn(entry)
        self._ledger.count("hits")
        self._ledger.count("bytes_down", len(data))
        return found.action

    def inside(self, id: str) -> tuple[str, ...] | None:
        """What a value is made of, if it should be there: elements of a list, blobs of files. None: it is not."""
        entry = self._ledger.entry(id)
        if entry is None or (entry.data is None and (self._patience.away or not self._fits(entry))):
            return None
        return None if self._is_absent(value_path(entry)) else entry.inside

    def knows(self, id: str) -> bool:
        """Whether a value was said to be there."""
        return self._ledger.entry(id) is not None

    def load(self, id: str) -> Loaded | None:
        """The payload of a value, verified, and on the disk of this machine where that takes it."""
        entry = self._ledger.entry(id)
        if entry is None or not self._fits(entry):
            return None
        try:
            if entry.data is not None:
                return self._verified(entry, entry.data)
            if entry.length >= LARGE and self._disk is not None and not self._disk.trouble:
                return self._on_disk(entry, self._disk)
            path = value_path(entry)
            data = self._ask(path, lambda wait: self._bucket.get(path, entry.length, wait), named=True)
            if data is None:
                self._vanished(id)
                return None
            self._ledger.count("bytes_down", len(data))
            return self._verified(entry, data)
        except Refused as error:
            self._refuse(value_path(entry), str(error))
            self._ledger.forget(id)
            return None

    def offer(self, key: str) -> None:
        """An action was recorded here: it is sent when there is time, with the values it names."""
        if self._uploads is not None:
            self._uploads.offer(key, "action")

    # Checkpoints

    def offer_state(self, key: str) -> None:
        if self._uploads is not None:
            self._uploads.offer(key, "state")

    def drop_state(self, key: str) -> None:
        """A checkpoint is of no use any more."""
        if self._uploads is not None:
            self._uploads.drop(key)

    def state(self, key: str) -> bytes | None:
        """The file of a checkpoint that another machine has made."""
        path = state_path(key)
        data = self._ask(path, lambda wait: self._bucket.get(path, self.options.entry_bytes, wait))
        if data is None:
            return None
        end = data.find(b"\n", data.find(b"\n") + 1)
        head, body = data[:end], memoryview(data)[end + 1 :]
        try:
            told = unsealed(self.options.key, STATE, key, head, StateHead)
            if len(body) != told.length or sha256(body) != told.sha256:
                raise Refused("its bytes are not those that were signed")
        except Refused as error:
            self._refuse(path, str(error))
            return None
        self._ledger.count("hits")
        self._ledger.count("bytes_down", len(data))
        self._ledger.write("INSERT OR REPLACE INTO state VALUES (?)", key)
        return bytes(body)

    # Models

    def fetch_model(self, name: str, folder: Path) -> bool:
        """Fetches a model that the team has sent, into a folder of models. False where there is none to be had."""
        path = head_path(name)
        data = self._ask(path, lambda wait: self._bucket.get(path, HEAD_BYTES, wait), named=True)  # nothing else has it
        if data is None:
            return False
        try:
            head = read_head(self.options.key, name, data)
            size = sum(file.length for file in head.files)
            log.info("the model %s comes from the shared cache (%.1f MB).", name, size / 1e6)
            if not place_model(self._bucket, head, name, folder, self.options.wait):
                return False
        except Refused as error:
            self._refuse(path, str(error))
            return False
        except Away as error:
            self._say("away", f"the shared cache cannot be reached ({error}); work goes on without it for now.")
            return False
        except OSError as error:
            log.warning("the model %s could not be written to this disk: %s", name, error)
            return False
        self._ledger.count("bytes_down", size)
        return True

    # The tier itself

    def catch_up(self) -> None:
        """Begins to send what was left by programs before this one."""
        if self._uploads is not None:
            self._uploads.catch_up()

    def drain(self, seconds: float) -> int:
        """Waits for what is to be sent, as long as the bucket takes it; gives how much of it still waits."""
        return self._uploads.drain(seconds) if self._uploads is not None else 0

    def flush(self) -> None:
        """Waits until all that is to be sent is on record."""
        self._ledger.flush()

    def forget(self) -> None:
        """Forgets what is known of the bucket, and what was to be sent. The bucket is left as it is."""
        with self._lock:
            self._absent.clear()
        self._ledger.clear()

    def close(self) -> None:
        if self._uploads is not None:
            self._uploads.close()
        self._bucket.close()
        self._ledger.close()

    def info(self) -> SharedInfo:
        self._ledger.flush()
        counts = self._ledger.counts()
        names = ("hits", "misses", "refused", "bytes_down", "bytes_up", "sent", "lost", "large")
        waiting = self._ledger.rows("SELECT count(*) FROM waiting")
        return SharedInfo(
            url=self.options.url.partition("?")[0],
            waiting=waiting[0][0] if waiting else 0,
            trouble=self._ledger.told().get("trouble", ""),
            **{name: counts.get(name, 0) for name in names},
        )

    def _fits(self, entry: Entry) -> bool:
        return entry.length <= self.options.entry_bytes

    def _verified(self, entry: Entry, data: bytes) -> Loaded:
        if len(data) != entry.length or sha256(data) != entry.sha256:
            raise Refused("its bytes are not those that were signed")
        try:
            if (entry.kind == BLOB) != entry.id.startswith(BLOB_MARK):
                raise Damaged("it is not of the kind that its name says.")
            content = read_payload(io.BytesIO(data), entry.kind, entry.length, entry.crc)
        except Damaged as error:  # a member of the team has signed what is no value
            raise Refused(str(error)) from None
        held = tuple(content.tensors.values()) if isinstance(content, Encoded) else ()
        parts = entry.inside if entry.kind in (TENSORS, 0) else ()
        return Loaded(entry.kind, entry.size, entry.seconds, parts, content, held, fetched=data)

    def _on_disk(self, entry: Entry, disk: Disk) -> Loaded | None:
        """A large payload, that goes through no memory."""
        path = value_path(entry)
        with disk.draft() as draft:
            found = self._ask(path, lambda wait: self._saved(path, draft, entry.length, wait), named=True)
            if found is None:
                self._vanished(entry.id)
                return None
            if found != entry.sha256 or draft.stat().st_size != entry.length:
                raise Refused("its bytes are not those that were signed")
            self._ledger.count("bytes_down", entry.length)
            parts = entry.inside if entry.kind == TENSORS else ()
            if not disk.adopt(entry.id, draft, kind=entry.kind, size=entry.size, seconds=entry.seconds, parts=parts):
                return self._verified(entry, draft.read_bytes())
        return disk.load(entry.id)

    def _vanished(self, id: str) -> None:
        """A value is not there that a manifest has named: who computes it again is to send it again."""
        if not self._patience.away:
            self._ledger.forget(id)

    def _saved(self, path: str, draft: Path, most: int, wait: float) -> str | None:
        try:
            return self._bucket.save(path, draft, most, wait)
        except OSError as error:
            log.warning("a value of the shared cache cannot be written to this disk: %s", error)
            return None

    def _ask(self, path: str, question: Callable[[float], T | None], *, named: bool = False) -> T | None:
        """The answer to a question, or None where it is no, or none may be waited for.

        `named` is what a manifest says to be there, which is asked for even where waits in vain are used up.
        """
        wait = self._patience.left()
        if named and not self._patience.away:
            wait = self.options.wait
        if not wait or self._is_absent(path):
            return None
        started = time.monotonic()
        try:
            found = question(wait)
        except TooLarge as error:
            self._patience.in_vain(time.monotonic() - started)
            self._refuse(path, str(error))
            return None
        except Away as error:
            self._patience.failed(time.monotonic() - started)
            self._say("away", f"the shared cache cannot be reached ({error}); work goes on without it for now.")
            self._ledger.tell("trouble", str(error))
            return None
        with self._lock:
            self._told.discard("away")
        self._ledger.tell("trouble", "")
        self._patience.answered()
        if found is None:
            self._patience.in_vain(time.monotonic() - started)
            self._ledger.count("misses")
            self._miss(path)
        return found

    def _refuse(self, path: str, why: str) -> None:
        self._ledger.count("refused")
        # It is replaced by what is computed here.
        self._ledger.write("INSERT OR REPLACE INTO spoiled VALUES (?)", path)
        self._miss(path)
        self._say(
            "refused",
            f"an entry of the shared cache is refused ({why}): {path}. It is computed again here. "
            "Further ones are only counted.",
        )

    def _miss(self, path: str) -> None:
        with self._lock:
            self._absent[path] = time.monotonic()
            self._absent.move_to_end(path)
            if len(self._absent) > _ABSENT:
                self._absent.popitem(last=False)

    def _is_absent(self, path: str) -> bool:
        with self._lock:
            at = self._absent.get(path)
            return at is not None and time.monotonic() - at < ABSENT_SECONDS

    def _say(self, what: str, message: str) -> None:
        """Once, until it is over."""
        with self._lock:
            if what in self._told:
                return
            self._told.add(what)
        log.warning(message)
