"""The gallery, and files by name."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

from .common import Body, WorkflowDocument
from .imports import ImportReport, Kind
from .records import GalleryItem


class GalleryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs, the newest first. `next` is the value of `offset` for the following page; None at the end."""

    items: list[GalleryItem]
    total: int
    next: int | None = None


class FacetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Types of nodes, models and workflows that outputs were made with, and their tags, each with how often."""

    nodes: dict[str, int]
    models: dict[str, int]
    workflows: dict[str, int]
    tags: dict[str, int] = {}


class ItemsBody(Body, kw_only=True):
    """Outputs by id."""

    items: Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(max_length=10_000)]


Rating = Annotated[int, Meta(ge=0, le=5)]
Tags = Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=100)]


class MarkBody(ItemsBody, kw_only=True):
    """What is said of outputs, all at once. `rating` is 0 (none) to 5; what is left out stays as it is.

    Tags are words, and those that differ in case only are one; boards are named by id.
    """

    rating: Rating | None = None
    add_tags: Tags = []
    remove_tags: Tags = []
    add_boards: Tags = []
    remove_boards: Tags = []


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """A named collection of outputs. `count` are those on it that are not in the trash."""

    id: str
    name: str
    created: float
    count: int = 0


class BoardBody(Body, kw_only=True):
    """A new board, and what is to lie on it."""

    name: Annotated[str, Meta(max_length=500)]
    items: Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(max_length=10_000)] = []


class BoardName(Body, kw_only=True):
    name: Annotated[str, Meta(max_length=500)]


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs that this has changed; others were not there, or were so already."""

    items: list[str]


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the input or output folder. `name` is its path in it; `run` made it, where that is known.

    `url` and `thumbnail` are addresses on this server; `digest` is empty where nobody has needed it yet.
    """

    name: str
    size: int
    modified: float
    media_type: str
    url: str
    thumbnail: str = ""
    digest: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    run: str | None = None


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Files, the newest first. `next` is the value of `offset` for the following page; None at the end."""

    files: list[FileInfo]
    total: int
    next: int | None = None


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The file as it lies in the input folder now, and the workflow that was in it."""

    file: FileInfo
    document: WorkflowDocument | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow inside a file; `problems` are those of opening it. `report` tells what became of one of another
    program. `kind` is what it was opened as, `kinds` what it could be opened as."""

    document: WorkflowDocument
    problems: list[Problem] = []
    report: ImportReport | None = None
    kind: Kind = "safelight"
    kinds: list[Kind] = []
