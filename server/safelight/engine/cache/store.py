"""The cache: an action cache over a content-addressed store, in memory and on disk."""

from __future__ import annotations

import logging
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from safelight.sdk.codec import Codec, CodecError, Encoded, hash_bytes, hash_file

from .batch import BLOB, JSON, LIST, TENSORS, Keep, Note, Row, parts_of
from .container import Payload, encode_text, pack
from .disk import Disk, Loaded
from .fingerprints import Fingerprints
from .mapped import LARGE
from .memory import Memory
from .pins import Holding, Pins
from .refs import BLOB_MARK, MISSING, Action, CacheInfo, ValueRef
from .states import States
from .taken import ROOM, Taken, fresh, list_ref, take

if TYPE_CHECKING:
    from .shared import Shared, SharedOptions

log = logging.getLogger(__name__)

ACTIONS_IN_MEMORY = 50_000
PACE_WEIGHT = 0.3
_FETCHES = 4


class _Listed(tuple[ValueRef, ...]):
    """In the place of a list that is kept as its elements."""

    __slots__ = ()


class Cache:
    """Remembers what nodes gave (`record`, `lookup`) and the values themselves (`put`, `get`), under byte budgets.

    Everything may be called from any thread, and any number of processes may use one folder at once. A disk that fails
    is never an error: results then stay in memory, and `info().trouble` says why.
    """

    def __init__(
        self,
        folder: Path | None,
        codec: Codec,
        *,
        memory_bytes: int,
        disk_bytes: int,
        action_rows: int = 200_000,
        shared: SharedOptions | None = None,
    ) -> None:
        """`folder` None keeps everything in memory; `action_rows` bounds the actions remembered on disk; `shared` is a
        bucket behind the disk.

        Raises:
            ProblemError: the address of the bucket is none.
        """
        self.codec = codec
        self._lock = threading.RLock()
        self._pins = Pins()
        self._memory = Memory(memory_bytes, self._pins)
        self._actions: OrderedDict[str, Action] = OrderedDict()
        self._actions_limit = ACTIONS_IN_MEMORY if folder is not None else action_rows
        self._pace: dict[str, float] | None = None
        self._hits = self._misses = 0
        self._disk: Disk | None = None
        if folder is not None:
            queue_bytes = max(16 << 20, min(memory_bytes // 4, 512 << 20))
            rescue = weakref.WeakMethod(self._rescue)

            def lost(item: Keep) -> None:
                method = rescue()
                if method is not None:
                    method(item)

            self._disk = Disk(
                folder, disk_bytes, queue_bytes=queue_bytes, action_rows=action_rows, lost=lost, pins=self._pins
            )
            # A program that ends without close() still keeps what it has computed.
            self._close = weakref.finalize(self, self._disk.close)
        self._states = States(folder, codec, disk_bytes // 4)
        self._shared: Shared | None = None
        if shared is not None:
            from .shared import Shared

            self._shared = Shared(shared, self._disk, self._states)
            self._close_shared = weakref.finalize(self, self._shared.close)
        self._files = Fingerprints(self._disk)

    # Actions

    def lookup(self, key: str) -> Action | None:
        with self._lock:
            action = self._actions.get(key)
            if action is not None:
                self._actions.move_to_end(key)
                return action
        action = self._disk.action(key) if self._disk is not None else None
        if action is None and self._shared is not None:
            action = self._shared.lookup(key)
            if action is not None and self._disk is not None:
                self._disk.write(Note(key, action))
        if action is not None:
            self._remember(key, action)
        return action

    def record(self, key: str, action: Action) -> None:
        """Visible at once in this process; in others, and after a crash, once it is flushed."""
        self._remember(key, action)
        if self._disk is not None:
            self._disk.write(Note(key, action))
        if self._shared is not None:
            self._shared.offer(key)

    def last_seconds(self, node_type: str) -> float | None:
        """What a node of this type usually takes, or None when none has been run."""
        with self._lock:
            return self._paces().get(node_type)

    def note_seconds(self, node_type: str, seconds: float) -> None:
        with self._lock:
            paces = self._paces()
            known = paces.get(node_type)
            pace = seconds if known is None else known + PACE_WEIGHT * (seconds - known)
            paces[node_type] = pace
        if self._disk is not None:
            self._disk.write(Row("INSERT OR REPLACE INTO pace VALUES (?, ?)", (node_type, pace)))

    def forget_seconds(self) -> None:
        """What other processes have noted since is read from the disk when it is next asked for."""
        with self._lock:
            if self._disk is not None:
                self._pace = None

    # Values

    def ref(self, value: Any) -> ValueRef:
        """The identity that `put` would give. Raises CodecError for what cannot be kept."""
        return take(value, self.codec).ref

    def digest(self, value: Any) -> str:
        """The digest alone; see `ref`."""
        return self.ref(value).digest

    def put(self, value: Any, seconds: float = 0.0, *, cheap: bool = False) -> ValueRef:
        """Keeps a value and gives its identity; `seconds` is what computing it took, which eviction weighs.

        A value larger than both budgets is not kept, and one that is `cheap` to compute in memory only. Waits when the
        disk lags far behind.

        Raises:
            CodecError: it holds something that cannot be kept.
        """
        taken = take(value, self.codec)
        self._keep(taken, seconds, cheap)
        return taken.ref

    def get(self, ref: ValueRef) -> Any:
        """The value, or MISSING when it was evicted or is damaged. Lists are new each time; tensors are shared."""
        value = self._get(ref.digest)
        if value is MISSING:
            self._misses += 1
        else:
            self._hits += 1
        return value

    def has(self, ref: ValueRef) -> bool:
        """Whether `get` should succeed. Looks at lengths, not at contents. A file counts only with its bytes."""
        return self._has(ref.digest)

    def elsewhere(self, ref: ValueRef) -> bool:
        """Whether a value, or a part of it, has to come from the bucket. False where nothing is known of it."""
        shared = self._shared
        if shared is None or not shared.knows(ref.digest):
            return False
        return not self._is_here(ref.digest) or any(
            not self._is_here(key) for key in self._inside(ref.digest) or () if shared.knows(key)
        )

    def bring(self, refs: Iterable[ValueRef]) -> None:
        """Fetches what of these values lies in the bucket alone, some at once."""
        if self._shared is None:
            return
        lacking: dict[str, None] = {}
        todo = [ref.digest for ref in refs]
        while todo:
            key = todo.pop()
            if key not in lacking:
                if not self._is_here(key):
                    lacking[key] = None
                todo += self._inside(key) or ()
        if len(lacking) > 1:
            with ThreadPoolExecutor(_FETCHES, thread_name_prefix="shared-cache-fetch") as threads:
                list(threads.map(lambda key: self._held(key, count=False), lacking))

    def elements(self, ref: ValueRef) -> list[ValueRef] | None:
        """The elements of a kept list, without loading them; None when it is not there or is no list."""
        held = self._held(ref.digest, count=False)
        if isinstance(held, _Listed):
            return list(held)
        return [self.put(item) for item in held] if isinstance(held, list) else None

    def compose(self, elements: Iterable[ValueRef], seconds: float = 0.0) -> ValueRef:
        """The list of these kept values, made and kept without loading them."""
        listed = _Listed(elements)
        ref = list_ref(listed)
        if not self._has(ref.digest):
            self._keep_list(ref, listed, seconds)
        return ref

    def turn_over(self, refs: Iterable[ValueRef]) -> None:
        """A turn of a call is over that has touched these values. What was of use to one turn only leaves the memory
        after a while, if it is on disk or cheap to compute."""
        with self._lock:
            going = self._memory.turn(key for ref in refs for key in self._with_parts(ref.digest))
        disk = self._disk
        if not going or disk is None or disk.trouble:
            return
        for key in going:
            if key not in self._pins or disk.pending(key) is not None or disk.whole(key) is not None:
                with self._lock:
                    self._memory.drop(key)

    @contextmanager
    def holding(self) -> Iterator[Holding]:
        """What is added to the holding is not evicted by this process before the block ends."""
        holding = Holding(self._pins, self._pin)
        try:
            yield holding
        finally:
            holding.close()

    def _pin(self, key: str) -> list[str] | None:
        """Pins a value with all that it is made of. None when not all of it is there."""
        pinned: list[str] = []
        todo = [key]
        while todo:
            at = todo.pop()
            pinned.append(at)
            self._pins.add([at])  # before it is looked for, so that what is found stays
            inside = self._inside(at)
            # A file is handed over whole, so it is fetched while there is still time to make it again.
            far = self._shared is not None and at.startswith(BLOB_MARK) and not self._is_here(at)
            if inside is None or (far and self._held(at, count=False) is MISSING):
                self._pins.remove(pinned)
                return None
            todo += inside
        return pinned

    # Bytes

    def put_bytes(self, data: bytes, seconds: float = 0.0) -> str:
        """Keeps finished bytes, such as an encoded image, and gives their digest."""
        digest = hash_bytes(data)
        key = BLOB_MARK + digest
        size = len(data) + ROOM
        with self._lock:
            self._memory.put(key, data, size, self._cost(seconds, size))
        disk = self._disk
        if disk is not None and disk.pending(key) is None and disk.whole(key) is None:
            disk.write(Keep(key, BLOB, size, Payload.of([data]), seconds, data))
        return digest

    def draft(self) -> AbstractContextManager[Path]:
        """Where a file can be written for `put_file`; what still lies there when the block ends is removed."""
        if self._disk is None or self._disk.trouble:
            return _somewhere()
        return self._disk.draft()

    def put_file(self, path: Path, hold: Callable[[str], object] = lambda _: None) -> str:
        """Keeps the content of a file, which is moved here where it can be, and gives its digest.

        `hold` is told of the digest before anything may evict what it names.
        """
        digest = hash_file(path)
        key = BLOB_MARK + digest
        self._pins.add([key])
        try:
            if self._disk is None or not self._disk.adopt(key, path):
                self.put_bytes(path.read_bytes())
            hold(digest)
        finally:
            self._pins.remove([key])
        return digest

    def content(self, digest: str) -> bytes | Path | None:
        """Finished bytes; the file that they lie in, for large ones that are on the disk."""
        key = BLOB_MARK + digest
        entry = self._disk.whole(key) if self._disk is not None else None
        if entry is not None and entry.bytes >= LARGE and self._disk is not None:
            return self._disk.path(key)
        return self.get_bytes(digest)

    def get_bytes(self, digest: str) -> bytes | None:
        found = self._held(BLOB_MARK + digest, count=True)
        return found if isinstance(found, bytes) else None

    # Checkpoints and files

    def save_state(self, key: str, state: Mapping[str, Any]) -> None:
        """Keeps a checkpoint; it is durable when this returns, and replaces the one before it whole."""
        self._states.save(key, state)
        if self._shared is not None:
            self._shared.offer_state(key)

    def load_state(self, key: str) -> Mapping[str, Any] | None:
        state = self._states.load(key)
        if state is None and self._shared is not None:
            data = self._shared.state(key)
            state = self._states.adopt(key, data) if data is not None else None
        return state

    def drop_state(self, key: str) -> None:
        self._states.drop(key)
        if self._shared is not None:
            self._shared.drop_state(key)

    def fetch_model(self, name: str, folder: Path) -> bool:
        """Fetches a model from the bucket into a folder of models, verified. False where there is none to be had."""
        return self._shared is not None and self._shared.fetch_model(name, folder)

    def fingerprint(self, path: Path) -> str:
        """The digest of a file's content, remembered while its size, time and inode stay the same.

        Raises:
            FileNotFoundError, OSError: the file cannot be read.
        """
        return self._files.digest(path)

    # The cache itself

    def flush(self) -> None:
        """Waits until all that was put and recorded is on disk."""
        if self._disk is not None:
            self._disk.flush()
        if self._shared is not None:
            self._shared.flush()

    def catch_up(self) -> None:
        """Begins to send to the bucket what programs before this one have left."""
        if self._shared is not None:
            self._shared.catch_up()

    def drain(self, seconds: float | None = None) -> int:
        """Waits for what is to be sent to the bucket, as long as that takes it, and gives how much still waits.

        `seconds` is what it may take; by default as it is set for finished commands.
        """
        if self._shared is None:
            return 0
        return self._shared.drain(self._shared.options.linger if seconds is None else seconds)

    def close(self) -> None:
        if self._shared is not None:
            self._close_shared()
        if self._disk is not None:
            self._close()

    def clear(self) -> None:
        """Forgets everything, checkpoints too. Other processes keep what they hold in memory, and the bucket is left
        as it is."""
        if self._shared is not None:
            self._shared.forget()
        with self._lock:
            self._memory.clear()
            self._actions.clear()
            self._pace = {}
        self._files.clear()
        self._states.clear()
        if self._disk is not None:
            self._disk.clear()

    def free(self) -> None:
        """Lets go of the values in memory. What is on disk stays, and so does what is remembered of actions."""
        self.flush()
        with self._lock:
            self._memory.clear()

    def use(self) -> tuple[int, int, int]:
        """Bytes in memory, hits and misses, without a look at the disk."""
        with self._lock:
            return self._memory.used, self._hits, self._misses

    def info(self) -> CacheInfo:
        disk = self._disk
        totals = dict(disk.rows("SELECT name, value FROM total")) if disk is not None else {}
        states, state_bytes = self._states.totals()
        shared = self._shared.info() if self._shared is not None else None
        with self._lock:
            return CacheInfo(
                folder=str(disk.folder) if disk is not None else None,
                memory_bytes=self._memory.used,
                memory_limit=self._memory.limit,
                memory_values=len(self._memory),
                disk_bytes=int(totals.get("bytes", 0)),
                disk_limit=disk.limit if disk is not None else 0,
                disk_values=int(totals.get("entries", 0)),
                actions=int(totals.get("actions", 0)) if disk is not None else len(self._actions),
                states=states,
                state_bytes=state_bytes,
                pending=len(disk.writer) if disk is not None else 0,
                hits=self._hits,
                misses=self._misses,
                trouble=disk.trouble if disk is not None else "",
                shared=shared,
            )

    def _remember(self, key: str, action: Action) -> None:
        with self._lock:
            self._actions[key] = action
            self._actions.move_to_end(key)
            if len(self._actions) > self._actions_limit:
                self._actions.popitem(last=False)

    def _paces(self) -> dict[str, float]:
        if self._pace is None:
            self._pace = dict(self._disk.rows("SELECT type, seconds FROM pace")) if self._disk is not None else {}
        return self._pace

    def _keep(self, taken: Taken, seconds: float, cheap: bool) -> None:
        key, size = taken.ref.digest, taken.ref.size
        if taken.elements is not None:
            for element in taken.elements:
                self._keep(element, seconds / len(taken.elements), cheap)
            self._keep_list(taken.ref, _Listed(element.ref for element in taken.elements), seconds, cheap)
            return
        value = fresh(taken.value)
        with self._lock:
            self._memory.put(key, value, size, seconds if cheap else self._cost(seconds, size), taken.live, taken.parts)
            for part in taken.parts:
                self._memory.raise_cost(part, seconds)
        if cheap or self._disk is None or self._disk.pending(key) is not None or self._disk.whole(key) is not None:
            return
        kind = TENSORS if taken.tensors else JSON
        payload = pack(taken.text, taken.tensors) if taken.tensors else Payload.of([encode_text(taken.text)])
        self._disk.write(Keep(key, kind, size, payload, seconds, value, taken.parts, taken.live))

    def _keep_list(self, ref: ValueRef, listed: _Listed, seconds: float, cheap: bool = False) -> None:
        text = msgspec.json.encode(list(listed))
        with self._lock:
            self._memory.put(ref.digest, listed, ROOM + 100 * len(listed), self._cost(seconds, 0))
        if not cheap and self._disk is not None and self._disk.whole(ref.digest) is None:
            self._disk.write(Keep(ref.digest, LIST, ref.size, Payload.of([text]), seconds, listed))

    def _with_parts(self, key: str) -> Iterator[str]:
        """What is in memory of a value: itself, the elements of a list, the blobs of files."""
        held = self._memory.peek(key, MISSING)
        if held is MISSING:
            return
        yield key
        for element in held if isinstance(held, _Listed) else ():
            yield from self._with_parts(element.digest)
        yield from self._memory.parts(key)

    def _rescue(self, item: Keep) -> None:
        """What could not be written may have left the memory tier already: it is put back there."""
        with self._lock:
            self._memory.put(item.id, item.value, item.size, item.seconds, item.tensors, item.parts)

    def _cost(self, seconds: float, size: int) -> float:
        """Seconds that losing it from memory costs: what is on disk is read again, at about 1 GB/s."""
        if self._disk is None or self._disk.trouble:
            return seconds
        return min(seconds, 1e-3 + size / 1e9)

    def _has(self, key: str) -> bool:
        todo = [key]
        while todo:
            inside = self._inside(todo.pop())
            if inside is None:
                return False
            todo += inside
        return True

    def _inside(self, key: str) -> list[str] | None:
        """The entries without which one is of no use: elements of a list, blobs of files. None: it is not there."""
        with self._lock:
            held = self._memory.peek(key, MISSING)
            parts = self._memory.parts(key) if held is not MISSING else ()
        if held is MISSING:
            pending = self._disk.pending(key) if self._disk is not None else None
            if pending is not None:
                held, parts = pending.value, pending.parts
            else:
                entry = self._disk.whole(key) if self._disk is not None else None
                if entry is None:
                    found = self._shared.inside(key) if self._shared is not None else None
                    return None if found is None else list(found)
                parts = parts_of(entry.parts)
                held = self._held(key, count=False) if entry.kind == LIST else None
                if held is MISSING:
                    return None
        return [element.digest for element in held] if isinstance(held, _Listed) else list(parts)

    def _is_here(self, key: str) -> bool:
        """Whether an entry is in the memory or on the disk of this machine."""
        with self._lock:
            if key in self._memory:
                return True
        disk = self._disk
        return disk is not None and (disk.pending(key) is not None or disk.whole(key) is not None)

    def _get(self, key: str) -> Any:
        held = self._held(key, count=True)
        if not isinstance(held, _Listed):
            return fresh(held)
        values: list[Any] = []
        for element in held:
            value = self._get(element.digest)
            if value is MISSING:
                return MISSING
            values.append(value)
        return values

    def _held(self, key: str, *, count: bool) -> Any:
        """The value as it is held, from memory, from the queue to the disk, or from the disk."""
        with self._lock:
            held = self._memory.get(key, MISSING) if count else self._memory.peek(key, MISSING)
        if held is not MISSING:
            return held
        pending = self._disk.pending(key) if self._disk is not None else None
        if pending is not None:
            return pending.value
        loaded = self._disk.load(key) if self._disk is not None else None
        if loaded is None and self._shared is not None:
            loaded = self._shared.load(key)
        if loaded is None:
            return MISSING
        if isinstance(loaded.content, bytes):
            self._arrived(key, loaded, loaded.content)
            return loaded.content
        try:
            value, size = self._built(loaded.kind, loaded.content), loaded.size - loaded.mapped
        except CodecError as error:  # its pack is not installed, or fails to import today
            log.warning("a cached value cannot be put together (%s): it will be computed again.", error)
            return MISSING
        except Exception as error:  # its class has changed since, or the row says what it is not
            log.warning("a cached value is of no use any more (%s): it will be computed again.", error)
            if self._disk is not None:
                self._disk.forget(key)
            return MISSING
        if isinstance(value, _Listed):
            size = ROOM + 100 * len(value)
        with self._lock:
            cost = self._cost(loaded.seconds, size)
            self._memory.put(key, value, size, cost, loaded.held, loaded.parts)
        self._arrived(key, loaded, value)
        return value

    def _arrived(self, key: str, loaded: Loaded, value: Any) -> None:
        """Keeps on this machine what has come from the bucket."""
        if loaded.fetched is None:
            return
        if self._disk is not None:
            payload = Payload.of([loaded.fetched])
            self._disk.write(
                Keep(key, loaded.kind, loaded.size, payload, loaded.seconds, value, loaded.parts, loaded.held)
            )
        elif loaded.kind == BLOB:
            with self._lock:
                self._memory.put(key, value, loaded.size, loaded.seconds)

    def _built(self, kind: int, content: Encoded) -> Any:
        if kind == LIST:
            return _Listed(msgspec.convert(content.json, list[ValueRef]))
        return self.codec.decode(content)


@contextmanager
def _somewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "draft"
