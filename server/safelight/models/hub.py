"""Models of the Hugging Face hub: the local cache first, the network only on request.

Layout of the cache: https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from safelight.sdk.problem import Problem, ProblemError

from .walk import INDEXES

Progress = Callable[[str, int, int], None]
"""Told of a download: the file, the bytes that are there, the bytes in all."""


class Stopped(Exception):
    """Raised by who is told of progress, to stop a download; what has arrived is kept."""


_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_PART = re.compile(
    r"(?:\w+_)?(?:unet|transformer|vae|text_encoder|text_conditioner|image_encoder|tokenizer|processor|scheduler)(?:_\d)?"
    r"|connectors|vocoder"
)
"""The subfolders of a pipeline that families read."""
_SETTINGS = ("*.json", "*.txt", "*.jinja")
_WEIGHTS = ("diffusion_pytorch_model.", "diffusion_pytorch_model-", "model.", "model-")


def split_name(name: str) -> tuple[str, str]:
    """`org/name/path/inside` as repository and path; two empty strings when it cannot be one."""
    parts = name.split("/")
    repository = "/".join(parts[:2])
    if len(parts) < 2 or not _REPOSITORY.fullmatch(repository) or ".." in repository or not all(parts):
        return "", ""
    return repository, "/".join(parts[2:])


def command(repository: str, revision: str = "", inside: str = "") -> str:
    """The command that brings what is read of a repository (see `wanted_files`) into the cache, and no more."""
    name = f"{repository}/{inside}" if inside else repository
    return f"safelight models download {shlex.quote(f'{name}@{revision}' if revision else name)}"


def exists(path: Path) -> bool:
    """Whether something lies there. Unlike `Path.exists` it is False for names that no file can have."""
    try:
        return path.exists()
    except OSError:
        return False


def storage(cache: Path, repository: str) -> Path:
    return cache / ("models--" + repository.replace("/", "--"))


def snapshot(cache: Path, repository: str, revision: str) -> Path | None:
    """The folder of a repository's files at a revision (branch, tag or commit), if the cache has it."""
    folder = storage(cache, repository)
    wanted = revision or "main"
    commit = wanted
    with contextlib.suppress(OSError):
        commit = (folder / "refs" / wanted).read_text().strip()
    found = folder / "snapshots" / commit
    if "/" in commit or commit in ("", ".", "..") or not exists(found):
        return None
    return found


def repositories(cache: Path) -> Iterator[tuple[str, Path]]:
    """Every repository of the cache that has files, and their folder at the newest revision it knows."""
    for folder in sorted(cache.glob("models--*--*")):
        repository = folder.name.removeprefix("models--").replace("--", "/", 1)
        branch = snapshot(cache, repository, "")
        others = sorted((folder / "snapshots").glob("*"), key=lambda path: path.stat().st_mtime)
        found = branch or (others[-1] if others else None)
        if found is not None:
            yield repository, found


def blob_digest(path: Path) -> str:
    """The digest that the cache names a file by (SHA-256, or Git's SHA-1 for small ones), or the empty string."""
    target = path.resolve()
    if target.parent.name == "blobs" and _BLOB.fullmatch(target.name) and target != path:
        return target.name
    return ""


def wanted_files(names: Sequence[str], inside: str = "") -> list[str]:
    """Those files of a repository that Safelight reads: settings, and one set of safetensors.

    Of two sets, the `fp16` one is taken: half the bytes, and no more than that is computed with.
    `inside` is a folder or file of the repository, where it holds more than one model.
    """
    if inside and inside in names:
        folder = inside.rpartition("/")[0]
        beside = f"{folder}/image_encoder" if folder else "image_encoder"
        if "vit-h" in inside.lower() and "models/image_encoder/config.json" in names:
            beside = "models/image_encoder"
        return [inside, *_one_folder(names, beside)]
    if inside:
        return _one_folder(names, inside)
    if any(name in INDEXES for name in names):
        found = [name for name in names if name in (*INDEXES, "latent_rgb.json")]
        folders = sorted({name.partition("/")[0] for name in names if "/" in name})
        return found + [name for part in folders if _PART.fullmatch(part) for name in _one_folder(names, part)]
    return _one_folder(names, "")


def _one_folder(names: Sequence[str], folder: str) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    inside = [name for name in names if name.startswith(prefix) and "/" not in name.removeprefix(prefix)]
    settings = [name for name in inside if any(fnmatch.fnmatch(name, pattern) for pattern in _SETTINGS)]
    weights = [name for name in inside if name.lower().endswith(".safetensors") and ".non_ema" not in name]
    # Beside a component in the libraries' layout some repositories keep it once more, as a single file.
    named = [name for name in weights if name.removeprefix(prefix).startswith(_WEIGHTS)]
    weights = named if named and f"{prefix}config.json" in settings else weights
    half = [name for name in weights if ".fp16" in name]
    # The list of the shards of a set that is not fetched would ask for them.
    lists = [name for name in settings if ".safetensors.index" in name]
    left = [name for name in lists if half and ".fp16" not in name]
    return [name for name in settings if name not in left] + (half or weights)


def download(
    repository: str,
    revision: str,
    inside: str,
    cache: Path,
    progress: Progress | None = None,
    endpoint: str | None = None,
) -> None:
    """Brings a repository's files (see `wanted_files`) into the cache.

    Raises:
        ProblemError: `model_missing` or `download_failed`, with what the hub says.
    """
    from huggingface_hub import HfApi, hf_hub_download

    api = HfApi(endpoint=endpoint)
    try:
        facts = api.model_info(repository, revision=revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in facts.siblings or ()}
        names = wanted_files(list(sizes), inside)
        if not names:
            what = f"{repository}/{inside}" if inside else repository
            hint = "It may hold pickles only; look for a repository with safetensors."
            message = f"{what!r} has no settings or safetensors on the hub."
            raise ProblemError(Problem(code="model_missing", message=message, hint=hint, value=repository))
        for name in names:
            hf_hub_download(
                repository,
                name,
                # By branch or tag, so that the cache learns what it points to.
                revision=revision or None,
                cache_dir=cache,
                endpoint=endpoint,
                tqdm_class=_teller(name, sizes[name], progress),
            )
    except (ProblemError, Stopped):
        raise
    except Exception as error:  # network, disk, rights: all mean that the model is not there, and why is in the text
        raise _failed(repository, error) from error


def _failed(repository: str, error: Exception) -> ProblemError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    code, hint = "download_failed", "Try again when the network is there; files that have arrived are kept."
    if isinstance(error, GatedRepoError):
        hint = f"Accept its licence on https://huggingface.co/{repository}, then run `hf auth login`."
    elif isinstance(error, RepositoryNotFoundError | RevisionNotFoundError):
        code, hint = "model_missing", "Check the spelling; for a private one run `hf auth login`."
    message = f"{repository!r} could not be downloaded: {reason}"
    return ProblemError(Problem(code=code, message=message, hint=hint, value=repository))


def _teller(name: str, size: int, progress: Progress | None) -> Any:
    """A progress bar that draws nothing and tells `progress` instead."""
    from tqdm.auto import tqdm

    class Teller(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "disable": True})
            self.here = int(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self.here += int(n or 0)
            if progress is not None:
                progress(name, self.here, max(size, self.here))
            return None

    return Teller
