"""Names to models: the starter, the model folders, and the hub's local cache. Never imports torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from safelight.disk import is_below
from safelight.families import Families, load_families
from safelight.sdk.models import Source
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, one_of
from safelight.sdk.unicode import named

from .embeddings import EMBEDDING, embedding_missing, embedding_place
from .gguf_files import is_gguf
from .headers import is_pickle, is_safetensors, read_header
from .hub import (
    Progress,
    blob_digest,
    command,
    download,
    exists,
    repositories,
    snapshot,
    split_name,
)
from .layout import SAID, Layout, Reader

STARTER = "starter"
STARTER_PARTS = ("few_step", "image_encoder")
_LONGEST = 1024
"""Bytes of a model's name: longer ones are no paths on some systems."""
TAKES: Mapping[str, tuple[str, ...]] = {"vae": ("vae", "pipeline"), "unet": ("unet", "pipeline")}
"""What may be named where a model of a kind is asked for, if that is more than the kind itself."""


LOADED_BY: Mapping[str, str] = {"unet": "Load denoiser", "text_encoder": "Load text encoders", "vae": "Load VAE"}
"""The nodes for parts of a model in files of their own, which people try to load as a whole one."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it is listed.

    `place` is where it was found (see `Source`), `components` the bytes on disk of each part, `precision` the type that
    most of its weights are kept in (`F16`, `BF16`, `F32`). `problem` says why it cannot be used, if so.
    """

    name: str
    place: Literal["starter", "hub", "folder", "file"]
    kind: str = ""
    family: str = ""
    components: dict[str, int] = {}
    bytes: int = 0
    precision: str = ""
    path: str
    problem: Problem | None = None


def starter_folder() -> Path:
    """Where the miniature model lies in the package."""
    spec = find_spec("safelight")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / STARTER


