"""What server and worker say to each other: tagged structs in MessagePack, each with its length in front.

They speak over the worker's standard input and output, which every platform has, and which end when either side dies.
"""

from __future__ import annotations

import struct
from typing import IO, Any, Literal

import msgspec

from safelight.engine.result import NodeReport
from safelight.protocol.events import AnyEvent
from safelight.protocol.facts import Facts
from safelight.sdk.problem import Problem
from safelight.sdk.values import File

LENGTH = struct.Struct(">I")
MAX_FRAME = 256 << 20


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    """Base of all messages."""


# To the worker


class Setup(Message, frozen=True, kw_only=True, tag="setup"):
    """The first message: where the data lies, and what may be used of the machine. With `apart` the server has another
    cache: what nodes show is sent to it."""

    home: str
    worker: str
    inputs: tuple[str, ...] = ()
    memory: int
    disk: int
    allow_download: bool = False
    shared_cache: str | None = None
    warm: bool = True
    apart: bool = False


class Begin(Message, frozen=True, kw_only=True, tag="begin"):
    """Run this document. `attempt` tells its answers from those of an earlier try, `parent` is the span of a trace that
    it belongs to (W3C's `traceparent`).

    With `shared` other workers may help; with `part` this one is to help: it computes what nobody has begun.
    """

    run: str
    attempt: int
    document: bytes
    inputs: dict[str, Any]
    targets: list[str] | None
    force: list[str]
    checkpoint_seconds: float
    previews: bool
    shared: bool = False
    part: bool = False
    parent: str = ""


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    """Stop this run at its next step."""

    run: str


class Watched(Message, frozen=True, kw_only=True, tag="watched"):
    """Whether anybody looks at previews of the run that goes on."""

    previews: bool


class Free(Message, frozen=True, kw_only=True, tag="free"):
    """Let go of models and of values in memory; with `cache`, forget the whole cache."""

    cache: bool = False


class Quit(Message, frozen=True, kw_only=True, tag="quit"):
    """End when the current run has."""


ToWorker = Setup | Begin | Stop | Watched | Free | Quit

# From the worker


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """Takes runs from now on; libraries may still be loading."""

    pid: int


class Warm(Message, frozen=True, kw_only=True, tag="warm"):
    """All libraries are loaded. `place` is the device as torch names it, `device` what it is."""

    seconds: float
    device: str
    numerics: str
    libraries: dict[str, str]
    memory: int = 0
    free: int = 0
    place: str = ""


class Beat(Message, frozen=True, kw_only=True, tag="beat"):
    """Alive. `memory` is what the process holds, `free` what is left of its device's, in bytes; `cache` are the bytes
    of results that it keeps in memory, `hits` and `misses` how often it found one."""

    memory: int
    free: int = 0
    cache: int = 0
    hits: int = 0
    misses: int = 0


class Told(Message, frozen=True, kw_only=True, tag="told"):
    """Events of the run, in order."""

    run: str
    attempt: int
    events: list[AnyEvent]


class Logged(Message, frozen=True, kw_only=True, tag="logged"):
    """A line that a program has logged while it worked for the run. `details` is a traceback."""

    run: str
    at: float
    level: Literal["info", "warning", "error"]
    logger: str
    said: str
    details: str = ""


class Preview(Message, frozen=True, kw_only=True, tag="preview"):
    """A small image of how far a node has come."""

    run: str
    node: str
    step: int
    total: int
    media_type: str
    width: int
    height: int
    data: bytes


class Made(Message, frozen=True, kw_only=True, tag="made"):
    """A finished file. `path` is absolute, `facts` are how it was made."""

    path: str
    media_type: str
    digest: str
    size: int
    width: int
    height: int
    frames: int = 0
    seconds: float = 0.0
    node: str | None = None
    output: str | None = None
    facts: Facts = Facts()


class Blob(Message, frozen=True, kw_only=True, tag="blob"):
    """The bytes of a file that a node shows without saving it, before the event that names it."""

    digest: str
    data: bytes


class Ended(Message, frozen=True, kw_only=True, tag="ended"):
    """The run is over; all its files are written. `outputs` are as `Outcome.outputs`, `shown` the files of nodes that
    show without saving, `models` the names of those that the worker holds, `types` the types of nodes by their ids,
    those of turns without the turn's number."""

    run: str
    attempt: int
    status: str
    seconds: float
    nodes: dict[str, NodeReport]
    outputs: dict[str, list[dict[str, Any]]]
    files: list[Made]
    problems: list[Problem]
    shown: dict[str, list[File]] = {}
    models: tuple[str, ...] = ()
    types: dict[str, str] = {}


class Helped(Message, frozen=True, kw_only=True, tag="helped"):
    """There is nothing left to begin of a run that this worker was to help with."""

    run: str
    models: tuple[str, ...] = ()


class Freed(Message, frozen=True, kw_only=True, tag="freed"):
    memory: int


FromWorker = Ready | Warm | Beat | Told | Logged | Preview | Blob | Ended | Helped | Freed

to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(FromWorker)
_encoder = msgspec.msgpack.Encoder(enc_hook=repr)


def frame(message: Message) -> bytes:
    return framed(_encoder.encode(message))


def read_message(file: IO[bytes]) -> ToWorker | None:
    """The next message; None when the other side is gone."""
    body = read_body(file)
    return None if body is None else to_worker.decode(body)


def framed(body: bytes) -> bytes:
    """Bytes with their length in front."""
    return LENGTH.pack(len(body)) + body


def read_body(file: IO[bytes]) -> bytes | None:
    """What `framed` has got; None when the other side is gone."""
    head = file.read(LENGTH.size)
    if head is None or len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = file.read(length)
    return body if len(body) == length else None
