"""Saved workflows."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .common import Body, Name, RawDocument


class SaveBody(Body, kw_only=True):
    """`revision` is the one that was edited: 0 for a new workflow. Another one on disk is a conflict (409).

    An `autosave` takes the place of the autosave before it, but leaves one every five minutes.
    """

    document: RawDocument
    revision: Annotated[int, Meta(ge=0, le=1 << 53)]
    message: Annotated[str, Meta(max_length=500)] = ""
    autosave: bool = False


class RenameBody(Body, kw_only=True):
    name: Name
    revision: Annotated[int, Meta(ge=1, le=1 << 53)]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that comes with the program, and the heading that it is offered under: they come in that order.

    `image` is the address of a small WebP image, if there is one.
    """

    name: str
    title: str
    description: str
    nodes: int
    image: str = ""
    group: str = ""
