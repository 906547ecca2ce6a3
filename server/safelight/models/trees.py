"""Model folders of other programs, used in place: which subfolder holds what, and by which names its files go.

A tree is a folder that the user has added. It is seen as mounts: folders of it, each below a prefix that is the same
whatever program laid the tree out. So `checkpoints/foo.safetensors` names one file in a tree of ComfyUI
(`models/checkpoints`) and of A1111 (`models/Stable-diffusion`), and a workflow means the same on both machines.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from safelight.disk import write_file
from safelight.sdk.problem import Problem, ProblemError, one_of

from .embeddings import FOLDER

SETTINGS = "models.json"
Like = Literal["plain", "comfyui", "a1111", "invokeai"]
LIKES: tuple[Like, ...] = ("plain", "comfyui", "a1111", "invokeai")
PLACES: Mapping[str, str] = {
    "pipeline": "checkpoints",
    "unet": "diffusion_models",
    "transformer": "diffusion_models",
    "vae": "vae",
    "controlnet": "controlnet",
    "lora": "loras",
    "ip_adapter": "ipadapter",
    "motion": "animatediff_models",
    "image_encoder": "clip_vision",
    "text_encoder": "text_encoders",
    "embedding": FOLDER,
    "upscaler": "upscale_models",
    "preprocessor": "preprocessors",
}
"""The subfolder that a model of a kind is placed in when it is fetched."""

_SAME: Mapping[str, str] = {"unet": "diffusion_models", "clip": "text_encoders", "t2i_adapter": "controlnet"}
"""Names that ComfyUI gave its folders before, and still reads."""
_COMFYUI = (
    *("checkpoints", "diffusion_models", "text_encoders", "vae", "loras", "controlnet", "clip_vision", "ipadapter"),
    *("style_models", "embeddings", "diffusers", "vae_approx", "gligen", "upscale_models", "hypernetworks"),
    *("photomaker", "classifiers", "model_patches", "audio_encoders"),
)
_ROWS: Mapping[Like, tuple[tuple[str, str], ...]] = {
    "plain": ((".", ""),),
    "comfyui": (
        *((f"models/{name}", name) for name in _COMFYUI),
        *((f"models/{old}", new) for old, new in _SAME.items()),
        # Where the packs of preprocessors and of face repair keep theirs.
        ("custom_nodes/comfyui_controlnet_aux/ckpts", "preprocessors"),
        ("models/preprocessors", "preprocessors"),
        ("models/sams", "preprocessors"),
        # Where packs that cut out subjects keep theirs.
        ("models/rembg", "preprocessors"),
        ("models/RMBG", "preprocessors"),
        ("models/facerestore_models", "upscale_models"),
    ),
    "a1111": (
        ("models/Stable-diffusion", "checkpoints"),
        ("models/VAE", "vae"),
        ("models/VAE-approx", "vae_approx"),
        ("models/Lora", "loras"),
        ("models/LyCORIS", "loras"),
        ("models/ControlNet", "controlnet"),
        ("extensions/sd-webui-controlnet/models", "controlnet"),
        ("models/text_encoder", "text_encoders"),
        ("models/ESRGAN", "upscale_models"),
        ("models/RealESRGAN", "upscale_models"),
        ("models/SwinIR", "upscale_models"),
        ("models/GFPGAN", "upscale_models"),
        ("models/Codeformer", "upscale_models"),
        ("extensions/sd-webui-controlnet/annotator/downloads", "preprocessors"),
        ("models/hypernetworks", "hypernetworks"),
        ("embeddings", FOLDER),
    ),
    # Where it has installed models by kind; those that it only knows the place of are in its database.
    "invokeai": tuple(
        (f"models{base}/{kind}", place)
        for base in ["/any", "/sd-1", "/sd-2", "/sd-3", "/sdxl", "/sdxl-refiner", "/flux"]
        for kind, place in (
            ("main", "checkpoints"),
            ("vae", "vae"),
            ("lora", "loras"),
            ("controlnet", "controlnet"),
            ("t2i_adapter", "controlnet"),
            ("embedding", FOLDER),
            ("ip_adapter", "ipadapter"),
            ("clip_vision", "clip_vision"),
            ("clip_embed", "text_encoders"),
            ("t5_encoder", "text_encoders"),
        )
    ),
}
_INVOKE_KINDS: Mapping[str, str] = {kind: place for path, place in _ROWS["invokeai"] for kind in [path.split("/")[-1]]}
_FRESH = 1.0
"""Seconds in which the settings of a tree are not looked at again: a search asks for them at every file."""
_YAML = ("extra_model_paths.yaml", "extra_model_paths.yml")


class Tree(msgspec.Struct, frozen=True):
    """A folder as the user has added it. `name` tells it from the others: `NAME:checkpoints/foo.safetensors`."""

    name: str
    folder: str
    like: Like = "plain"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `models.json` in the data folder keeps. `hosts` are those that models may be fetched from without asking."""

    trees: tuple[Tree, ...] = ()
    hosts: tuple[str, ...] = ("huggingface.co", "civitai.com")


