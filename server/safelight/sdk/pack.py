"""Node packs: installed distributions that name a package under the entry point group `safelight.nodes`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from .codec import Codec
from .installed import installed
from .models import ModelRef
from .node import BUILT_IN, NodeType, category_of, node_type, place_of
from .search import found_by, suggestion
from .sources import PackSources, public_sources
from .values import File

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "safelight.nodes"
ASK_AUTHORS = "Ask the authors of the pack."


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
        self._former = {old: found for found in self._types.values() for old in found.aliases if old not in self._types}
        self.packs = tuple(packs)
        own = [value_classes(sys.modules[cls.__module__]) for cls in (File, ModelRef)]
        self.codec = Codec([*own[0], *own[1], *classes])

    def __getitem__(self, key: str) -> NodeType:
        return self._types[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def former(self, old: str) -> NodeType | None:
        """The node type that once had this id. Ids that a node has now are none of these."""
        return self._former.get(old)

    def suggest(self, word: str) -> str:
        """A sentence that proposes nodes for an id that none has, or the empty string when nothing is close."""
        return suggestion(self.values(), word)

    def search(self, words: str) -> list[NodeType]:
        """The nodes that match all words by id, title, tag, former id or help; the best first."""
        return found_by(self.values(), words)

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
    found: dict[str, NodeType] = {}
    classes: list[type[Any]] = []
    owners: dict[str, type[Any]] = {}
    states: list[PackState] = []
    taken: dict[str, str] = {}
    public = public_sources()
    for point in sorted(installed(GROUP) if points is None else points, key=_order):
        reasons: list[tuple[str, str]] = []
        modules = [] if _shadowed(point, taken, reasons) else list(import_pack(point, reasons))
        version = point.dist.version if point.dist else ""
        sources = PackSources(modules[0], version, public) if modules else None
        own: dict[str, list[NodeType]] = {}
        for module in modules:
            classes += _distinct_values(value_classes(module), owners, reasons)
            for kind in nodes_of(module, point.name, sources, modules[0].__name__):
                own.setdefault(kind.spec.id, []).append(kind)
        found |= _distinct(own, reasons)
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


def installed_packs() -> dict[str, EntryPoint]:
    """The entry points of the installed packs by name; found without importing them."""
    return {point.name: point for point in installed(GROUP)}


def pack_packages() -> dict[str, list[Path]]:
    """The outermost packages that packs live in, and where their files are; found without importing them."""
    from importlib.util import find_spec

    found: dict[str, list[Path]] = {}
    for point in installed_packs().values():
        package = point.value.partition(".")[0]
        try:
            spec = find_spec(package)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
            found[package] = [Path(place) for place in places if place]
    return found


def forget(packages: Iterable[str]) -> None:
    """Has the next import of these packages run their files again. Objects made before live on as they are."""
    for package in packages:
        for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
            del sys.modules[name]
    importlib.invalidate_caches()


def _shadowed(point: EntryPoint, taken: dict[str, str], reasons: list[tuple[str, str]]) -> bool:
    """Whether a pack of this name has been loaded already: two of one name would answer for each other's nodes."""
    here = f"{point.dist.name} ({point.value})" if point.dist else point.value
    other = taken.setdefault(point.name, here)
    if other == here:
        return False
    reasons.append((f"The name {point.name!r} is taken by {other}; {here} is left out.", "Uninstall one of the two."))
    return True


def _distinct(own: dict[str, list[NodeType]], reasons: list[tuple[str, str]]) -> dict[str, NodeType]:
    """The nodes of a pack by id, without those whose id is not theirs alone: a document would mean either."""
    former: dict[str, list[NodeType]] = {}
    for kinds in own.values():
        for old in kinds[0].aliases:
            former.setdefault(old, []).append(kinds[0])
    good: dict[str, NodeType] = {}
    for name, kinds in own.items():
        if len(kinds) > 1:
            places = " and ".join(place_of(kind.function) for kind in kinds)
            reasons.append((f"Nodes share the id {name!r}, so none of them is there: {places}.", "Rename all but one."))
        elif name in former:
            owner, taker = place_of(former[name][0].function), place_of(kinds[0].function)
            why = f"The id {name!r} belongs to old documents of {owner}, so the node of {taker} is left out."
            reasons.append((why, "Give it another name."))
        else:
            good[name] = kinds[0]
    for old, kinds in former.items():
        if len(kinds) > 1:
            places = " and ".join(place_of(kind.function) for kind in kinds)
            reasons.append((f"Nodes share the former id {old!r}: {places}.", "Leave it to one of them."))
            for kind in kinds:
                if kind.spec.id in good:
                    kept = {name: last for name, last in good[kind.spec.id].aliases.items() if name != old}
                    good[kind.spec.id] = good[kind.spec.id].with_aliases(kept)
    return good


