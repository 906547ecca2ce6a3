"""Presets: values for the fields of a type of node, under a name."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .common import Body

_Name = Annotated[str, Meta(max_length=500)]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """`values` by port, for the `version` of the node that is installed; ports that are left out stay as they are.

    `standard`: new nodes of the type begin with it; one of each type at most is. `modified` is in seconds since 1970.
    """

    id: str
    type: str
    version: int
    name: str
    values: dict[str, Any]
    standard: bool = False
    modified: float = 0.0


class PresetBody(Body, kw_only=True):
    """One to be kept; it takes the place of one of the same name and type."""

    type: Annotated[str, Meta(min_length=1, max_length=300)]
    version: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    name: _Name
    values: dict[str, Any]
    standard: bool = False


class PresetChange(Body, kw_only=True):
    """What is left out stays as it is."""

    name: _Name | None = None
    standard: bool | None = None
