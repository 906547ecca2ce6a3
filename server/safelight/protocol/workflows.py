"""Saved workflows."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .common import Body, Name, RawDocument


class SaveBody(Body, kw_only=True):
    """`revision` is the one that was edited: 0 for a new workflow. Another one on disk is a conflict (409).

    An `autosave` takes the place of the autosave before it, but leaves one every five minutes.
    `draft` says of a new one that it has no name yet: it is listed among the drafts, until it is renamed.
    """

    document: RawDocument
    revision: Annotated[int, Meta(ge=0, le=1 << 53)]
    message: Annotated[str, Meta(max_length=500)] = ""
    autosave: bool = False
    draft: bool = False


class RenameBody(Body, kw_only=True):
    name: Name
    revision: Annotated[int, Meta(ge=1, le=1 << 53)]


class PlaceBody(Body, kw_only=True):
    """Where a workflow is listed; what is left out stays as it is. `opened` notes that it was opened now.

    A `folder` is named as `portraits/night`; empty: none. Folders come and go with the workflows in them.
    """

    folder: Annotated[str, Meta(max_length=250)] | None = None
    starred: bool | None = None
    opened: bool = False


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


class TemplateCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a shipped workflow takes on this machine.

    `models` are those that it names, the starter model among them, `extra` is the extra of the package that it needs;
    what of both is not here is `missing`. `seconds` is what it took when it ran here as it is, so that all of it is
    cached now; None before. `steps` are the most sampling steps that one image takes; 0 where nothing is sampled, or
    where they are not typed in.
    """

    name: str
    models: tuple[str, ...] = ()
    extra: str = ""
    missing: tuple[str, ...] = ()
    seconds: float | None = None
    steps: int = 0
