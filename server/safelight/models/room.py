"""Where components lie: on the device, in main memory, or in pieces between both; and how room is made for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from safelight.sdk.context import T
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.models import MemoryWay, ModelRef, Running
from safelight.sdk.problem import Problem, ProblemError

from .hardware import Numerics
from .held import key_of
from .memory import SPARE, Memory, give_back, no_room
from .offloading import OFFLOADED, begin, end, pieces_of, window
from .shelf import Entry, Shelf

if TYPE_CHECKING:
    import torch

    from .components import Loaded

log = logging.getLogger(__name__)


class Room:
    """The memory of one store.

    Args:
        shelf: what is in memory.
        memory: what may be taken.
        here: device and precision; asked when they are needed, as that may take a while.
        way: how components are held where their recipe leaves it open.
        lock: held while anything on the shelf changes.
    """

    def __init__(
        self, shelf: Shelf, memory: Memory, here: Callable[[], Numerics], way: MemoryWay, lock: threading.RLock
    ) -> None:
        self._shelf = shelf
        self._memory = memory
        self._here = here
        self._way: MemoryWay = way
        self._lock = lock
        self._mine = threading.local()

    @property
    def held(self) -> list[Entry]:
        """What this thread holds, once for each lease: it computes together, one after the other."""
        return self._mine.__dict__.setdefault("held", [])

    @property
    def scratches(self) -> list[int]:
        """Bytes that the leases of this thread want to be free beside what they hold."""
        return self._mine.__dict__.setdefault("scratches", [])

    # When memory runs out

    def retry(self, attempt: Callable[[], T], tell: Callable[[Problem], None]) -> T:
        """As `sdk.Models.retry`."""
        try:
            return attempt()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: the error holds the frames, and so the tensors, of the attempt that failed.
        log.info("memory ran out; trying again without the models that are not in use")
        self._let_go()
        lower = self._could_step_down()
        if not lower:
            return attempt()
        try:
            return attempt()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self._step_down(lower, tell)
        return attempt()

    def retried(self, attempt: Callable[[], T], ref: ModelRef[Any], size: int, scratch: int) -> T:
        """As `retry`, untold; a second failure is a Problem."""
        try:
            return self.retry(attempt, lambda _: None)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise self.lacking(ref, size, scratch) from error

    def lacking(self, ref: ModelRef[Any], size: int | None, scratch: int) -> ProblemError:
        """That there is no room for a component of `size` bytes, where that is known, and what it needs beside it."""
        held = sum(entry.total for entry in self._shelf if entry.users)
        return no_room(ref, self._device.type, (size or 0) + scratch, self._memory.free(self._device), held)

    def _let_go(self) -> None:
        """Takes from the device, or where the CPU computes out of memory, every component that nobody holds."""
        with self._lock:
            for entry in list(self._shelf):
                if not entry.users and entry.near:
                    self.put_away(entry)
            give_back()

    def _could_step_down(self) -> list[Entry]:
        """What this thread alone holds whole on a device, and could be offloaded."""
        if not self._here().kind.own:
            return []
        return [
            entry
            for entry in dict.fromkeys(self.held)
            if entry.near
            and key_of(entry).kind in OFFLOADED
            and self.way(entry.state[1]) != "whole"
            and self.held.count(entry) == entry.users
        ]

    def _step_down(self, entries: list[Entry], tell: Callable[[Problem], None]) -> None:
        with self._lock:
            for entry in entries:
                self._offload(entry, max(self.scratches, default=0))
            give_back()
        names = ", ".join(sorted({f"{key_of(entry).source.name} ({key_of(entry).kind})" for entry in entries}))
        message = f"Memory ran out; {names} now waits in main memory and comes to the device piece by piece."
        hint = "It is slower, and gives the same. Make the image or the batch smaller to have it whole."
        tell(Problem(code="stepped_down", message=message, hint=hint).warning())

    # How a component is held

    def way(self, running: Running) -> MemoryWay:
        return self._way if running.memory == "auto" else running.memory

    def may_offload(self, ref: ModelRef[Any]) -> bool:
        """Whether there is another place where the weights could wait, and a way from there."""
        return self._here().kind.own and ref.kind in OFFLOADED

    def fits_whole(self, ref: ModelRef[Any], size: int, scratch: int) -> bool:
        """Whether a component is to lie on the device as a whole; what idles makes room for it."""
        way = self.way(ref.running)
        return way != "offload" and (self._makes_room(size, scratch) or way == "whole")

    def bring_near(self, entry: Entry, ref: ModelRef[Any], scratch: int) -> None:
        """Has an entry, which counts one lease more than are held, where it can compute with `scratch` bytes beside it.

        Raises:
            ProblemError: `out_of_memory`.
        """
        size = 0 if entry.near else entry.total
        loaded: Loaded = entry.value.loaded
        if self.may_offload(ref):
            alone = self.held.count(entry) == entry.users - 1
            if loaded.pieces is not None and not alone:
                return  # others compute with it as it is
            if loaded.pieces is not None and not scratch and self.way(ref.running) != "whole":
                return  # how much it needs to work is told by a later lease
            if alone and not self.fits_whole(ref, size, scratch):
                self._offload(entry, scratch)
                return
        if size:
            self.ensure(ref, size, scratch)
            self._gather(entry)
            self.retried(lambda: loaded.move(self._device), ref, size, scratch)
            entry.near = True
        elif scratch:
            self.ensure(ref, 0, scratch)

    def _gather(self, entry: Entry) -> None:
        """Makes one of a component that came in pieces; it lies in main memory then."""
        loaded: Loaded = entry.value.loaded
        if loaded.pieces is not None:
            end(loaded.modules.values())
            loaded.pieces, entry.window = None, 0

    def _offload(self, entry: Entry, scratch: int) -> None:
        """Lets a component wait in main memory and come to the device in pieces, as large as there is room for.

        Raises:
            ProblemError: `out_of_memory`, when there is none for the largest layer.
        """
        kind, loaded = self._here().kind, cast("Loaded", entry.value.loaded)
        key, device = key_of(entry), self._device
        self._gather(entry)
        if entry.near:
            self.make_main_room(entry.total)
            loaded.move(self.main)
            entry.near = False
        used = sum(other.total if other.near else other.window for other in self._shelf if other.users)
        idle = sum(other.total for other in self._shelf if other.near and not other.users)
        room = min(self._memory.budget(True) - used, self._memory.free(device) + idle - SPARE) - scratch
        pieces = pieces_of(key.kind, loaded.modules, kind, room)
        needed = window(pieces, loaded.modules, kind)
        if not self._makes_room(needed, scratch) and self._memory.free(device) < needed + scratch:
            held = sum(other.total for other in self._shelf if other.users and other.near)
            raise no_room(key, device.type, needed + scratch, self._memory.free(device), held)
        begin(pieces, loaded.modules, device, kind)
        loaded.device, loaded.pieces, entry.window = device, pieces, needed
        log.info("%s of %s comes in %s", key.kind, key.source.name, pieces)

    def change(self, entry: Entry, work: Callable[[], None]) -> None:
        """Does `work`, which adds layers to a component, or takes some away, wherever it lies."""
        loaded: Loaded = entry.value.loaded
        if loaded.pieces is None:
            work()
            return
        # Hooks know the layers that were there when they were made.
        kind = self._here().kind
        end(loaded.modules.values())
        try:
            work()
        finally:
            begin(loaded.pieces, loaded.modules, loaded.device, kind)
            entry.window = window(loaded.pieces, loaded.modules, kind)

    # Room

    @property
    def main(self) -> torch.device:
        import torch

        return torch.device(self._here().kind.main)

    @property
    def _device(self) -> torch.device:
        import torch

        return torch.device(self._here().device)

    def _makes_room(self, size: int, scratch: int) -> bool:
        """Puts away what idles until `size` bytes of weights fit with `scratch` beside them; whether they do."""
        own = self._here().kind.own

        def fits() -> bool:
            budget = self._memory.budget(own) - self._shelf.bytes(near=True) >= size + (scratch if own else 0)
            return budget and self._memory.free(self._device) >= size + scratch + (SPARE if own else 0)

        return self._shelf.make_room(True, fits, self.put_away)

    def ensure(self, ref: ModelRef[Any], size: int, scratch: int) -> None:
        """Makes room for `size` bytes of weights and `scratch` beside them.

        Raises:
            ProblemError: `out_of_memory`, when there is none even with everything idle let go.
        """
        if self._makes_room(size, scratch):
            return
        give_back()
        if self._memory.free(self._device) + self._memory.swap(self._device) < size + scratch:
            raise self.lacking(ref, size, scratch)

    def make_main_room(self, size: int) -> bool:
        """Drops what idles in main memory until `size` bytes fit there; returns whether they do."""

        def fits() -> bool:
            room = self._memory.budget(False) - self._shelf.bytes(near=False)
            return min(room, self._memory.free(self.main)) >= size

        return self._shelf.make_room(False, fits, self.drop)

    def put_away(self, entry: Entry) -> None:
        """From the device to main memory, or out of it where that is the device, or has no room for it either."""
        if self._here().kind.own and self.make_main_room(entry.total):
            entry.value.loaded.move(self.main)
            entry.near = False
        else:
            self.drop(entry)

    def drop(self, entry: Entry) -> None:
        self._shelf.remove(entry)
        entry.value = None
