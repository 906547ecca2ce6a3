"""Messages on the websocket."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .records import NumberedEvent


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="hello"):
    """The first message on the socket. `number` is the latest event; `resumed` says that nothing was missed since
    the `after` that was asked for."""

    server: str
    version: str
    number: int
    resumed: bool


class Events(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="events"):
    """Events in order; `data.event` names each."""

    events: list[NumberedEvent]


class Watch(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="watch", forbid_unknown_fields=True):
    """From the client: send previews of these runs (`["*"]`: of all) as binary frames; an empty list stops them."""

    previews: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)]


class PreviewHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a binary frame: two bytes of its length (big-endian), this as JSON, then the image itself."""

    run: str
    node: str
    step: int
    total: int
    media_type: str
    width: int
    height: int
