"""A model as it is listed, and what is asked of a list of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from safelight.sdk.models import Source
from safelight.sdk.problem import Problem

from .headers import is_pickle, is_safetensors, read_header
from .layout import Layout
from .notes import noted
from .walk import Found


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model as it is listed.

    `sort` says which one a preprocessor is: `hed`, or a class of transformers such as `SamModel`.
    `place` is where it was found (see `Source`), `components` the bytes on disk of each part, `precision` the type that
    most of its weights are kept in (`F16`, `BF16`, `F32`). `problem` says why it cannot be used, if so.

    `format` is `diffusers` (a folder), `safetensors`, `gguf`, `onnx` or `pickle`; `tree` the added model folder it lies
    in, empty for our own; `preview` an image of what it makes. `title`, `triggers` (words for prompts), `licence` and
    `source` (an address) are what its makers or the user noted. `sha256` is empty until it has been computed.
    """

    name: str
    place: Literal["starter", "hub", "folder", "file"]
    kind: str = ""
    sort: str = ""
    family: str = ""
    components: dict[str, int] = {}
    bytes: int = 0
    precision: str = ""
    path: str
    format: str = ""
    tree: str = ""
    modified: float = 0.0
    preview: str = ""
    title: str = ""
    triggers: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""
    sha256: str = ""
    problem: Problem | None = None


def usable(source: Source, layout: Layout, found: Found) -> ModelEntry:
    """The entry of a model that was read.

    Raises:
        ProblemError, OSError: its files cannot be read after all.
    """
    sizes = {
        part or "weights": sum(file.stat().st_size for file in files.weights)
        for part, files in layout.parts.items()
        if files.weights
    }
    weights = [file for part in layout.parts.values() for file in part.weights if file.suffix != ".json"]
    largest = max(weights, key=lambda file: file.stat().st_size, default=None)
    header = read_header(largest) if largest else None
    about = noted(header.metadata if header else {}, found.notes)
    return ModelEntry(
        name=f"{source.name}@{source.revision}" if source.revision else source.name,
        place=source.place,
        kind=layout.kind,
        sort=layout.sort,
        family=layout.family,
        components=sizes,
        bytes=layout.bytes(),
        precision=header.dtypes() if header else "",
        path=str(layout.root),
        **_about(found),
        title=about.title,
        triggers=about.triggers,
        licence=about.licence,
        source=about.source,
    )


def unusable(found: Found, problem: Problem) -> ModelEntry:
    """The entry of a file or folder that no model could be read from."""
    size = found.path.stat().st_size if found.path.is_file() else 0
    about = _about(found)
    return ModelEntry(name=found.name, place=found.place, path=str(found.path), bytes=size, problem=problem, **about)


def _about(found: Found) -> dict[str, Any]:
    preview = str(found.preview) if found.preview else ""
    modified = found.path.stat().st_mtime
    return {"format": _format(found.path), "tree": found.tree, "modified": modified, "preview": preview}


def _format(path: Path) -> str:
    if path.is_dir():
        return "diffusers"
    return "safetensors" if is_safetensors(path) else "pickle" if is_pickle(path) else path.suffix.lower().lstrip(".")


def matching(
    entries: Iterable[ModelEntry], words: str = "", *, kind: str = "", family: str = "", usable: bool | None = None
) -> list[ModelEntry]:
    """Those entries that have all the words, in any of their texts, and are of this kind and family."""
    wanted = words.casefold().split()
    return [
        entry
        for entry in entries
        if (not kind or entry.kind == kind)
        and (not family or entry.family == family)
        and (usable is None or usable == (entry.problem is None))
        and all(word in _texts(entry) for word in wanted)
    ]


def _texts(entry: ModelEntry) -> str:
    parts = (entry.name, entry.title, entry.kind, entry.family, entry.format, entry.tree, entry.licence, entry.sha256)
    return "\n".join((*parts, *entry.triggers, entry.problem.code if entry.problem else "")).casefold()
