"""Models: what there is, what is fetched, what a workflow lacks."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

from .common import Body, RawDocument
from .records import DownloadInfo


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be named in a model port. `place`: `starter`, `hub`, `folder` or `file`.

    `components` are the bytes on disk of each part, `precision` the type that most weights are kept in. `problem` says
    why it cannot be used, if so. `sort` says which one a preprocessor is: `hed`, or a class of transformers such as
    `SamModel`. `format` is `diffusers`, `safetensors`, `gguf`, `onnx` or `pickle`; `tree` names the
    added folder it lies in. `preview` is the address of an image of what it makes, if there is one. `title`, `triggers`
    (words for prompts), `licence` and `source` are what was noted about it; `sha256` is empty until it was computed.
    """

    name: str
    place: str
    kind: str = ""
    sort: str = ""
    family: str = ""
    size: int = 0
    components: dict[str, int] = {}
    precision: str = ""
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


class ScanProgress(msgspec.Struct, frozen=True, kw_only=True):
    """So many of so many models were looked at."""

    done: int
    total: int


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """`scanning` is set while the search goes on: `models` is what was known before it then.

    Its end is told by the event `models_changed`.
    """

    models: list[ModelInfo]
    scanning: ScanProgress | None = None


class DuplicateList(msgspec.Struct, frozen=True, kw_only=True):
    """Groups of models whose files are equal. `hashing` is set while files are still read: ask again later."""

    groups: list[list[ModelInfo]]
    hashing: ScanProgress | None = None


class MissingBody(Body, kw_only=True):
    """A workflow."""

    document: RawDocument


class MissingModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a workflow names and that is not there, or not to be told; `ports` are where (`node.port`).

    `url`, `sha256`, `size` and `folder` go into the body of `POST /downloads` as they are; `url` is empty where nobody
    says where it can be had. With `asks` the user must agree to the host first.
    """

    name: str
    kind: str
    ports: tuple[str, ...]
    problem: Problem
    url: str = ""
    sha256: str = ""
    size: int = 0
    folder: str = ""
    asks: bool = False


class MissingList(msgspec.Struct, frozen=True, kw_only=True):
    """The models that a workflow lacks."""

    models: list[MissingModel]


class DownloadBody(Body, kw_only=True):
    """`url` is the https address of a file, or `org/name` of the hub, with `/path/inside` and `@revision`.

    `folder` is the subfolder of the models folder, by default that of its kind; `name` the file's. `sha256` and `size`
    are what it must be. `confirmed` is the host that the user has agreed to, where the settings do not name it.
    """

    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    folder: Annotated[str, Meta(max_length=200)] = ""
    name: Annotated[str, Meta(max_length=200)] = ""
    sha256: Annotated[str, Meta(pattern="^([0-9a-fA-F]{64})?$")] = ""
    size: Annotated[int, Meta(ge=0, le=1 << 50)] = 0
    confirmed: Annotated[str, Meta(max_length=300)] = ""


class DownloadList(msgspec.Struct, frozen=True, kw_only=True):
    """All downloads that go on, wait, are paused, or ended since the server was started; newest last."""

    downloads: list[DownloadInfo]


class FolderBody(Body, kw_only=True):
    """A folder of this machine. `like` is `plain`, `comfyui`, `a1111` or `invokeai`; empty: told from what is in it."""

    folder: Annotated[str, Meta(min_length=1, max_length=1000)]
    like: Annotated[str, Meta(max_length=40)] = ""


class ModelFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that models are looked for in. Our own have no `name`, and cannot be removed.

    `folder` is told on the machine itself only.
    """

    name: str
    like: str
    folder: str | None


class FolderList(msgspec.Struct, frozen=True, kw_only=True):
    """Model folders in the order in which names are looked up, and what is wrong with any of them."""

    folders: list[ModelFolder]
    problems: list[Problem] = []