class Mount(NamedTuple):
    """A folder, or a single file, whose models go by `prefix` and their path below it. `tree` is empty for our own."""

    prefix: str
    folder: Path
    tree: str = ""

    def name(self, path: Path) -> str:
        """The name of a path below this folder."""
        inside = path.relative_to(self.folder).as_posix()
        return "/".join(part for part in (self.prefix, "" if inside == "." else inside) if part)

    def path(self, name: str) -> Path | None:
        """The path that a name would have here; None when it cannot be here."""
        if not self.prefix:
            return self.folder / name if name else None
        if name == self.prefix:
            return self.folder
        return self.folder / name[len(self.prefix) + 1 :] if name.startswith(f"{self.prefix}/") else None


class _Look(NamedTuple):
    """What was seen of a tree, when, and a stamp of what says so."""

    at: float
    stamp: Any
    mounts: list[Mount]
    roots: list[Path]


class Trees:
    """The added folders, as `models.json` says now: what another process adds is seen at the next look."""

    def __init__(self, home: Path) -> None:
        self._file = home / SETTINGS
        self._stamp: Any = None
        self._kept = Kept()
        self._looked: dict[Tree, _Look] = {}

    @property
    def kept(self) -> Kept:
        stamp = _stamp(self._file)
        if stamp != self._stamp:
            self._stamp, self._kept = stamp, self._read() if stamp else Kept()
        return self._kept

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            message = f"{self._file} cannot be read: {error}."
            hint = "Mend it, or remove it and add your model folders again: `safelight models add FOLDER`."
            problem = Problem(code="config_damaged", message=message, hint=hint, value=str(self._file))
            raise ProblemError(problem) from None

    def _write(self, kept: Kept) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._file, [msgspec.json.format(msgspec.json.encode(kept), indent=2)])

    def add(self, folder: Path, like: str = "") -> Tree:
        """Adds a folder, laid out as `like`; what it is laid out as is told from its subfolders by default.

        Raises:
            ProblemError: `bad_model_folder`, when there is no such folder, or none of the subfolders is there.
        """
        folder = folder.expanduser().absolute()
        if folder.resolve() == Path(folder.anchor):
            raise _bad(folder, f"{str(folder)!r} is a whole disk.", "Give the folder that the models lie in.")
        if not folder.is_dir():
            raise _bad(folder, f"There is no folder {str(folder)!r}.", "Give the folder that the program lies in.")
        known = [tree for tree in self.kept.trees if Path(tree.folder).resolve() == folder.resolve()]
        chosen = _like(folder, like)
        called = folder.name if chosen == "plain" else chosen
        base = re.sub(r"[^a-z0-9_-]+", "-", called.lower()).strip("-") or "models"
        others = [tree for tree in self.kept.trees if tree not in known]
        names = {tree.name for tree in others}
        number = 1
        while (name := base if number == 1 else f"{base}-{number}") in names:
            number += 1
        tree = Tree(known[0].name if known else name, str(folder), chosen)
        if not any(mount.folder.exists() for mount in _mounts(tree)):
            wanted = one_of([path for path, _ in _ROWS[chosen]][:4])
            message = f"{str(folder)!r} is not laid out as {chosen} does: it has none of its model folders."
            raise _bad(folder, message, f"It should have {wanted}. Without --like its files go by their path.")
        trees = [tree if one in known else one for one in self.kept.trees] if known else [*others, tree]
        self._write(msgspec.structs.replace(self.kept, trees=tuple(trees)))
        return tree

    def remove(self, name: str) -> Tree:
        """Forgets a tree by its name or folder. No file of it is touched.

        Raises:
            ProblemError: `bad_model_folder`, when none was added by that name.
        """
        here = str(Path(name).expanduser().absolute())
        found = [tree for tree in self.kept.trees if name == tree.name or here == tree.folder]
        if not found:
            known = [tree.name for tree in self.kept.trees]
            hint = f"There are {one_of(known)}." if known else "None was added."
            raise _bad(Path(name), f"No model folder {name!r} was added.", hint)
        trees = tuple(tree for tree in self.kept.trees if tree != found[0])
        self._write(msgspec.structs.replace(self.kept, trees=trees))
        return found[0]

    def allow(self, host: str) -> None:
        """Models may be fetched from this host from now on."""
        if host not in self.kept.hosts:
            self._write(msgspec.structs.replace(self.kept, hosts=(*self.kept.hosts, host)))

    def mounts(self) -> list[Mount]:
        """Where models lie, in the order in which names are looked up. Folders that are gone have none."""
        return [mount for look in self._seen() for mount in look.mounts]

    def roots(self) -> list[Path]:
        """The folders that files may be read from: all that was added, and what their programs' settings name."""
        return [root for look in self._seen() for root in look.roots]

    def problems(self) -> list[Problem]:
        """Why trees, or the list of them, cannot be used."""
        found: list[Problem] = []
        try:
            for tree in self.kept.trees:
                try:
                    if not any(True for _ in _mounts(tree)):
                        message = f"The model folder {tree.folder!r} ({tree.name}) is not there, or has no models."
                        hint = f"Mount its disk, or forget it: `safelight models remove {tree.name}`."
                        found.append(_bad(Path(tree.folder), message, hint).problems[0])
                except ProblemError as error:
                    found += error.problems
        except ProblemError as error:
            found += error.problems
        return found

    def _seen(self) -> Iterator[_Look]:
        """What is known of each tree; looked at again when its folder or its settings have changed. What is damaged
        has no models; `problems` says why."""
        try:
            trees = self.kept.trees
        except ProblemError:
            return
        now = time.monotonic()
        for tree in trees:
            known = self._looked.get(tree)
            if known is None or now - known.at > _FRESH:
                stamp = tuple(_stamp(path) for path in _watched(tree))
                same = known is not None and known.stamp == stamp
                self._looked[tree] = known._replace(at=now) if known and same else _looked(tree, stamp, now)
            yield self._looked[tree]


