"""The model store: the only place that turns recipes into something that computes."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import msgspec

from safelight.diffusion.edges import set_edges
from safelight.environment import Environment
from safelight.families import Families, load_families
from safelight.graph.plan import Ask
from safelight.protocol.graph import PlannedMemory
from safelight.sdk.context import Context, T
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.models import ModelRef, Patch, Source
from safelight.sdk.problem import Problem, ProblemError
from safelight.sdk.team import ALONE, Team

from .compiling import compile_blocks
from .entries import ModelEntry
from .hardware import Numerics, attend_by, numerics, thread_count
from .held import Held, Key, LoadedModel, Value, described
from .hub import Progress
from .index import Index
from .layout import Layout, read_json
from .library import Library
from .making import created
from .manager import Manager
from .memory import Memory, device_budget, give_back, memory_way
from .offloading import PACKED, no_float8, no_int8, pack, pack_int8
from .room import Room
from .shelf import Entry, Shelf
from .trees import Trees

if TYPE_CHECKING:
    import torch

    from .components import Loaded
    from .lora import Attached
    from .weights import Target

log = logging.getLogger(__name__)
_PLAIN = ((), None, "", None)
"""The state of what nobody holds: its LoRAs, how it is run, which of its edges meet, and what moves it."""


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
        fetch: puts a model of this name into a folder of models, and says whether it could: asked for what is not here.
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
        fetch: Callable[[str, Path], bool] | None = None,
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
            fetch=fetch,
        )
        self.families = self._library.families
        self.manager = Manager(
            self._library,
            may_download=allow_download,
            offline=self._environment.offline,
            allow_pickle=self._environment.allow_pickle,
        )
        self._memory = memory or Memory(device_budget=device_budget(self._environment))
        self._lock = threading.RLock()
        self._shelf = Shelf()
        self._numerics = here
        self._room = Room(self._shelf, self._memory, self._here, memory_way(self._environment), self._lock)

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
                    self._room.drop(entry)
            give_back()

    def device(self) -> tuple[torch.device, torch.dtype]:
        import torch

        here = self._here()
        return torch.device(here.device), cast("torch.dtype", getattr(torch, here.precision))

    def spread(self, work: Callable[[Context, Team], T], ctx: Context, count: int) -> T:
        from .teams import Place, spread

        if count == 1:
            return work(ctx, ALONE)
        self.clear()  # what lies on the card here would lie beside what the first process loads
        return spread(work, ctx, count, Place(self._home, self._here(), self._library.names.added))

    def create(self, name: str) -> AbstractContextManager[Path]:
        return created(self._library.folders[0], name)

    def needs(self, asks: Mapping[str, Ask]) -> dict[str, PlannedMemory]:
        """What nodes need in memory, for a plan; see `Needs`. Loads nothing, and imports no torch."""
        from .needs import Needs

        here = self._numerics or numerics(self._home, self._environment)
        return Needs(self._library, self._memory, here)(asks)

    @contextmanager
    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> Iterator[Held]:
        """Loads what the recipe says and keeps it in memory for the block; `scratch` bytes are kept free beside it.

        Leases of one recipe share its component. A recipe whose component is in use with other patches gets a copy of
        its own, so that no lease sees another's LoRA.

        Raises:
            ProblemError: the files are not there or do not fit, or (`out_of_memory`) there is no room.
        """
        from .components import leased

        room = self._room
        room.scratches.append(scratch)
        entry: Entry | None = None
        try:
            with self._lock:
                entry = self._take(ref, max(room.scratches))
                room.held.append(entry)
            value: Loaded = entry.value.loaded
            attached: Attached = entry.value.attached
            settings = {**value.settings, "warnings": attached.warnings(entry.state[0])}
            if _ranged(entry.state[0]):
                settings["switch"] = attached.at
            if attached.widens:
                settings |= {"widens": attached.widens, "wider": attached.wider}
            component = leased(ref, value, self.families, settings)
            held = Held(component, value.device, value.dtype, MappingProxyType(settings))
            yield held
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise room.lacking(ref, None, scratch) from error
        finally:
            room.scratches.remove(scratch)
            if entry is not None:
                room.held.remove(entry)
                self._give_up(entry, ref)

    def _give_up(self, entry: Entry, ref: ModelRef[Any]) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users:
                return
            if entry.state[0]:
                entry.value.attached.turn_off()
            if entry.state[2]:
                set_edges(entry.value.loaded.modules.values(), "")
            entry.state = _PLAIN
            if entry.near and self._room.way(ref.running) == "swap":
                self._room.put_away(entry)

    def retry(self, attempt: Callable[[], T], tell: Callable[[Problem], None] = lambda _: None) -> T:
        return self._room.retry(attempt, tell)

    def _take(self, ref: ModelRef[Any], scratch: int) -> Entry:
        patches = tuple(patch for patch in ref.patches if patch.weight)
        target, layout = self._target(ref)
        # The same files are other modules to another family only where it says how they are put together.
        family = ref.family if ref.kind == "TextEncoder" else ""
        key = Key(ref.kind, ref.source, ref.beside, family, str(target.dtype), ref.running.storage)
        state = (patches, ref.running, ref.wraps, ref.motion)
        idle = [entry for entry in self._shelf.of(key) if not entry.users]
        shared = [entry for entry in self._shelf.of(key) if entry.users and entry.state == state]
        if _ranged(patches) or ref.motion is not None:
            # What is on changes from step to step, or is for the frames of one run: only that may look.
            shared = [entry for entry in shared if entry.thread == threading.get_ident()]
        entry = (shared or idle or [None])[0]
        if entry is None:
            entry = self._load(ref, key, target, layout or self._layout(ref), scratch)
        # Held from here on, so that making room for its LoRAs does not take it away.
        entry.users += 1
        try:
            self._room.bring_near(entry, ref, scratch)
            if not shared:
                entry.thread = threading.get_ident()
                self._patch(entry, ref, patches)
                if ref.wraps:
                    # After its LoRAs, whose convolutions are among them.
                    set_edges(entry.value.loaded.modules.values(), ref.wraps)
                entry.state = state
        except BaseException:
            entry.users -= 1
            if not entry.users:
                self._room.drop(entry)
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
            if ref.kind in ("Upscaler", "GAN") and precision == "bfloat16":
                precision = here.kind.images
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
        return Target(dtype, device, channels_last=here.kind.channels_last and dtype != torch.float32), layout

    def _layout(self, ref: ModelRef[Any]) -> Layout:
        """The files of a recipe: text encoders in files of their own are one layout, and so are two denoisers."""
        first, *others = (self._library.layout(source) for source in (ref.source, *ref.beside))
        if first.kind == "unet" and others:
            parts = {**first.parts, **{f"transformer_{place + 2}": one.parts[""] for place, one in enumerate(others)}}
            return msgspec.structs.replace(first, parts=parts)
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
            if self._numerics.attention:
                attend_by(self._numerics.attention)
        return self._numerics

    def _load(self, ref: ModelRef[Any], key: Key, target: Target, layout: Layout, scratch: int) -> Entry:
        from .components import load
        from .lora import Attached
        from .needs import weight_bytes
        from .quiet import quiet
        from .weights import Target

        room = self._room
        size = weight_bytes(ref.kind, layout, target.dtype.itemsize, self.families)
        storage = ref.running.storage if ref.kind in PACKED else "full"
        packed = storage != "full"
        if storage == "float8" and not self._here().kind.float8:
            raise no_float8(target.device.type)
        if storage == "int8" and importlib.util.find_spec("torchao") is None:
            raise no_int8()
        # What comes to the device in pieces never lies on it whole, and what is packed not before it is.
        aside = room.may_offload(ref) and (packed or not room.fits_whole(ref, size, scratch))
        if aside:
            room.make_main_room(size)
        else:
            room.ensure(ref, size, scratch)
        placed = Target(target.dtype, room.main if aside else target.device, target.channels_last)

        def attempt() -> Loaded:
            with quiet():
                return load(ref.kind, layout, placed, self.families)

        loaded = room.retried(attempt, ref, size, scratch)
        loaded.device, loaded.main = target.device, room.main
        if storage == "float8":
            pack(loaded.modules.values(), target.dtype)
        elif storage == "int8":
            pack_int8(loaded.modules.values())
        loaded.packed = packed
        if self._here().compiles and ref.kind == "Denoiser":
            compile_blocks(loaded.modules.values())
        entry = Entry(key, Value(loaded, Attached(loaded)), loaded.bytes(), near=not aside, state=_PLAIN)
        self._shelf.add(entry)
        log.info("loaded %s of %s: %.0f MB in %s", ref.kind, ref.source.name, entry.bytes / 1e6, target.dtype)
        return entry

    def _patch(self, entry: Entry, ref: ModelRef[Any], patches: tuple[Patch, ...]) -> None:
        from .quiet import quiet

        attached: Attached = entry.value.attached
        new = [source for source in {patch.source: None for patch in patches} if source not in attached.sources]

        def attach() -> None:
            for source in new:
                layout = self._lora(source, ref)
                with quiet():
                    attached.attach(source, layout.parts[""].weights[0], self.families.require(ref.family))
                entry.extras[source] = entry.value.loaded.bytes() - entry.total
            self._trim_loras(entry, patches)

        if new:
            self._room.change(entry, attach)
        if patches:
            attached.turn_on(patches)

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


def _ranged(patches: Sequence[Patch]) -> bool:
    return any(patch.ranged for patch in patches)


def wrong_family(name: str, given: str, wanted: str) -> ProblemError:
    message = f"{name!r} was made for {given}, and the model is of the family {wanted}."
    return ProblemError(
        Problem(code="wrong_family", message=message, hint=f"Choose one that was made for {wanted}.", value=name)
    )
