"""The code behind a node as a digest, so that a result is never older than the code that would make it today.

A node runs the module it stands in and what that imports of its own pack, directly or not, at the top or inside
functions: the closure. Its source takes part in the keys of the cache, and so does the version of the pack. Nodes of
other files keep their results when one file of a pack is edited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from .codec import hash_bytes, hash_text
from .installed import installed

_GAP = rb"(?:[ \t]|\\\r?\n)+"
_REST = rb"(?:\\\r?\n|[^\n#;])+"
_IMPORT = re.compile(
    rb"(?:^|[:;])[ \t]*(?:from" + _GAP + rb"(\.*[\w.]*)" + _GAP + rb"import[ \t]*(\([^)]*\)|" + _REST + rb")"
    rb"|import" + _GAP + rb"(" + _REST + rb"))",
    re.MULTILINE,
)
_NAME = re.compile(r"[\w.]+")
_DYNAMIC = re.compile(rb"\b(importlib|__import__|pkgutil|runpy|__file__|__path__|get_data)\b")
_DATA = "(data)"
_OWN = __name__.partition(".")[0]
_FAMILIES = ("safelight.families.", "safelight.diffusion.")
_GROUPS = ("safelight.families", "safelight.samplers", "safelight.schedulers")


class PackSources:
    """The source of all modules of a pack, as it was when the pack was loaded.

    What Safelight does for nodes in modules of its own, such as reading images, belongs to whoever imports it.
    """

    def __init__(self, package: ModuleType, version: str = "", public: Mapping[str, bytes] | None = None) -> None:
        """`public` has the sources of Safelight's own modules by name; see `public_sources`."""
        self._version = version
        self._texts = {**(public or {}), **sources_of(package)}
        self._folders = [Path(place) for place in getattr(package, "__path__", ())]
        self._imports: dict[str, frozenset[str]] = {}
        self._digests: dict[tuple[str, bool], str] = {}

    def of(self, module: str, models: bool = False) -> Callable[[], str]:
        """Gives the digest of a module's closure, and of the pack's version, when it is first asked for.

        A node that takes `models` runs what their families bring, which it imports nowhere.
        """
        return lambda: self._digest(module, models)

    def closure(self, module: str) -> frozenset[str]:
        """The modules of the pack that a module needs, itself among them."""
        found, todo = {module}, [module]
        while todo:
            at = todo.pop()
            if at not in self._imports:
                self._imports[at] = frozenset(self._imported(at))
            new = self._imports[at] - found
            found |= new
            todo += new
        return frozenset(found)

    def _digest(self, module: str, models: bool) -> str:
        if (module, models) not in self._digests:
            closure = self.closure(module)
            if models:
                closure |= {name for name in self._texts if name.startswith(_FAMILIES)}
            parts = [f"{name}={hash_bytes(self._texts.get(name, b''))}" for name in sorted(closure - {_DATA})]
            if _DATA in closure:
                parts += [f"{path}={look}" for folder in self._folders for path, look in _data(folder)]
            self._digests[module, models] = hash_text("\n".join([self._version, *parts]))
        return self._digests[module, models]

    def _imported(self, module: str) -> Iterator[str]:
        """The modules that a module imports, anywhere in it, and the packages that run when these are imported.

        Found by pattern, which is ten times as fast as parsing; what looks like an import in a text counts as one.
        """
        text = self._texts.get(module, b"")
        package = module if f"{module}.__init__" in self._texts else module.rpartition(".")[0]
        yield from self._known([module])
        for match in _IMPORT.finditer(text):
            origin, names, plain = (part.decode(errors="replace") if part else "" for part in match.groups())
            if plain:
                yield from self._known(_NAME.findall(plain))
                continue
            dots = len(origin) - len(origin.lstrip("."))
            parents = package.split(".") if dots else []
            base = ".".join([*parents[: len(parents) - dots + 1], *filter(None, [origin.lstrip(".")])])
            yield from self._known([base, *(f"{base}.{name}" for name in _NAME.findall(names))])
        if _DYNAMIC.search(text):
            # It finds modules or files by name: any of the pack, or of the room of Safelight, may be among them.
            room = _room(module)
            yield from (name for name in self._texts if _room(name) == room)
            yield _DATA

    def _known(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            parts = name.split(".")
            yield from (
                above for count in range(1, len(parts) + 1) if (above := ".".join(parts[:count])) in self._texts
            )


def _room(module: str) -> list[str]:
    parts = module.split(".")
    return parts[: 2 if parts[0] == _OWN else 1]


def sources_of(package: ModuleType) -> dict[str, bytes]:
    """The source of each module below a package by its name; a package itself stands under its own name."""
    folders = [Path(place) for place in getattr(package, "__path__", ())]
    if package.__file__ and not folders:
        return {package.__name__: _read(Path(package.__file__))}
    return sources_in(package.__name__, folders)


def sources_in(package: str, folders: Iterable[Path]) -> dict[str, bytes]:
    """As `sources_of`, for a package of this name in these folders, which need not be imported."""
    return dict(_texts(package, folders))


def public_sources() -> dict[str, bytes]:
    """The sources that packs may import of Safelight itself: the SDK, and how diffusion models are run.

    The names that nodes import from one of them as a whole are its public face, which changes with its version only.
    """
    top = Path(__file__).parent.parent
    found: dict[str, bytes] = {}
    for part in ("sdk", "diffusion", "families"):
        found |= sources_in(f"{_OWN}.{part}", [top / part])
        found.pop(f"{_OWN}.{part}", None)
    for root in {point.module.partition(".")[0] for group in _GROUPS for point in installed(group)}:
        # What packs bring counts as a part of the families, whatever it is called.
        spec = find_spec(root)
        places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
        found |= {f"{_FAMILIES[0]}{name}": text for name, text in sources_in(root, places).items()}
        if spec and spec.origin and not places:
            found[f"{_FAMILIES[0]}{root}"] = _read(Path(spec.origin))
    return found


def _texts(package: str, folders: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            if parts[-1] == "__init__":
                yield ".".join(parts), b""
                parts.pop()
            yield ".".join(parts), _read(path)


def _data(folder: Path) -> Iterator[tuple[str, str]]:
    """The files of a pack that are no modules, and how each of them looks."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".pyc") or not path.is_file():
            continue
        found = path.stat()
        yield path.relative_to(folder).as_posix(), f"{found.st_size} {found.st_mtime_ns}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def code_of(function: Callable[..., Any]) -> str:
    """The digest of a function that belongs to no installed pack: of its own code, and of the functions inside it."""
    parts: list[str] = []
    todo = [getattr(function, "__code__", None)]
    while todo:
        code = todo.pop()
        if code is None:
            continue
        inner = [item for item in code.co_consts if hasattr(item, "co_code")]
        plain = [
            repr(sorted(map(repr, item)) if isinstance(item, frozenset) else item)
            for item in code.co_consts
            if not hasattr(item, "co_code")
        ]
        parts += [code.co_code.hex(), *plain, *code.co_names, *code.co_varnames]
        todo += inner
    return hash_text("\n".join(parts))
