"""Node packs: installed distributions that name a package under the entry point group `safelight.nodes`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from .codec import Codec
from .models import ModelRef
from .node import NodeType, node_type
from .sources import PackSources, public_sources
from .values import File

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "safelight.nodes"
BUILT_IN = "safelight"


class PackState(msgspec.Struct, frozen=True, kw_only=True):
    """A pack as the catalogue lists it. `reason` and `remedy` are filled in where a module of it did not load."""

    name: str
    version: str = ""
    modules: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


class Catalogue(Mapping[str, NodeType]):
    """All node types by id, and the state of the packs they came from. Read-only once made."""

    def __init__(self, types: Iterable[NodeType], classes: Iterable[type[Any]] = (), packs: Iterable[PackState] = ()):
        self._types = {found.spec.id: found for found in types}
        self.packs = tuple(packs)
        own = [value_classes(sys.modules[cls.__module__]) for cls in (File, ModelRef)]
        self.codec = Codec([*own[0], *own[1], *classes])

    def __getitem__(self, key: str) -> NodeType:
        return self._types[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def kind_of(self, function: Any) -> NodeType | None:
        """The node type of a function that a pack brings; None for a function of no pack."""
        return next((kind for kind in self._types.values() if kind.function is function), None)

    @classmethod
    def of(cls, *functions: Any) -> Catalogue:
        """A catalogue of these marked functions, for tests and for graphs built in Python."""
        found = [node_type(function) for function in functions]
        missing = [function for function, kind in zip(functions, found, strict=True) if kind is None]
        if missing:
            raise TypeError(f"{missing[0]!r} is not marked with @node.")
        return cls([kind for kind in found if kind is not None])


def value_classes(module: ModuleType) -> list[type[Any]]:
    """The classes marked @value that a module defines."""
    return [
        item
        for item in vars(module).values()
        if isinstance(item, type) and "__value_name__" in vars(item) and item.__module__ == module.__name__
    ]


def load_packs(points: Iterable[EntryPoint] | None = None) -> Catalogue:
    """Imports every installed pack. One that fails stays listed, with the reason and the command that mends it."""
    from importlib.metadata import entry_points

    found: dict[str, NodeType] = {}
    classes: list[type[Any]] = []
    states: list[PackState] = []
    taken: dict[str, str] = {}
    public = public_sources()
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=_order):
        reasons: list[tuple[str, str]] = []
        modules = [] if _shadowed(point, taken, reasons) else list(_modules(point, reasons))
        version = point.dist.version if point.dist else ""
        sources = PackSources(modules[0], version, public) if modules else None
        for module in modules:
            classes += value_classes(module)
            for kind in nodes_of(module, point.name, sources):
                found.setdefault(kind.spec.id, kind)
        states.append(
            PackState(
                name=point.name,
                version=version,
                modules=tuple(module.__name__ for module in modules),
                reason=" ".join(reason for reason, _ in reasons),
                remedy=" ".join(remedy for _, remedy in reasons),
            )
        )
    return Catalogue(found.values(), classes, states)


def _shadowed(point: EntryPoint, taken: dict[str, str], reasons: list[tuple[str, str]]) -> bool:
    """Whether a pack of this name has been loaded already: two of one name would answer for each other's nodes."""
    here = f"{point.dist.name} ({point.value})" if point.dist else point.value
    other = taken.setdefault(point.name, here)
    if other == here:
        return False
    reasons.append((f"The name {point.name!r} is taken by {other}; {here} is left out.", "Uninstall one of the two."))
    return True


def nodes_of(module: ModuleType, pack: str = BUILT_IN, sources: PackSources | None = None) -> list[NodeType]:
    """The nodes that a module defines, in the order of the file. Ids of other packs start with the pack's name."""
    found: list[NodeType] = []
    for item in vars(module).values():
        kind = node_type(item)
        if kind is None or item.__module__ != module.__name__:
            continue
        if sources is not None:
            models = any(port.innermost.name == "ModelRef" for port in kind.inputs.values())
            kind = replace(kind, source=sources.of(module.__name__, models))
        if pack != BUILT_IN:
            spec = msgspec.structs.replace(kind.spec, id=f"{pack}/{kind.spec.id}", pack=pack)
            kind = replace(kind, spec=spec)
        found.append(kind)
    return found


def _order(point: EntryPoint) -> tuple[bool, str]:
    return point.name != BUILT_IN, point.name


def _modules(point: EntryPoint, reasons: list[tuple[str, str]]) -> Iterator[ModuleType]:
    try:
        package = importlib.import_module(point.value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a pack is foreign code: whatever it raises must not take the rest down
        reasons.append(_reason(point.value, error))
        return
    yield package
    for info in pkgutil.iter_modules(getattr(package, "__path__", ()), package.__name__ + "."):
        if info.ispkg or info.name.rsplit(".", 1)[-1].startswith("_"):
            continue
        try:
            yield importlib.import_module(info.name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as above
            reasons.append(_reason(info.name, error))


def _reason(name: str, error: BaseException) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{name} needs the package {error.name}.", f"pip install {error.name.split('.')[0]}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    if isinstance(error, SystemExit):
        said = "it called exit()"
    else:
        try:
            said = str(error) or type(error).__name__
        except Exception:  # its words are foreign code, too
            said = type(error).__name__
    return (
        f"{name} failed to import: {said} ({last.filename}:{last.lineno}).",
        "Ask the authors of the pack.",
    )
