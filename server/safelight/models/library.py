"""Names to models: the starter, the model folders, and the hub's local cache. Never imports torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import msgspec

from safelight.families import Families, load_families
from safelight.sdk.codec import hash_text
from safelight.sdk.file_names import STARTER
from safelight.sdk.models import Source
from safelight.sdk.problem import Problem, ProblemError, did_you_mean, one_of

from .embeddings import EMBEDDING, embedding_missing, embedding_place
from .entries import ModelEntry, unusable, usable
from .headers import SAFETENSORS
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
from .index import Hashes, Index, hashes_of
from .layout import SAID, Layout, Reader
from .lookup import Lookup
from .names import Names
from .pickles import PICKLES
from .trees import PLACES, Trees
from .walk import WEIGHTS, Found, found_at, models_of

_INNER = frozenset({"unet", "vae", "text_encoder", "tokenizer", "scheduler"})
"""The parts of the starter that make it a pipeline, and are no models beside it."""
_LONGEST = 1024
"""Bytes of a model's name: longer ones are no paths on some systems."""
TAKES: Mapping[str, tuple[str, ...]] = {
    "vae": ("vae", "pipeline"),
    "unet": ("unet", "pipeline"),
    "image_encoder": ("image_encoder", "pipeline", "reader"),
}
"""What may be named where a model of a kind is asked for, if that is more than the kind itself."""