def _distinct_values(
    classes: list[type[Any]], owners: dict[str, type[Any]], reasons: list[tuple[str, str]]
) -> list[type[Any]]:
    """The classes of a module without those that share a name, also a former one, with a class before them.

    Values are kept under that name: what one module writes would be read as the class of the other. `owners` holds the
    class of each name so far.
    """
    good: list[type[Any]] = []
    for cls in classes:
        names = (vars(cls)["__value_name__"], *vars(cls)["__value_aliases__"])
        taken = {name: other for name in names if (other := owners.setdefault(name, cls)) is not cls}
        if not taken:
            good.append(cls)
        for name, other in taken.items():
            here, there = (f"{one.__module__}.{one.__qualname__}" for one in (cls, other))
            why = f"Classes marked @value share the name {name!r}, so values of {here} cannot be kept: it is {there}."
            reasons.append((why, "Rename one of the two, or use one for both."))
    return good


def nodes_of(
    module: ModuleType, pack: str = BUILT_IN, sources: PackSources | None = None, root: str = ""
) -> list[NodeType]:
    """The nodes that a module defines, in the order of the file. Ids of other packs start with the pack's name.

    `root` is the package that holds the whole pack; see `category_of`.
    """
    found: list[NodeType] = []
    for item in vars(module).values():
        kind = node_type(item)
        if kind is None or item.__module__ != module.__name__:
            continue
        if sources is not None:
            models = any(port.innermost.name == "ModelRef" for port in kind.inputs.values())
            kind = replace(kind, source=sources.of(module.__name__, models))
        found.append(kind.placed(category_of(module.__name__, root), pack))
    return found


def _order(point: EntryPoint) -> tuple[bool, str]:
    return point.name != BUILT_IN, point.name


def import_pack(point: EntryPoint, reasons: list[tuple[str, str]]) -> Iterator[ModuleType]:
    """Imports a pack's package, and all modules and packages below it but those whose name begins with `_`.

    Gives each as soon as it is imported; adds to `reasons`, with the remedy, why one could not be.
    """
    todo = [point.value]
    while todo:
        name = todo.pop(0)
        try:
            module = importlib.import_module(name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a pack is foreign code: whatever it raises must not take the rest down
            reasons.append(_reason(name, error))
            continue
        yield module
        below = pkgutil.iter_modules(getattr(module, "__path__", ()), name + ".")
        todo += [info.name for info in below if not info.name.rpartition(".")[2].startswith("_")]


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen ") or Path(file).parent == Path(__file__).parent


def _reason(name: str, error: BaseException) -> tuple[str, str]:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{name} needs the package {error.name}.", f"pip install {error.name.split('.')[0]}"
    if isinstance(error, SyntaxError) and error.filename:  # the traceback ends in the machinery of imports
        place, line = error.filename, error.lineno
    else:  # the line to mend is not in what was called to refuse it
        frames = traceback.extract_tb(error.__traceback__)
        last = next((frame for frame in reversed(frames) if not _is_ours(frame.filename)), frames[-1])
        place, line = last.filename, last.lineno
    if isinstance(error, SystemExit):
        said = "it called exit()"
    else:
        try:
            said = (error.msg if isinstance(error, SyntaxError) else str(error)) or type(error).__name__
        except Exception:  # its words are foreign code, too
            said = type(error).__name__
    return (
        f"{name} failed to import: {said.rstrip('.')} ({place}:{line}).",
        ASK_AUTHORS,
    )
