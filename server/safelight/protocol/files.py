"""The gallery, and files by name."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from safelight.sdk.problem import Problem

from .common import Body, WorkflowDocument
from .imports import ImportReport
from .records import GalleryItem


class GalleryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs, the newest first. `next` is the value of `offset` for the following page; None at the end."""

    items: list[GalleryItem]
    total: int
    next: int | None = None


class FacetsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Types of nodes, models and workflows that outputs were made with, each with how often."""

    nodes: dict[str, int]
    models: dict[str, int]
    workflows: dict[str, int]


class ItemsBody(Body, kw_only=True):
    """Outputs by id."""

    items: Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(max_length=10_000)]


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
    program."""

    document: WorkflowDocument
    problems: list[Problem] = []
    report: ImportReport | None = None