LOADED_BY: Mapping[str, str] = {
    "unet": "Load denoiser",
    "text_encoder": "Load text encoders",
    "vae": "Load VAE",
    "reader": "Load reading model",
}
"""The nodes for parts of a model in files of their own, which people try to load as a whole one."""


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
        trees: Trees | None = None,
        index: Index | None = None,
        fetch: Callable[[str, Path], bool] | None = None,
    ) -> None:
        self.folders = folders
        self.trees = trees
        self._index = index
        self.families = load_families() if families is None else families
        self.cache = cache
        self.starter = starter or starter_folder()
        self._digest = digest
        self._allow_download = allow_download
        self.progress = progress
        self._endpoint = endpoint
        self._fetch = fetch
        self._allow_pickle = allow_pickle
        self.names = Names(folders, trees, (self.starter, cache))
        self._reader = Reader(self.families, self.names.inside, allow_pickle, self.names.encoders)

    def holds(self, name: str) -> bool:
        """Whether a name means something in the model folders or the package, usable or not."""
        known = name in (STARTER, *self._starter_parts())
        return known or any(
            path is not None and exists(path) for path in (one.path(name) for one in self.names.mounts())
        )

    def find(self, name: str, kind: str = "") -> Source:
        """The source behind a name as a user types it.

        `starter` or `starter/few_step`, a path below the model folders, or `org/name`, with `/path/inside` and
        `@revision` where they are needed. What lies in the model folders goes before the hub. `kind` is what is looked
        for (`pipeline`, `vae`, `controlnet`, `lora`, `ip_adapter`; empty for anything). An `embedding` is called as
        prompts do: by its file in the folder `embeddings` of a model folder, without the ending.

        A name that leads nowhere is looked for once more, as other programs write theirs: by the end of its path, by
        the file's name with or without ending, by a hash (see `Lookup`), and without the folder of its kind. The name
        of a pickle means the safetensors that it was converted to, where there are such.

        Raises:
            ProblemError: it is not there, leads out of the model folders, or is no model that can be used; several are
                meant (`model_ambiguous`).
        """
        source, layout = self._open_embedding(name) if kind == EMBEDDING else self._open(name, wanted=kind)
        if kind and layout.kind not in TAKES.get(kind, (kind,)):
            message = f"{name!r} is {SAID[layout.kind]}, and {SAID.get(kind, kind)} is needed here."
            known = sorted(self._names_of(kind))
            if layout.kind == "foreign" and kind == "pipeline":
                raise self.families.unsupported(
                    name, "is not loaded in parts by any family here; pipeline.run runs it whole"
                )
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
        """Which text encoder a file holds (a key of `TEXT_ENCODERS`); empty for anything else."""
        layout = self._open(_full_name(source), source.place)[1]
        return next(iter(layout.parts)) if layout.kind == "text_encoder" else ""

    def describe(self, name: str) -> ModelEntry:
        """What is known of a model.

        Raises:
            ProblemError: as `find`.
        """
        source, layout = self._open(name, wanted="")
        path = layout.root
        found = found_at(_full_name(source), source.place, path)
        # Which tree it lies in, and its hash, are known of all of them.
        same = (found.name, str(path))
        listed = next((entry for entry in self.list_models() if (entry.name, entry.path) == same), None)
        return listed if listed is not None and listed.problem is None else usable(source, layout, found)

    def list_models(self, on_progress: Callable[[int, int], None] | None = None) -> list[ModelEntry]:
        """Every model that can be named: the starter, those of the model folders and of the hub's cache. Broken ones
        say why. What has not changed since it was listed last is told from the index, without reading it.

        `on_progress` is told how many of how many have been looked at.
        """
        known = self._index.facts(self._version) if self._index is not None else {}
        hashes = self._index.hashes() if self._index is not None else {}
        listed: list[ModelEntry] = []
        news: list[tuple[str, str, bytes]] = []
        every = list(self._all())
        for number, found in enumerate(every):
            if on_progress is not None:
                on_progress(number, len(every))
            try:
                stamp = found.stamp()
                entry = self._known(found, stamp, known) or self._look(found)
            except FileNotFoundError:  # gone since its folder was listed
                continue
            except OSError as error:
                entry, stamp = _unreadable(found, error), ""
            if _may_be_kept(entry) and stamp and known.get(str(found.path), ("",))[0] != stamp + found.name:
                news.append((str(found.path), stamp + found.name, msgspec.msgpack.encode(entry)))
            # The cache holds models of every sort; those that are none of ours need no mention.
            if entry.problem is None or found.place != "hub":
                of, sums = hashes.get(entry.path, ("", None))
                same = sums is not None and of == stamp.split(" ")[0]
                listed.append(msgspec.structs.replace(entry, sha256=sums.sha256) if sums and same else entry)
        if self._index is not None:
            here = {str(found.path) for found in every}
            gone = [path for path in known if path not in here and not exists(Path(path))]
            if news or gone:
                self._index.learn(self._version, news, gone)
        return listed

    def _known(self, found: Found, stamp: str, known: Mapping[str, tuple[str, bytes]]) -> ModelEntry | None:
        of, entry = known.get(str(found.path), ("", b""))
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.msgpack.decode(entry, type=ModelEntry) if of == stamp + found.name else None
        return None

    def _look(self, found: Found) -> ModelEntry:
        try:
            return usable(*self._open(found.name, found.place), found)
        except ProblemError as error:
            return unusable(found, error.problems[0])

    def stamp(self) -> int:
        """A number that is another one when `list_models` may be: from names, sizes and times, no file is read."""
        stamps: list[tuple[str, str]] = []
        for found in self._all():
            with contextlib.suppress(OSError):  # it may be gone by now
                stamps.append((found.name, found.stamp()))
        return hash(tuple(stamps))

    @cached_property
    def _version(self) -> str:
        """A text that is another one when other code, or another rule, reads models."""
        rooms = (Path(__file__).parent, Path(__file__).parent.parent / "families")
        files = sorted(file for room in rooms for file in room.rglob("*.py"))
        stamps = " ".join(f"{file.name}.{file.stat().st_mtime_ns}" for file in files)
        return hash_text(f"{self._allow_pickle} {' '.join(self.families)} {stamps}")

    def kind_of_file(self, path: Path) -> str:
        """The kind of a file that lies anywhere; empty when it is no model that is known."""
        try:
            return self._reader.read(path.name, path).kind
        except ProblemError:
            return ""

    def hash_of(self, path: Path, going_on: Callable[[], None] | None = None) -> Hashes:
        """The hashes of a file, kept from the first time on."""
        return self._index.hash(path, going_on) if self._index is not None else hashes_of(path, going_on)

    def of_hash(self, given: str) -> str:
        """The name of the model of a hash that was computed before; empty where there is none. No file is read."""
        known = self._index.hashes() if self._index is not None else {}
        # Folders are walked only for a hash that there is.
        return self._lookup().of_hash(given) if any(one.are(given.strip()) for _, one in known.values()) else ""

    def _open(self, name: str, place: str | None = None, wanted: str | None = None) -> tuple[Source, Layout]:
        """The model of a name. `wanted` is a kind: with it a name that leads nowhere is looked for once more."""
        name = name.strip()
        if name == STARTER and place in (None, STARTER):
            return self._starter()
        self._refuse_strange(name)
        if wanted is not None:
            name = self._converted(name) or name
        if name in self._starter_parts() and place in (None, STARTER):
            path = self.starter / name.removeprefix(f"{STARTER}/")
            return Source(STARTER, name), self._reader.read(name, path)
        local = self.names.path(name) if place in (None, "folder", "file") else None
        if local is not None:
            path, shown = local
            layout = self._read(shown, path)
            return Source("file" if path.is_file() else "folder", shown), layout
        bare, _, revision = name.partition("@")
        repository, inside = split_name(bare)
        # No repository is called as a file of weights: `checkpoints/x.safetensors` is one of a model folder.
        at_hub = bool(repository) and not repository.lower().endswith(WEIGHTS) and place not in ("folder", "file")
        if wanted is not None and not (at_hub and self._cached(repository, revision, inside)):
            meant = self._lookup().find(name, wanted)
            if meant is not None:
                return self._open(meant.name, meant.place)
            if bare_name := self._without_folder(name):
                return self._open(bare_name)
        cached = at_hub and self._cached(repository, revision, inside) is not None
        # Asked last: most names that lead nowhere mean something that is here.
        if not cached and place in (None, "folder", "file") and self._fetched(name):
            return self._open(name, place)
        root = self._hub_root(repository, revision, inside) if at_hub else None
        if root is None:
            raise self._missing(name, command(repository, revision, inside) if at_hub else "")
        return Source("hub", bare, revision), self._read(bare, root, command(repository, revision, inside))

    def _fetched(self, name: str) -> bool:
        """Whether a model was to be had elsewhere, and is in a folder of models now."""
        fetch = self._fetch
        return fetch is not None and fetch(name, self.folders[0]) and self.names.path(name) is not None

    def _without_folder(self, name: str) -> str:
        """What a name means that has the folder of a kind before one that lies in none: `checkpoints/starter`, as
        workflows of other programs come to say it. Empty where it means nothing."""
        folder, _, rest = name.partition("/")
        bare, _, revision = rest.partition("@")
        repository, inside = split_name(bare)
        if folder not in PLACES.values():
            return ""
        there = rest == STARTER or rest in self._starter_parts()
        return rest if there or (repository and self._cached(repository, revision, inside)) else ""

    def _converted(self, name: str) -> str:
        """The name of the safetensors that a pickle of this name was converted to; empty where there are none, or the
        pickle itself is read."""
        bare, at, revision = name.partition("@")
        path = PurePosixPath(bare)
        if path.suffix.lower() not in PICKLES or (self._allow_pickle and self.holds(bare)):
            return ""
        safe = bare.removesuffix(path.suffix) + SAFETENSORS
        repository, inside = split_name(safe)
        if self.names.path(safe) is not None or (repository and self._cached(repository, revision, inside)):
            return f"{safe}{at}{revision}"
        meant = self._lookup().find(safe)
        return meant.name if meant is not None else ""

    def _open_embedding(self, name: str) -> tuple[Source, Layout]:
        self._refuse_strange(name)
        place = embedding_place(name, self.names.path, self._allow_pickle)
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
        """Names of what comes with the starter beside the model: LoRAs, ControlNets, an image encoder, ..."""
        beside = {path.parent.name for path in self.starter.glob("*/*.safetensors")} - _INNER
        return [f"{STARTER}/{part}" for part in sorted(beside)]

    def _refuse_strange(self, name: str) -> None:
        parts = name.replace("\\", "/").split("/")
        long = len(name.encode(errors="replace")) > _LONGEST
        if not name or "\0" in name or ".." in parts or name.startswith("~") or long:
            shown = f"{name[:60]!r}... ({len(name)} characters)" if long else repr(name)
            message = f"{shown} is not the name of a model."
            hint = "Give `starter`, a path below the model folders, or a hub id such as org/name."
            raise ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))

    def bring(self, name: str, progress: Progress | None = None) -> None:
        """Fetches what is read of a model of the hub, unless all of it is in the cache.

        Raises:
            ProblemError: as `hub.download`.
        """
        bare, _, revision = name.partition("@")
        self._complete(*split_name(bare), revision, progress)

    def _hub_root(self, repository: str, revision: str, inside: str) -> Path | None:
        """The folder or file of the cache that is meant; downloaded where that is allowed and something is missing."""
        if self._allow_download:
            self._complete(repository, inside, revision, self.progress)
        return self._cached(repository, revision, inside)

    def _complete(self, repository: str, inside: str, revision: str, progress: Progress | None) -> None:
        found = self._cached(repository, revision, inside)
        if found is not None:
            try:
                self._reader.read(repository, found)
                return
            except ProblemError as error:
                if error.problems[0].code not in ("model_incomplete", "not_a_model"):
                    return
        download(repository, revision, inside, self.cache, progress, self._endpoint)

    def _cached(self, repository: str, revision: str, inside: str) -> Path | None:
        folder = snapshot(self.cache, repository, revision)
        if folder is None:
            return None
        root = folder / inside if inside else folder
        return root if exists(root) else None

    def _read(self, name: str, root: Path, get: str = "") -> Layout:
        try:
            layout = self._reader.read(name, root)
        except OSError as error:
            if not exists(root):  # gone meanwhile
                raise self._missing(name, get) from None
            raise ProblemError(_no_access(name, root, error)) from None
        except ProblemError as error:
            problem = error.problems[0]
            if get and problem.code == "model_incomplete":
                raise ProblemError(msgspec.structs.replace(problem, hint=f"To get the rest: `{get}`.")) from None
            raise
        for file in layout.files():
            if not self.names.inside(file):
                message = f"{file.name} of {name!r} is a link that leads out of the model folders."
                place = file.resolve().parent
                hint = f"Put the file there, or add its folder: `safelight models add {place}`, or SAFELIGHT_MODELS."
                raise ProblemError(Problem(code="bad_path", message=message, hint=hint, value=name))
        return layout

    def _content(self, path: Path) -> str:
        """The digest of a file. The hub's cache names its files by digest, so they need not be read."""
        named = blob_digest(path) if path.is_relative_to(self.cache) else ""
        return named or self._digest(path)

    def _missing(self, name: str, get: str = "") -> ProblemError:
        added = self.trees.kept.trees if self.trees is not None else ()
        searched = [*(str(folder) for folder in self.folders), *(tree.folder for tree in added)]
        known = [STARTER, *(found.name for found in self._all())]
        # A file may be named without its folder and ending as well, but for parts of the starter.
        short = [PurePosixPath(one).stem for one in known if not one.startswith(f"{STARTER}/")]
        hints = [did_you_mean(name, known) or did_you_mean(name, short)]
        # `checkpoints/sd15/a.safetensors` could be a file of a repository `checkpoints/sd15`, and never is.
        placed = name.partition("/")[0] in PLACES.values()
        is_file = (placed or not get) and name.lower().endswith(WEIGHTS)
        if get and not is_file:
            searched.append(str(self.cache))
            hints.append(f"To get it: `{get}`.")
        elif is_file:
            hints.append(
                "Put the file into one of them, fetch it by its address with `safelight models download https://...`, "
                "or add the folder that it is in: `safelight models add FOLDER`."
            )
        else:
            hints.append("Put it into a model folder, or give a hub id such as org/name.")
        message = f"There is no model {name!r} on this machine. Searched: {', '.join(searched)}."
        if is_file:
            message = f"The file {name!r} is in none of the model folders: {', '.join(searched)}."
        return ProblemError(
            Problem(code="model_missing", message=message, hint=" ".join(filter(None, hints)), value=name)
        )

    def _lookup(self) -> Lookup:
        known = self._index.hashes() if self._index is not None else {}
        return Lookup(list(self._all()), known, self._names_of, self._content)

    def _names_of(self, kind: str) -> set[str]:
        return {entry.name for entry in self.list_models() if entry.kind in TAKES.get(kind, (kind,))}

    def _all(self) -> Iterator[Found]:
        if (self.starter / "model_index.json").is_file():
            yield found_at(STARTER, STARTER, self.starter)
            for name in self._starter_parts():
                yield found_at(name, STARTER, self.starter / name.removeprefix(f"{STARTER}/"))
        yield from models_of(self.names.mounts())
        for repository, path in repositories(self.cache):
            yield found_at(repository, "hub", path)


def _may_be_kept(entry: ModelEntry) -> bool:
    """Whether an entry says the same as long as the files themselves do: it depends on nothing that lies elsewhere."""
    if entry.problem is not None:
        return entry.problem.code not in ("bad_path", "file_unreadable", "model_missing")
    return entry.kind != "ip_adapter"


def _full_name(source: Source) -> str:
    return f"{source.name}@{source.revision}" if source.revision else source.name


def _unreadable(found: Found, error: OSError) -> ModelEntry:
    problem = _no_access(found.name, found.path, error)
    return ModelEntry(name=found.name, place=found.place, path=str(found.path), tree=found.tree, problem=problem)


def _no_access(name: str, path: Path, error: OSError) -> Problem:
    message = f"{path} cannot be read: {error.strerror or type(error).__name__}."
    return Problem(code="file_unreadable", message=message, hint="Give yourself the right to read it.", value=name)
