"""The model store: the only place that turns recipes into something that computes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from safelight.environment import Environment
from safelight.families import Families, load_families
from safelight.sdk.context import T
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.models import ModelRef, Patch, Source
from safelight.sdk.problem import Problem, ProblemError

from .entries import ModelEntry
from .hardware import Numerics, numerics, thread_count
from .held import Held, Key, LoadedModel, Value, described
from .hub import Progress
from .index import Index
from .layout import Layout, read_json
from .library import Library
from .making import created
from .manager import Manager
from .memory import SPARE, Memory, give_back, no_room
from .shelf import Entry, Shelf
from .trees import Trees

if TYPE_CHECKING:
    import torch

    from .components import Loaded
    from .weights import Target

log = logging.getLogger(__name__)


class ModelStore:
    """Implements `sdk.Models`. Making one is cheap and imports nothing heavy; the first lease loads torch.

    Args:
        home: the data folder. Models are looked for in its `models`, or in the folders that the environment names.
        fingerprint: the digest of a file's content; it may remember it.
        allow_download: whether a hub id that is not in the local cache is fetched.
        progress: told of downloads: file, bytes done, bytes in all.
        memory: what may be taken; by default, what the machine has.
        here: device and precision, for one of several workers; measured by default (see `numerics`).
        environment: what is set, such as the folders of models; that of the process by default.
        families: those that models may be of; by default those of this installation.
    """

    def __init__(
        self,
        home: Path,
        *,
        fingerprint: Callable[[Path], str],
        allow_download: bool = False,
        progress: Progress | None = None,
        memory: Memory | None = None,
        here: Numerics | None = None,
        environment: Environment | None = None,
        families: Families | None = None,
    ) -> None:
        self._environment = environment or Environment.read()
        self._home = home
        self._library = Library(
            self._environment.models or (home / "models",),
            digest=fingerprint,
            cache=self._environment.hub,
            allow_download=allow_download and not self._environment.offline,
            allow_pickle=self._environment.allow_pickle,
            progress=progress,
            families=families or load_families(),
            trees=Trees(home),
            index=Index(home),
        )
        self.families = self._library.families
        self.manager = Manager(
            self._library,
            may_download=allow_download,
            offline=self._environment.offline,
            allow_pickle=self._environment.allow_pickle,
        )
        self._memory = memory or Memory()
        self._lock = threading.RLock()
        self._shelf = Shelf()
        self._scratches = threading.local()
        self._numerics = here

    def find(self, name: str, kind: str = "") -> Source:
        return self._library.find(name, kind)

    def family(self, source: Source) -> str:
        return self._library.family(source)

    def encoder(self, source: Source) -> str:
        return self._library.encoder(source)

    def add(self, path: Path) -> str:
        """Lets a file or folder outside the model folders be named (see `Names.add`); returns the name."""
        return self._library.names.add(path)

    def holds(self, name: str) -> bool:
        """Whether a name means something in the model folders or the package."""
        return self._library.holds(name)

    def describe(self, name: str) -> ModelEntry:
        """What is known of a model on disk. Raises ProblemError when it is not there."""
        return self._library.describe(name)

    def stamp(self) -> int:
        return self._library.stamp()

    def list_models(self, on_progress: Callable[[int, int], None] | None = None) -> list[ModelEntry]:
        """Every model on this machine that can be named; `on_progress` is told how many of how many were looked at."""
        return self._library.list_models(on_progress)

    @property
    def library(self) -> Library:
        """What is on disk: for those who manage models rather than run them."""
        return self._library

    def loaded(self) -> list[LoadedModel]:
        """What is in memory now, least recently used first."""
        with self._lock:
            return [described(entry) for entry in self._shelf]

    def clear(self) -> None:
        """Gives back the memory of every component that nobody holds."""
        with self._lock:
            for entry in list(self._shelf):
                if not entry.users:
                    self._drop(entry)
            give_back()

    def device(self) -> tuple[torch.device, torch.dtype]:
        import torch

        here = self._here()
        return torch.device(here.device), cast("torch.dtype", getattr(torch, here.precision))

    def create(self, name: str) -> AbstractContextManager[Path]:
        return created(self._library.folders[0], name)

    @contextmanager
    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> Iterator[Held]:
        """Loads what the recipe says and keeps it in memory for the block; `scratch` bytes are kept free beside it.

        Leases of one recipe share its component. A recipe whose component is in use with other patches gets a copy of
        its own, so that no lease sees another's LoRA.

        Raises:
            ProblemError: the files are not there or do not fit, or (`out_of_memory`) there is no room.
        """
        # What one thread holds at a time computes together, one after the other.
        from .components import leased

        together: list[int] = self._scratches.__dict__.setdefault("held", [])
        together.append(scratch)
        entry: Entry | None = None
        try:
            with self._lock:
                entry = self._take(ref, max(together))
            value: Loaded = entry.value.loaded
            settings = {**value.settings, "warnings": entry.value.attached.warnings(entry.state)}
            component = leased(ref, value, self.families)
            held = Held(component, value.device, value.dtype, MappingProxyType(settings))
            yield held
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise self._no_room(ref, None, scratch) from error
        finally:
            together.remove(scratch)
            if entry is not None:
                self._give_up(entry)

    def _give_up(self, entry: Entry) -> None:
        with self._lock:
            entry.users -= 1
            if not entry.users and entry.state:
                entry.value.attached.turn_off()
                entry.state = ()

    def retry(self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: the error holds the frames, and so the tensors, of the attempt that failed.
        log.info("memory ran out; trying again without the models that are not in use")
        self._let_go()
        return attempt()

    def _let_go(self) -> None:
        """Takes from the device, or where the CPU computes out of memory, every component that nobody holds."""
        own = self._here().device != "cpu"
        with self._lock:
            for entry in list(self._shelf):
                if not entry.users and entry.near:
                    (self._put_away if own else self._drop)(entry)
            give_back()

    def _take(self, ref: ModelRef[Any], scratch: int) -> Entry:
        patches = tuple(patch for patch in ref.patches if patch.weight)
        target, layout = self._target(ref)
        # The same files are other modules to another family only where it says how they are put together.
        family = ref.family if ref.kind == "TextEncoder" else ""
        key = Key(ref.kind, ref.source, ref.beside, family, str(target.dtype))
        idle = [entry for entry in self._shelf.of(key) if not entry.users]
        shared = [entry for entry in self._shelf.of(key) if entry.users and entry.state == patches]
        entry = (shared or idle or [None])[0]
        if entry is None:
            entry = self._load(ref, key, target, layout or self._layout(ref), scratch)
        # Held from here on, so that making room for its LoRAs does not take it away.
        entry.users += 1
        try:
            self._bring_near(entry, ref, target, scratch)
            if not shared:
                self._patch(entry, ref, patches)
        except BaseException:
            entry.users -= 1
            if not entry.users:
                self._drop(entry)
            raise
        self._shelf.touch(entry)
        return entry

    def _target(self, ref: ModelRef[Any]) -> tuple[Target, Layout | None]:
        """How a recipe's weights are to lie in memory; its layout too, where it had to be read for that."""
        import torch

        from .weights import Target

        here = self._here()
        layout = None
        precision: str = ref.precision
        if precision == "auto":
            precision = here.vae if ref.kind == "VAE" else here.precision
            if ref.kind == "VAE" and precision == "float16":
                layout = self._library.layout(ref.source)
                part = layout.parts.get("vae") or layout.parts[""]
                # Its activations leave the range of float16, as its makers say.
                if layout.single or (part.config and read_json(part.config).get("force_upcast", True)):
                    precision = "float32"
        device = torch.device(here.device)
        dtype = cast("torch.dtype", getattr(torch, precision))
        # Tensor cores read kernels channel by channel; on CPUs the order was measured to make no difference, and the
        # weights can stay where they are mapped.
        return Target(dtype, device, channels_last=device.type == "cuda" and dtype != torch.float32), layout

    def _layout(self, ref: ModelRef[Any]) -> Layout:
        """The files of a recipe: text encoders in files of their own are one layout."""
        first, *others = (self._library.layout(source) for source in (ref.source, *ref.beside))
        if first.kind != "text_encoder":
            return first
        parts = {name: part for layout in (*reversed(others), first) for name, part in layout.parts.items()}
        return Layout("text_encoder", ref.family, first.root, parts, single=True)

    def _here(self) -> Numerics:
        if self._numerics is None:
            import torch

            self._numerics = numerics(self._home, self._environment)
            count = thread_count(self._environment)
            if count < torch.get_num_threads():
                torch.set_num_threads(count)
        return self._numerics

    def _load(self, ref: ModelRef[Any], key: Key, target: Target, layout: Layout, scratch: int) -> Entry:
        from .components import load, weights_of
        from .quiet import quiet
        from .weights import stored_bytes

        files = [file for part in weights_of(ref.kind, layout) for file in part.weights]
        prefixes = ("",)
        if layout.single and layout.kind == "pipeline":
            prefixes = self.families.require(layout.family or layout.candidates[0]).prefixes(ref.kind)
        size = stored_bytes(files, target.dtype.itemsize, prefixes)
        self._ensure(ref, size, scratch, target.device)

        def attempt() -> Loaded:
            with quiet():
                return load(ref.kind, layout, target, self.families)

        loaded = self._retried(attempt, ref, size, scratch)
        from .lora import Attached

        entry = Entry(key, Value(loaded, Attached(loaded)), loaded.bytes(), state=())
        self._shelf.add(entry)
        log.info("loaded %s of %s: %.0f MB in %s", ref.kind, ref.source.name, entry.bytes / 1e6, target.dtype)
        return entry

    def _retried(self, attempt: Callable[[], T], ref: ModelRef[Any], size: int, scratch: int) -> T:
        """As `retry`; a second failure is a Problem."""
        try:
            return self.retry(attempt)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise self._no_room(ref, size, scratch) from error

    def _ensure(self, ref: ModelRef[Any], size: int, scratch: int, device: torch.device) -> None:
        """Makes room for `size` bytes of weights and `scratch` beside them.

        Raises:
            ProblemError: `out_of_memory`, when there is none even with everything idle let go.
        """
        own = device.type != "cpu"

        def fits() -> bool:
            budget = self._memory.budget(own) - self._shelf.bytes(near=True) >= size
            return budget and self._memory.free(device) >= size + scratch + (SPARE if own else 0)

        if self._shelf.make_room(True, fits, self._put_away if own else self._drop):
            return
        give_back()
        if self._memory.free(device) + self._memory.swap(device) < size + scratch:
            raise self._no_room(ref, size, scratch)

    def _put_away(self, entry: Entry) -> None:
        """From the device to main memory, or out of it where there is no room for it either."""
        import torch

        def fits() -> bool:
            room = self._memory.budget(False) - self._shelf.bytes(near=False)
            return min(room, self._memory.free(torch.device("cpu"))) >= entry.total

        if self._shelf.make_room(False, fits, self._drop):
            entry.value.loaded.move(torch.device("cpu"))
            entry.near = False
        else:
            self._drop(entry)

    def _bring_near(self, entry: Entry, ref: ModelRef[Any], target: Target, scratch: int) -> None:
        if entry.near:
            if scratch:
                self._ensure(ref, 0, scratch, target.device)
            return
        self._ensure(ref, entry.total, scratch, target.device)
        self._retried(lambda: entry.value.loaded.move(target.device), ref, entry.total, scratch)
        entry.near = True

    def _patch(self, entry: Entry, ref: ModelRef[Any], patches: tuple[Patch, ...]) -> None:
        from .quiet import quiet

        attached = entry.value.attached
        for source in {patch.source: None for patch in patches}:
            if source in attached.sources:
                continue
            layout = self._lora(source, ref)
            with quiet():
                attached.attach(source, layout.parts[""].weights[0], self.families.require(ref.family))
            entry.extras[source] = entry.value.loaded.bytes() - entry.total
        self._trim_loras(entry, patches)
        if patches:
            attached.turn_on(patches)
        entry.state = patches

    def _lora(self, source: Source, ref: ModelRef[Any]) -> Layout:
        layout = self._library.layout(source)
        if layout.kind != "lora":
            message = f"{source.name!r} is no LoRA."
            raise ProblemError(Problem(code="wrong_model", message=message, hint="Choose a LoRA.", value=source.name))
        if layout.family and ref.family and layout.family != ref.family:
            raise wrong_family(source.name, layout.family, ref.family)
        return layout

    def _trim_loras(self, entry: Entry, patches: tuple[Patch, ...]) -> None:
        """Lets go of LoRAs that have not been used for long once they weigh more than half of what they lie on."""
        used = {patch.source for patch in patches}
        for source in used:
            entry.extras[source] = entry.extras.pop(source)
        for source in [source for source in entry.extras if source not in used]:
            if sum(entry.extras.values()) * 2 <= entry.bytes:
                break
            entry.value.attached.detach(source)
            del entry.extras[source]

    def _drop(self, entry: Entry) -> None:
        self._shelf.remove(entry)
        entry.value = None

    def _no_room(self, ref: ModelRef[Any], size: int | None, scratch: int) -> ProblemError:
        import torch

        device = torch.device(self._here().device)
        held = sum(entry.total for entry in self._shelf if entry.users)
        return no_room(ref, device.type, (size or 0) + scratch, self._memory.free(device), held)


def wrong_family(name: str, given: str, wanted: str) -> ProblemError:
    message = f"{name!r} was made for {given}, and the model is of the family {wanted}."
    return ProblemError(
        Problem(code="wrong_family", message=message, hint=f"Choose one that was made for {wanted}.", value=name)
    )