class Library:
    """Finds models and tells what they are. `digest` gives the digest of a file's content, and may remember it."""

    def __init__(
        self,
        folders: tuple[Path, ...],
        *,
        digest: Callable[[Path], str],
        cache: Path,
        starter: Path | None = None,
        allow_download: bool = False,
        allow_pickle: bool = False,
        progress: Progress | None = None,
        endpoint: str | None = None,
        families: Families | None = None,
    ) -> None:
        self.folders = folders
        self.families = load_families() if families is None else families
        self.cache = cache
        self.starter = starter or starter_folder()
        self._digest = digest
        self._allow_download = allow_download
        self.progress = progress
        self._endpoint = endpoint
        self._allow_pickle = allow_pickle
        self._reader = Reader(self.families, self._inside, allow_pickle)
        self._added: dict[str, Path] = {}

    def add(self, path: Path) -> str:
        """Lets a file or folder outside the model folders be named as long as this library lives; returns the name.

        It is for what a user names on a command line: a workflow cannot add anything. The name is that of the file,
        with as many of the folders above it as tell it from others, so that a workflow saved with it is found again
        once the file lies in a model folder.
        """
        # A link keeps its own name: the hub's cache names what it points to by digest.
        path = path.resolve() if path.name in ("", "..") else path.parent.resolve() / path.name
        for folder in (folder.resolve() for folder in self.folders):
            if path.is_relative_to(folder) and path != folder:
                return path.relative_to(folder).as_posix()
        for length in range(1, len(path.parts)):
            name = "/".join(path.parts[-length:])
            if name != STARTER and self._added.setdefault(name, path) == path:
                return name
        return path.as_posix()

    def holds(self, name: str) -> bool:
        """Whether a name means something in the model folders or the package, usable or not."""
        known = name in (STARTER, *self._starter_parts())
        return known or any(exists(folder / name) for folder in self.folders)

    def find(self, name: str, kind: str = "") -> Source:
        """The source behind a name as a user types it.

        `starter` or `starter/few_step`, a path below the model folders, or `org/name`, with `/path/inside` and
        `@revision` where they are needed. What lies in the model folders goes before the hub. `kind` is what is looked
        for (`pipeline`, `vae`, `controlnet`, `lora`, `ip_adapter`; empty for anything). An `embedding` is called as
        prompts do: by its file in the folder `embeddings` of a model folder, without the ending.

        Raises:
            ProblemError: it is not there, leads out of the model folders, or is no model that can be used.
        """
        source, layout = self._open_embedding(name) if kind == EMBEDDING else self._open(name)
        if kind and layout.kind not in TAKES.get(kind, (kind,)):
            message = f"{name!r} is {SAID[layout.kind]}, and {SAID.get(kind, kind)} is needed here."
            known = [entry.name for entry in self.list_models() if entry.kind in TAKES.get(kind, (kind,))]
            hint = f"There are {one_of(known)}." if known else "Choose another one."
            if layout.kind in LOADED_BY:
                hint = f"The node {LOADED_BY[layout.kind]} loads it. {hint}"
            raise ProblemError(Problem(code="wrong_model", message=message, hint=hint, value=name))
        return replace(source, fingerprint=layout.fingerprint(self._content))

    def layout(self, source: Source) -> Layout:
        """The files of a source that was found before.

        Raises:
            ProblemError: it is gone, or (`model_changed`) no longer the same files.
        """
        name = _full_name(source)
        layout = self._open(name, source.place)[1]
        if source.fingerprint and layout.fingerprint(self._content) != source.fingerprint:
            message = f"The files of {name!r} have changed since this work began."
            raise ProblemError(Problem(code="model_changed", message=message, hint="Run it again.", value=name))
        return layout

    def family(self, source: Source) -> str:
        """The id of a source's family; empty for a LoRA or adapter that does not tell."""
        return self._open(_full_name(source), source.place)[1].family

    def encoder(self, source: Source) -> str:
        """Which text encoder a file holds (`clip_l`, `clip_h`, `clip_g`, `t5`); empty for anything else."""
        layout = self._open(_full_name(source), source.place)[1]
        return next(iter(layout.parts)) if layout.kind == "text_encoder" else ""

    def describe(self, name: str) -> ModelEntry:
        """What is known of a model.

        Raises:
            ProblemError: as `find`.
        """
        source, layout = self._open(name)
        return _entry(source, layout)

    def list_models(self, on_progress: Callable[[int, int], None] | None = None) -> list[ModelEntry]:
        """Every model that can be named: the starter, the model folders', and the hub cache's. Broken ones say why.

        `on_progress` is told how many of how many have been looked at.
        """
        found: list[ModelEntry] = []
        named = list(self._all())
        for number, (name, place, path) in enumerate(named):
            if on_progress is not None:
                on_progress(number, len(named))
            try:
                source, layout = self._open(name, place)
                found.append(_entry(source, layout))
            except ProblemError as error:
                # The cache holds models of every sort; those that are none of ours need no mention.
                if place != "hub":
                    found.append(ModelEntry(name=name, place=place, path=str(path), problem=error.problems[0]))
        return found

    def stamp(self) -> int:
        """A number that is another one when `list_models` may be: from names, sizes and times, no file is read."""
        return hash(tuple((name, place, *_touched(path)) for name, place, path in self._all()))

    def _open(self, name: str, place: str | None = None) -> tuple[Source, Layout]:
        name = name.strip()
        if name == STARTER and place in (None, STARTER):
            return self._starter()
        self._refuse_strange(name)
        if name in self._starter_parts() and place in (None, STARTER):
            path = self.starter / name.removeprefix(f"{STARTER}/")
            return Source(STARTER, name), self._reader.read(name, path)
        local = self._local(name) if place in (None, "folder", "file") else None
        if local is not None:
            path, shown = local
            layout = self._read(shown, path)
            return Source("file" if path.is_file() else "folder", shown), layout
        bare, _, revision = name.partition("@")
        repository, inside = split_name(bare)
        if not repository or place in ("folder", "file"):
            raise self._missing(name)
        root = self._hub_root(repository, revision, inside)
        if root is None:
            raise self._missing(name, command(repository, revision, inside))
        return Source("hub", bare, revision), self._read(bare, root, command(repository, revision, inside))

    def _open_embedding(self, name: str) -> tuple[Source, Layout]:
        self._refuse_strange(name)
        place = embedding_place(name, self._local, self._allow_pickle)
        if place is None:
            raise embedding_missing(name, self.folders)
        return self._open(place, "file")

    def _starter(self) -> tuple[Source, Layout]:
        if not (self.starter / "model_index.json").is_file():
            message = "The starter model is not part of this installation."
            hint = f"Install a released package of Safelight; its weights belong in {self.starter}."
            raise ProblemError(Problem(code="model_missing", message=message, hint=hint, value=STARTER))
        return Source(STARTER, STARTER), self._reader.read(STARTER, self.starter)

    def _starter_parts(self) -> list[str]:
        """Names of what comes with the starter beside the model itself: its few-step LoRA, its image encoder."""
        return [f"{STARTER}/{part}" for part in STARTER_PARTS if (self.starter / part).is_dir()]

    def _refuse_strange(self, name: str) -> None:
        parts = name.replace("\\", "/").split("/")
        long = len(name.encode(errors="replace")) > _LONGEST
        if not name or "\0" in name or ".." in parts or name.startswith("~") or long:
            shown = f"{name[:60]!r}... ({len(name)} characters)" if long else repr(name)
            message = f"{shown} is not the name of a model."
            hint = "Give `starter`, a path below the model folders, or a hub id such as org/name."
            raise ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))

    def _local(self, name: str) -> tuple[Path, str] | None:
        """The path that a name means, of what was added or below the model folders, and the name relative to there."""
        for known, path in self._added.items():
            if name == known or name.startswith(f"{known}/"):
                inside = path / name.removeprefix(known).lstrip("/")
                if exists(inside) and self._inside(inside):
                    return inside, name
        for folder in self.folders:
            if Path(name).is_absolute() and not Path(name).is_relative_to(folder):
                continue
            path = folder / name
            if not exists(path) or path == folder:
                continue
            if not self._inside(path):
                raise self._outside(name, path.resolve())
            return path, path.relative_to(folder).as_posix()
        if Path(name).is_absolute() and not any(Path(name).is_relative_to(folder) for folder in self.folders):
            raise self._outside(name, Path(name))
        return None

    def _outside(self, name: str, real: Path) -> ProblemError:
        message = (
            f"{name!r} leads out of the model folders ({os.pathsep.join(str(folder) for folder in self.folders)})."
        )
        hint = f"Move it there, or add {real.parent} to SAFELIGHT_MODELS."
        return ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))

    def _hub_root(self, repository: str, revision: str, inside: str) -> Path | None:
        """The folder or file of the cache that is meant; downloaded where that is allowed and something is missing."""
        found = self._cached(repository, revision, inside)
        if not self._allow_download:
            return found
        if found is not None:
            try:
                self._reader.read(repository, found)
                return found
            except ProblemError as error:
                if error.problems[0].code not in ("model_incomplete", "not_a_model"):
                    return found
        download(repository, revision, inside, self.cache, self.progress, self._endpoint)
        return self._cached(repository, revision, inside)

    def _cached(self, repository: str, revision: str, inside: str) -> Path | None:
        folder = snapshot(self.cache, repository, revision)
        if folder is None:
            return None
        root = folder / inside if inside else folder
        return root if exists(root) else None

    def _read(self, name: str, root: Path, get: str = "") -> Layout:
        try:
            layout = self._reader.read(name, root)
        except ProblemError as error:
            problem = error.problems[0]
            if get and problem.code == "model_incomplete":
                raise ProblemError(msgspec.structs.replace(problem, hint=f"To get the rest: `{get}`.")) from None
            raise
        for file in layout.files():
            if not self._inside(file):
                message = f"{file.name} of {name!r} is a link that leads out of the model folders."
                hint = f"Put the file itself there, or add {file.resolve().parent} to SAFELIGHT_MODELS."
                raise ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))
        return layout

    def _inside(self, path: Path) -> bool:
        # What belongs to a file, such as an image encoder, lies beside it.
        beside = [path if path.is_dir() else path.parent for path in self._added.values()]
        roots = (*self.folders, self.starter, self.cache, *self._added.values(), *beside)
        return is_below(path, *roots)

    def _content(self, path: Path) -> str:
        """The digest of a file. The hub's cache names its files by digest, so they need not be read."""
        named = blob_digest(path) if path.is_relative_to(self.cache) else ""
        return named or self._digest(path)

    def _missing(self, name: str, get: str = "") -> ProblemError:
        searched = [str(folder) for folder in self.folders]
        known = [STARTER, *(model for model, _, _ in self._all())]
        hints = [did_you_mean(name, known)]
        if get:
            searched.append(str(self.cache))
            hints.append(f"To get it: `{get}`.")
        else:
            hints.append("Put it into a model folder, or give a hub id such as org/name.")
        message = f"There is no model {name!r} on this machine. Searched: {', '.join(searched)}."
        return ProblemError(
            Problem(code="model_missing", message=message, hint=" ".join(filter(None, hints)), value=name)
        )

    def _all(self) -> Iterator[tuple[str, Literal["starter", "hub", "folder", "file"], Path]]:
        if (self.starter / "model_index.json").is_file():
            yield STARTER, "starter", self.starter
            for name in self._starter_parts():
                yield name, "starter", self.starter / name.removeprefix(f"{STARTER}/")
        for folder in self.folders:
            yield from _models_below(folder, folder)
        for repository, path in repositories(self.cache):
            yield repository, "hub", path


