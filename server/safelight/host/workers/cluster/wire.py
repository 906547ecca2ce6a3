"""What the pool and its bridge say to each other: tagged structs in MessagePack, each with its length in front, over
the bridge's standard input and output. What a worker says, and is told, goes through as it is, as `data`."""

from __future__ import annotations

from typing import IO

import msgspec

from safelight.sdk.problem import Problem

from ..wire import framed, read_body


class BridgeMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    """Base of all messages."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Room for one worker: a machine of the cluster by Ray's id of it, and the how many-eth of its GPUs; -1 is a
    machine without."""

    node: str
    gpu: int
    host: str = ""


# To the bridge


class Connect(BridgeMessage, frozen=True, kw_only=True, tag="connect"):
    """The first message. `address` is as `ray.init` takes it; `home` and `inputs` are folders of the server, `disk` is
    what its cache may take, in bytes; `threads` is what each worker computes with (0: its share of the machine);
    `patience` the seconds that a worker out of reach is waited for, `start` those that one may take to start; `readers`
    are ids of nodes that read whole folders."""

    address: str
    home: str
    inputs: tuple[str, ...]
    disk: int
    threads: int
    patience: float
    start: float
    readers: tuple[str, ...] = ()


class Open(BridgeMessage, frozen=True, kw_only=True, tag="open"):
    """Start a worker there. Answered by `Opened` or `Gone`."""

    worker: str
    place: Place


class Send(BridgeMessage, frozen=True, kw_only=True, tag="send"):
    worker: str
    data: bytes


class Close(BridgeMessage, frozen=True, kw_only=True, tag="close"):
    """End a worker at once."""

    worker: str


ToBridge = Connect | Open | Send | Close

# From the bridge


class Connected(BridgeMessage, frozen=True, kw_only=True, tag="connected"):
    """The cluster has let us in."""


class Refused(BridgeMessage, frozen=True, kw_only=True, tag="refused"):
    """It has not, or cannot be used."""

    problem: Problem


class Places(BridgeMessage, frozen=True, kw_only=True, tag="places"):
    """All that there are, whenever they are others than before."""

    places: list[Place]


class Opened(BridgeMessage, frozen=True, kw_only=True, tag="opened"):
    worker: str
    pid: int


class Heard(BridgeMessage, frozen=True, kw_only=True, tag="heard"):
    worker: str
    data: bytes


class Gone(BridgeMessage, frozen=True, kw_only=True, tag="gone"):
    """A worker has ended: by itself, with the `code` of its process, or because of what `said` tells."""

    worker: str
    code: int = 1
    said: str = ""
    starved: bool = False


FromBridge = Connected | Refused | Places | Opened | Heard | Gone

to_bridge = msgspec.msgpack.Decoder(ToBridge)
from_bridge = msgspec.msgpack.Decoder(FromBridge)
_encoder = msgspec.msgpack.Encoder()


def packed(message: BridgeMessage) -> bytes:
    return framed(_encoder.encode(message))


def read_told(file: IO[bytes]) -> ToBridge | None:
    """The next message to the bridge; None when the server is gone."""
    body = read_body(file)
    return None if body is None else to_bridge.decode(body)
