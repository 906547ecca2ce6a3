"""Model files in the bucket: sent by name, fetched by digest, signed like results."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from safelight.disk import exclusive
from safelight.sdk.codec import hash_text
from safelight.sdk.problem import Problem, ProblemError

from .bucket import Bucket, Put
from .options import SharedOptions
from .seal import FORMAT, MODEL, ModelFile, ModelHead, Refused, sealed, unsealed

log = logging.getLogger(__name__)

_WEIGHTS = (".safetensors", ".gguf", ".onnx")
ENDINGS = (*_WEIGHTS, ".json", ".txt", ".model", ".jinja")
"""What a model may consist of here: weights that are data alone, configurations, tokenizers. No pickle, no program."""
HEAD_BYTES = 4 << 20
_DRAFTS = ".downloads"


def head_path(name: str) -> str:
    digest = hash_text(name)
    return f"{FORMAT}/models/names/{digest[:2]}/{digest}"


def file_path(sha256: str) -> str:
    return f"{FORMAT}/models/files/{sha256[:2]}/{sha256}"


def send_model(options: SharedOptions, name: str, root: Path, pickles: Collection[str] = ()) -> ModelHead:
    """Puts a model into the bucket, for the team to fetch by its name. Files that are there already are not sent again.

    Args:
        options: the bucket and the key.
        name: how workflows call it: its path below a folder of models.
        root: the file or folder itself.
        pickles: how files end that hold weights, and are not sent.

    Raises:
        ProblemError: `unsafe_weights` for files of other sorts alone, and for a folder in which weights are pickles.
        Away: the bucket cannot be reached.
        OSError: a file cannot be read.
    """
    files = {name: root} if root.is_file() else dict(_below(name, root))
    chosen = {path: file for path, file in files.items() if PurePosixPath(path).suffix.lower() in ENDINGS}
    if not chosen or (root.is_file() and len(chosen) < len(files)):
        message = f"{name!r} has no files that a team may fetch."
        hint = f"Those end in {', '.join(ENDINGS)}. `safelight models convert` makes safetensors of a pickle."
        raise ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))
    whole = {PurePosixPath(path).parent for path in chosen if PurePosixPath(path).suffix.lower() in _WEIGHTS}
    left_out = [PurePosixPath(path) for path in files if PurePosixPath(path).suffix.lower() in pickles]
    if (index := f"{name}/model_index.json") in files:  # what is no part of it may lie beside
        parts = msgspec.json.decode(files[index].read_bytes(), type=dict[str, Any])
        left_out = [path for path in left_out if path.parent.name in parts]
    lacking = sorted(str(path) for path in left_out if path.parent not in whole)
    if lacking:
        message = f"{name!r} would come without its weights: {', '.join(lacking[:5])} are pickles, which are not sent."
        hint = "`safelight models convert` makes safetensors of a pickle."
        raise ProblemError(Problem(code="unsafe_weights", message=message, hint=hint, value=name))
    told = [ModelFile(path, file.stat().st_size, _digest(file)) for path, file in sorted(chosen.items())]
    head = ModelHead(tuple(told))
    bucket = Bucket(options.url)
    try:
        jobs = {file_path(one.sha256): Put(file_path(one.sha256), chosen[one.path], one.length) for one in told}
        there = bucket.look(list(jobs))
        for path, job in jobs.items():
            if path not in there or there[path].bytes != job.bytes:
                bucket.put([job])
        data = sealed(options.key, MODEL, name, head)
        bucket.put([Put(head_path(name), data, len(data))])
    finally:
        bucket.close()
    return head


def read_head(key: bytes, name: str, data: bytes) -> ModelHead:
    """What is said of a model.

    Raises:
        Refused: it is not signed by the team, or names files elsewhere than where the model lies, or of other sorts.
    """
    head = unsealed(key, MODEL, name, data, ModelHead)
    for file in head.files:
        parts = file.path.split("/")
        strange = any(part in ("", ".", "..") or set(part) & set('\\:\0"<>|?*') for part in parts)
        below = file.path == name or file.path.startswith(name + "/")
        if strange or not below or PurePosixPath(file.path).suffix.lower() not in ENDINGS:
            raise Refused(f"it holds {file.path[:200]!r}, which is no file of this model")
    if not head.files:
        raise Refused("it has no files")
    return head


def place_model(bucket: Bucket, head: ModelHead, name: str, folder: Path, wait: float) -> bool:
    """Fetches the files of a model into a folder of models: all of them, or none. False where one has vanished.

    Raises:
        Refused: the bytes of a file are not those that were signed.
        Away: see `Bucket.get`.
        OSError: the disk does not take it.
    """
    drafts = folder / _DRAFTS
    drafts.mkdir(parents=True, exist_ok=True)
    mark = f"team-{hash_text(name)}"
    target = folder / name
    with exclusive(drafts / f"{mark}.lock"):
        if target.exists():  # another process has fetched it meanwhile
            return True
        draft = drafts / mark
        try:
            for file in head.files:
                path = draft / file.path.removeprefix(name).lstrip("/") if file.path != name else draft / "file"
                path.parent.mkdir(parents=True, exist_ok=True)
                found = bucket.save(file_path(file.sha256), path, file.length, wait)
                if found is None:
                    return False
                if found != file.sha256:
                    raise Refused("its bytes are not those that were signed")
            target.parent.mkdir(parents=True, exist_ok=True)
            (draft / "file" if head.files[0].path == name else draft).replace(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return True


def _below(name: str, root: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in inside.parts):
            yield f"{name}/{inside.as_posix()}", path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
