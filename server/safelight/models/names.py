"""Which path a model's name means: in the model folders, in added trees, or on a command line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from safelight.disk import is_below
from safelight.sdk.problem import Problem, ProblemError

from .hub import exists
from .image_encoders import PLACES
from .trees import Mount, Trees


class Names:
    """Over our own folders and the trees. `others` are further roots that files may lie in: the starter, the cache."""

    def __init__(self, folders: tuple[Path, ...], trees: Trees | None, others: tuple[Path, ...]) -> None:
        self._folders = folders
        self._trees = trees
        self._others = others
        self._added: dict[str, Path] = {}

    def add(self, path: Path) -> str:
        """Lets a file or folder outside the model folders be named as long as this lives; returns the name.

        It is for what a user names on a command line: a workflow cannot add anything. The name is that of the file,
        with as many of the folders above it as tell it from others, so that a workflow saved with it is found again
        once the file lies in a model folder.
        """
        # A link keeps its own name: the hub's cache names what it points to by digest.
        path = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
        for mount in self.mounts():
            real = mount.folder.resolve()
            if path.is_relative_to(real) and path != real:
                return self._name(mount, mount.folder / path.relative_to(real))
        for length in range(1, len(path.parts)):
            name = "/".join(path.parts[-length:])
            if name != "starter" and self._added.setdefault(name, path) == path:
                return name
        return path.as_posix()

    @property
    def added(self) -> tuple[Path, ...]:
        """What `add` has been given a name of its own for, in that order."""
        return tuple(self._added.values())

    def mounts(self) -> list[Mount]:
        """Where models are looked for, in this order."""
        own = [Mount("", folder) for folder in self._folders]
        return own + (self._trees.mounts() if self._trees is not None else [])

    def encoders(self) -> list[Path]:
        """Where image encoders lie, apart from those beside adapters."""
        return [
            path
            for mount in self.mounts()
            for place in PLACES
            for path in ([mount.folder] if mount.prefix.startswith(f"{place}/") else [mount.path(place)])
            if path is not None and exists(path)
        ]

    def path(self, name: str) -> tuple[Path, str] | None:
        """The path that a name means, of what was added or below the model folders, and the name relative to there."""
        for known, path in self._added.items():
            if name == known or name.startswith(f"{known}/"):
                inside = path / name.removeprefix(known).lstrip("/")
                if exists(inside) and self.inside(inside):
                    return inside, name
        mounts = self.mounts()
        if Path(name).is_absolute():
            mount = next((mount for mount in mounts if Path(name).is_relative_to(mount.folder)), None)
            if mount is None:
                raise self._outside(name, Path(name))
            meant = self._below([mount], mount.name(Path(name)))
        else:
            tree, colon, rest = name.partition(":")
            meant = self._below(mounts, name)
            if meant is None and tree and colon:
                meant = self._below([mount for mount in mounts if mount.tree == tree], rest)
        return (meant[1], self._name(*meant)) if meant is not None else None

    def _below(self, mounts: Iterable[Mount], name: str) -> tuple[Mount, Path] | None:
        """The first of the mounts that has something of this name, and its path."""
        for mount in mounts:
            path = mount.path(name)
            if path is None or not exists(path) or (path == mount.folder and not mount.prefix):
                continue
            if not self.inside(path):
                raise self._outside(name, path.resolve())
            return mount, path
        return None

    def _name(self, mount: Mount, path: Path) -> str:
        """The shortest name of a path that leads to it: a plain one may mean what an earlier mount has."""
        plain, mounts = mount.name(path), self.mounts()
        own = [one for one in mounts if one.tree == mount.tree]
        for name, among in ((plain, mounts), (f"{mount.tree}:{plain}", own if mount.tree else [])):
            there = (found for one in among if (found := one.path(plain)) is not None and exists(found))
            if next(there, None) == path:
                return name
        return path.as_posix()

    def _outside(self, name: str, real: Path) -> ProblemError:
        message = (
            f"{name!r} leads out of the model folders ({os.pathsep.join(str(folder) for folder in self._folders)})."
        )
        hint = f"Move it there, or add its folder: `safelight models add {real.parent}`, or SAFELIGHT_MODELS."
        return ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))

    def inside(self, path: Path) -> bool:
        # What belongs to a file, such as an image encoder, lies beside it.
        beside = [path if path.is_dir() else path.parent for path in self._added.values()]
        roots = (*self._folders, *self._others, *self._added.values(), *beside)
        return is_below(path, *roots, *(self._trees.roots() if self._trees is not None else ()))