def _models_below(folder: Path, top: Path, depth: int = 0) -> Iterator[tuple[str, Literal["folder", "file"], Path]]:
    """Models of a folder and of the folders in it, which people sort them into."""
    if depth > 4 or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        name = path.relative_to(top).as_posix()
        if path.name.startswith(".") or not named(path.name, str(folder)):
            continue
        if path.is_file() and (is_safetensors(path) or is_pickle(path) or is_gguf(path)):
            yield name, "file", path
        elif (path / "model_index.json").is_file() or (path / "config.json").is_file():
            yield name, "folder", path
        elif path.is_dir():
            yield from _models_below(path, top, depth + 1)


def _touched(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of a model's file, or of all files of its folder."""
    for file in (path, *sorted(path.rglob("*"))) if path.is_dir() else (path,):
        with contextlib.suppress(OSError):  # it may be gone by now
            found = file.stat()
            yield file.name, found.st_size, found.st_mtime_ns


def _full_name(source: Source) -> str:
    return f"{source.name}@{source.revision}" if source.revision else source.name


def _entry(source: Source, layout: Layout) -> ModelEntry:
    sizes = {
        part or "weights": sum(file.stat().st_size for file in files.weights)
        for part, files in layout.parts.items()
        if files.weights
    }
    weights = [file for part in layout.parts.values() for file in part.weights if file.suffix != ".json"]
    largest = max(weights, key=lambda file: file.stat().st_size, default=None)
    return ModelEntry(
        name=_full_name(source),
        place=source.place,
        kind=layout.kind,
        family=layout.family,
        components=sizes,
        bytes=layout.bytes(),
        precision=read_header(largest).dtypes() if largest else "",
        path=str(layout.root),
    )
