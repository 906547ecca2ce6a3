"""Bodies and answers of the API that are not records of the host. See docs/api.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.host.records import GalleryItem, QueueInfo, Run, WorkerInfo
from safelight.sdk.node import NodeSpec
from safelight.sdk.pack import PackState
from safelight.sdk.problem import Problem

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
Key = Annotated[str, Meta(min_length=1, max_length=100)]
Ids = Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=10_000)]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies: a mistyped field is refused, not overlooked."""


class Problems(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to everything that cannot be done: all that is wrong, at once."""

    problems: tuple[Problem, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """It was done; `count` is how many things it touched."""

    count: int = 1


# The graph


class Connection(msgspec.Struct, frozen=True):
    """What happens on a link between two innermost types. `how`: `same`, `widen` or `no`, with the reason in words."""

    how: Literal["same", "widen", "no"]
    reason: str = ""


class ConnectionRules(msgspec.Struct, frozen=True, kw_only=True):
    """`can_connect` as data, for an editor that decides while a link is dragged.

    Take the innermost types of both ends (what is inside `list[...]`). `table[from][to]` says what happens between
    them; a pair that is not listed cannot be connected. `variables` (type variables) and a target of `Any` take
    everything. Choices fit when each text of the source is among those of the target, or the source lists none. Then
    the depths (how many `list[...]` are around): equal is as the table says; the target one deeper wraps into a list;
    the source deeper maps the node over the elements; the target deeper by two or more is refused.
    """

    table: dict[str, dict[str, Connection]]
    variables: list[str]
    refusal: str


class CatalogueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All installed nodes, the packs they came from, and the rules of connecting. `digest` changes with the content."""

    digest: str
    nodes: list[NodeSpec]
    packs: list[PackState]
    rules: ConnectionRules


class TextsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in a language: from the English text, as the catalogue and the templates have it, to the other.

    A text that is not there is shown in English.
    """

    language: str
    texts: dict[str, str]


class CheckBody(Body, kw_only=True):
    """A document to be checked, as far as `targets` need it (default: all outputs)."""

    document: msgspec.Raw
    targets: Ids | None = None


class CheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`types` has the types of the outputs of each node as they are in this graph (`node` → `output` → type)."""

    ok: bool
    problems: list[Problem]
    types: dict[str, dict[str, str]] = {}


class PlanBody(CheckBody, kw_only=True):
    """A document to be planned. `inputs` are values for the workflow's own inputs, `force` nodes to run anyhow."""

    inputs: dict[str, Any] = {}
    force: Ids = []


class PlanNode(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of a node: `cached`, `run`, `unknown` (below a choice not yet made), `off`, `unneeded`.

    `seconds` is what it took last time.
    """

    status: Literal["cached", "run", "unknown", "off", "unneeded"]
    seconds: float | None = None


class PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction. `nodes` is empty when the document has problems that keep it from running."""

    ok: bool
    nodes: dict[str, PlanNode]
    seconds: float
    problems: list[Problem]


# Runs


def _no_document() -> msgspec.Raw:
    return msgspec.Raw(b"null")


class SubmitBody(Body, kw_only=True):
    """A run to be queued: a document, or the name of a saved or shipped workflow, with values for its inputs.

    `values` sets any port, by `node.port`; in the run they are among its `inputs`. `key` makes the request repeatable:
    the same key gives the run that was accepted the first time. `checkpoint_seconds` overrides the server's setting.
    """

    document: msgspec.Raw = msgspec.field(default_factory=_no_document)
    workflow: Name | None = None
    inputs: dict[str, Any] = {}
    values: dict[str, Any] = {}
    targets: Ids | None = None
    force: Ids = []
    name: Annotated[str, Meta(max_length=200)] = ""
    priority: Priority = 0
    key: Key | None = None
    checkpoint_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None


class BatchBody(SubmitBody, kw_only=True):
    """A sweep. `rows` are sets of input values, one run each; `sweep` lists values by input, and every combination
    runs.

    Keys are names of the workflow's inputs, or `node.port` for any other port. With both, each row is combined with
    each combination. `values` and `inputs` hold for all. At most 10,000 runs.
    """

    rows: Annotated[list[dict[str, Any]], Meta(max_length=10_000)] = []
    sweep: dict[str, Annotated[list[Any], Meta(min_length=1, max_length=10_000)]] = {}


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    batch: str
    runs: list[str]


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, the newest first. `next` is the value of `before` for the following page; None at the end."""

    runs: list[Run]
    total: int
    next: str | None = None


class EditRunBody(Body, kw_only=True):
    """Changes to a run that has not started. `ahead_of` and `behind` name another waiting run."""

    name: Annotated[str, Meta(max_length=200)] | None = None
    priority: Priority | None = None
    ahead_of: Key | None = None
    behind: Key | None = None


class CancelBody(Body, kw_only=True):
    """`hard` ends the worker process at once instead of asking the node to stop."""

    hard: bool = False


class RunDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The problems of a run with their tracebacks, for the details view. Given on the own machine only."""

    problems: tuple[Problem, ...]


class QueueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`running` in the order of their start, `waiting` in the order in which they will start (the first 1,000)."""

    queue: QueueInfo
    running: list[Run]
    waiting: list[Run]
    paused: list[Run]


# Workflows


class SaveBody(Body, kw_only=True):
    """`revision` is the one that was edited: 0 for a new workflow. Another one on disk is a conflict (409).

    An `autosave` takes the place of the autosave before it, but leaves one every five minutes.
    """

    document: msgspec.Raw
    revision: Annotated[int, Meta(ge=0, le=1 << 53)]
    message: Annotated[str, Meta(max_length=500)] = ""
    autosave: bool = False


class RenameBody(Body, kw_only=True):
    name: Name
    revision: Annotated[int, Meta(ge=1, le=1 << 53)]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow that comes with the program. `picture` is the address of a small WebP picture, if there is one."""

    name: str
    title: str
    description: str
    nodes: int
    picture: str = ""


class SavePartBody(Body, kw_only=True):
    """`revision` is the one that was edited: 0 for a new name. Another one on disk is a conflict (409)."""

    document: msgspec.Raw
    revision: Annotated[int, Meta(ge=0, le=1 << 53)]


# The gallery


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


# Files, models, system


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
    run: str | None = None


class FilePage(msgspec.Struct, frozen=True, kw_only=True):
    """Files, the newest first. `next` is the value of `offset` for the following page; None at the end."""

    files: list[FileInfo]
    total: int
    next: int | None = None


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The file as it lies in the input folder now, and the workflow that was in the picture."""

    file: FileInfo
    document: dict[str, Any] | None = None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """The workflow inside a file; `problems` are those of opening it."""

    document: dict[str, Any]
    problems: list[Problem] = []


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be named in a model port. `place`: `starter`, `hub`, `folder` or `file`.

    `components` are the bytes on disk of each part, `precision` the type that most weights are kept in. `problem` says
    why it cannot be used, if so.
    """

    name: str
    place: str
    kind: str = ""
    family: str = ""
    size: int = 0
    components: dict[str, int] = {}
    precision: str = ""
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


class Device(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    memory: int = 0
    free: int = 0


class SystemAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, devices and memory, as they are now. `memory` and `free` are those of the machine, in bytes."""

    version: str
    python: str
    libraries: dict[str, str]
    platform: str
    processors: int
    memory: int
    free: int
    server_memory: int
    folder: str | None
    disk_free: int
    uptime: float
    devices: list[Device]
    workers: list[WorkerInfo]


class SettingsBody(Body, kw_only=True):
    """Only what is given is changed."""

    max_deaths: Annotated[int, Meta(ge=1, le=20)] | None = None
    checkpoint_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    cancel_grace: Annotated[float, Meta(ge=0, le=600)] | None = None
    history_limit: Annotated[int, Meta(ge=10, le=1_000_000)] | None = None
    trash_days: Annotated[float, Meta(ge=0, le=3650)] | None = None
    editor: dict[str, Any] | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`: there is a worker that takes runs."""

    status: Literal["ok"] = "ok"
    ready: bool = False
    version: str = ""
    uptime: float = 0.0


# Websocket


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="hello"):
    """The first message on the socket. `number` is the latest event; `resumed` says that nothing was missed since
    the `after` that was asked for."""

    server: str
    version: str
    number: int
    resumed: bool


class Events(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="events"):
    """Events in order. Each is `{"number", "at", "data"}`; `data.event` names it."""

    events: list[Any]


class Watch(msgspec.Struct, frozen=True, kw_only=True, tag_field="message", tag="watch", forbid_unknown_fields=True):
    """From the client: send previews of these runs (`["*"]`: of all) as binary frames; an empty list stops them."""

    previews: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)]


class PreviewHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a binary frame: two bytes of its length (big-endian), this as JSON, then the picture itself."""

    run: str
    node: str
    step: int
    total: int
    media_type: str
    width: int
    height: int
