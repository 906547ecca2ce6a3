"""Models below a folder, and what lies beside them: previews and notes. Only names are looked at, no file is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from safelight.sdk.unicode import named

from .headers import SAFETENSORS
from .onnx_files import ONNX
from .pickles import PICKLES
from .trees import Mount

INDEXES = ("model_index.json", "modular_model_index.json")
"""The files that name the parts of a model: that of a pipeline of diffusers, and that of modular blocks."""
_DEPTH = 6
WEIGHTS = (SAFETENSORS, ".sft", ".gguf", ONNX, *PICKLES)
_PREVIEWS = tuple(f"{preview}{ending}" for preview in (".preview", "") for ending in (".png", ".jpg", ".jpeg", ".webp"))
_NOTES = (".civitai.info", ".json", ".metadata.json", ".cm-info.json")
_IN_FOLDER = ("preview.png", "preview.jpg", "preview.webp")


def index_file(root: Path) -> Path | None:
    """The file of a folder that names the parts of a model; None for a folder without one."""
    return next((path for path in (root / name for name in INDEXES) if path.is_file()), None)


class Found(NamedTuple):
    """A file or folder that may be a model. `preview` is an image of what it makes, `notes` are files about it."""

    name: str
    place: Literal["starter", "hub", "folder", "file"]
    path: Path
    preview: Path | None = None
    notes: tuple[Path, ...] = ()
    tree: str = ""

    def stamp(self) -> str:
        """Another text when any of its files is another one: sizes and times, no file is read.

        Raises:
            OSError: it is gone, or may not be read.
        """
        files = [self.path, *(path for path in (self.preview, *self.notes) if path is not None)]
        if self.path.is_dir():
            files += sorted(Path(top) / name for top, _, names in os.walk(self.path) for name in names)
        return " ".join(f"{found.st_size}.{found.st_mtime_ns}" for found in (file.stat() for file in files))


def models_of(mounts: Sequence[Mount]) -> Iterator[Found]:
    """Every model of the mounts under a name of its own: the plain one goes to the first, as it does when it is looked
    up; others of that name are called by their tree, and where that does not tell them apart, by their path."""
    taken: set[str] = set()
    seen: set[str] = set()
    for mount in mounts:
        for found in _models_in(mount):
            real = os.path.realpath(found.path)
            if real in seen and mount.tree:  # the same file, by another way into it
                continue
            seen.add(real)
            names = (found.name, f"{mount.tree}:{found.name}", found.path.as_posix())
            name = next((one for one in names if one not in taken and not one.startswith(":")), found.path.as_posix())
            taken.add(name)
            yield found._replace(name=name, tree=mount.tree)


def _models_in(mount: Mount) -> Iterator[Found]:
    if mount.folder.is_file():
        yield _file(mount.prefix, mount.folder, {mount.folder.name})
    elif _is_model(mount.folder, mount.prefix):
        yield _folder(mount.prefix, mount.folder)
    else:
        yield from _below(mount, mount.folder, 0, frozenset())


def _below(mount: Mount, folder: Path, depth: int, above: frozenset[tuple[int, int]]) -> Iterator[Found]:
    """Models of a folder and of the folders in it, which people sort them into. What cannot be read has none."""
    try:
        here = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    this = (here.st_dev, here.st_ino)
    if depth > _DEPTH or this in above:  # a link to a folder above leads round for ever
        return
    names = {entry.name for entry in entries}
    for entry in entries:
        if entry.name.startswith(".") or not named(entry.name, str(folder)):
            continue
        path = folder / entry.name
        try:
            is_folder = entry.is_dir()
            is_file = not is_folder and entry.is_file()
        except OSError:
            continue
        if is_file and entry.name.lower().endswith(WEIGHTS):
            yield _file(mount.name(path), path, names)
        elif is_folder and _is_model(path, "here"):
            yield _folder(mount.name(path), path)
        elif is_folder:
            yield from _below(mount, path, depth + 1, above | {this})


def _is_model(folder: Path, prefix: str) -> bool:
    """Whether a folder is a model rather than holds some; the top of our own folders never is."""
    return bool(prefix) and (index_file(folder) is not None or (folder / "config.json").is_file())


def _file(name: str, path: Path, names: set[str]) -> Found:
    stem = path.name[: -len(path.suffix)]
    preview = next((path.parent / f"{stem}{end}" for end in _PREVIEWS if f"{stem}{end}" in names), None)
    notes = tuple(path.parent / f"{stem}{end}" for end in _NOTES if f"{stem}{end}" in names)
    return Found(name, "file", path, preview, notes)


def _folder(name: str, path: Path) -> Found:
    preview = next((path / one for one in _IN_FOLDER if (path / one).is_file()), None)
    notes = tuple(note for note in (path / "README.md",) if note.is_file())
    return Found(name, "folder", path, preview, notes)


def found_at(name: str, place: Literal["starter", "hub", "folder", "file"], path: Path) -> Found:
    """What is found at a path that is known to be a model."""
    if path.is_dir():
        return _folder(name, path)._replace(place=place)
    try:
        names = {entry.name for entry in os.scandir(path.parent)}
    except OSError:
        names = set()
    return _file(name, path, names)._replace(place=place)