def _looked(tree: Tree, stamp: Any, now: float) -> _Look:
    mounts: list[Mount] = []
    with contextlib.suppress(ProblemError):
        mounts.extend(_mounts(tree))
    top = Path(tree.folder).resolve()
    apart = {mount.folder.resolve() for mount in mounts if not mount.folder.resolve().is_relative_to(top)}
    return _Look(now, stamp, mounts, [top, *sorted(apart)])


def _watched(tree: Tree) -> Iterator[Path]:
    folder = Path(tree.folder)
    database = _database(folder)
    yield from (folder, folder / "models", *(folder / name for name in _YAML), database, Path(f"{database}-wal"))
    yield from (folder / path for path, _ in _ROWS[tree.like])


def _like(folder: Path, like: str) -> Like:
    if like and like not in LIKES:
        raise _bad(folder, f"No program {like!r} is known.", f"It is one of {one_of(LIKES)}.")
    if like:
        return next(one for one in LIKES if one == like)
    if _database(folder).is_file():
        return "invokeai"
    if any((folder / name).is_file() for name in _YAML):
        return "comfyui"
    there = {
        one: sum((folder / path).is_dir() for path, _ in _ROWS[one] if path.startswith("models/")) for one in LIKES
    }
    return max(LIKES, key=lambda one: there[one])


def _mounts(tree: Tree) -> Iterator[Mount]:
    """The mounts of a tree, each once, whichever of its names leads there."""
    folder = Path(tree.folder)
    found = [Mount(prefix, folder / path, tree.name) for path, prefix in _ROWS[tree.like]]
    if tree.like == "comfyui":
        found += (mount for name in _YAML for mount in _of_yaml(folder / name, tree.name))
        if (folder / "checkpoints").is_dir() and not (folder / "models").is_dir():  # its models folder itself was named
            found += (mount._replace(folder=folder / mount.folder.name) for mount in list(found))
    if tree.like == "invokeai":
        found += _of_invoke(folder, tree.name)
    seen: set[tuple[str, Path]] = set()
    for mount in found:
        with contextlib.suppress(OSError, RuntimeError):  # a link in a circle
            key = (mount.prefix, mount.folder.resolve())
            if key not in seen and mount.folder.exists():
                seen.add(key)
                yield mount


def _of_yaml(path: Path, tree: str) -> Iterator[Mount]:
    """The folders that ComfyUI's `extra_model_paths.yaml` names: sections with a `base_path`, and a path or a list of
    paths, one a line, for each kind."""
    if not path.is_file():
        return
    import yaml

    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise _bad(path, f"{path} cannot be read: {str(error).splitlines()[0]}", "Mend it, or remove it.") from None
    for section in sections.values() if isinstance(sections, dict) else ():
        if not isinstance(section, dict):
            continue
        base = path.parent / Path(str(section.get("base_path") or ".")).expanduser()
        for kind, places in section.items():
            if kind in ("base_path", "is_default", "custom_nodes") or not isinstance(places, str):
                continue
            for place in filter(None, (line.strip() for line in places.splitlines())):
                yield Mount(_SAME.get(kind, str(kind)), base / place, tree)


def _database(folder: Path) -> Path:
    return folder / "databases" / "invokeai.db"


def _of_invoke(folder: Path, tree: str) -> Iterator[Mount]:
    """What InvokeAI's database knows the place of: files and folders anywhere, by the names that it shows."""
    file = _database(folder)
    if not file.is_file():
        return
    rows: Iterable[tuple[Any, ...]] = ()
    address = f"file:{quote(str(file))}?mode=ro"
    with (
        contextlib.suppress(sqlite3.Error, OSError),
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=2)) as database,
    ):
        rows = database.execute("SELECT path, type, name FROM models").fetchall()
    for path, kind, name in rows:
        place = _INVOKE_KINDS.get(str(kind))
        if place is None or not isinstance(path, str):
            continue
        where = folder / "models" / path  # an absolute one stays what it is
        shown = re.sub(r"[/\\\0]+", "_", str(name or where.stem)).strip(". ") or where.stem
        if where.is_file() and not shown.endswith(where.suffix):
            shown += where.suffix
        yield Mount(f"{place}/{shown}", where, tree)


def _stamp(path: Path) -> Any:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _bad(folder: Path, message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="bad_model_folder", message=message, hint=hint, value=str(folder)))
