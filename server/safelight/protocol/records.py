"""What the server knows and tells: runs, files, workers, workflows, and the events about them.

All are plain structs; HTTP answers, events, the OpenAPI document and the editor's TypeScript types are made of them.
Times are seconds since 1970 (UTC), durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from safelight.sdk.pack import PackState
from safelight.sdk.problem import Problem
from safelight.sdk.values import File

from .common import WorkflowDocument
from .events import (
    NodeFailed,
    NodeFinished,
    NodeProgress,
    NodeSkipped,
    NodeStarted,
    NodeWarned,
    RunFinished,
    RunStarted,
)
from .facts import Parameter

RunState = Literal["queued", "running", "paused", "interrupted", "done", "failed", "cancelled"]
WAITING: tuple[RunState, ...] = ("interrupted", "queued")
ENDED: tuple[RunState, ...] = ("done", "failed", "cancelled")
NodeStateName = Literal["waiting", "running", "ran", "cached", "failed", "skipped", "off"]


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A finished file of a run. `name` is its path below the output folder, `digest` names its bytes.

    `url` gives the bytes and `thumbnail` a small image of them (empty where there is none); both are
    content-addressed and may be kept for ever. `node` made it; `output` is set when it is a named output of the
    workflow. `frames` and `seconds` are those of what moves or sounds.
    """

    name: str
    digest: str
    media_type: str
    size: int
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    node: str | None = None
    output: str | None = None
    url: str = ""
    thumbnail: str = ""


class OutputItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of an output of the workflow: a file, or a plain value, or the name of a type without such a form."""

    file: RunFile | None = None
    value: Any = None
    type: str | None = None


class NodeState(msgspec.Struct, kw_only=True):
    """Where one node of a run stands. `step` of `total` is its progress, `seconds` what it took (cached: took once).

    `curve` is the latest one that the node has told (see `node_progress`), `values` what it gave (see `node_finished`),
    `files` what it has made; of an ended run, what it showed without saving it.
    """

    status: NodeStateName = "waiting"
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    values: dict[str, Any] = {}
    files: tuple[File, ...] = ()


class Run(msgspec.Struct, kw_only=True):
    """A run, from its acceptance to its end.

    `status`: `queued` and `interrupted` (began, was cut off, will go on where it was) wait for a worker; `paused` waits
    for `resume`; `done`, `failed` and `cancelled` are final, and reached exactly once. `position` counts from 0 at the
    front of the queue and is given by `GET /runs/{id}` and `GET /queue` only; the order is `interrupted` before
    `queued`, the higher `priority` before the lower, the lower `rank` before the higher. `attempts` are starts,
    `deaths` the workers that died of it. `seconds` is the time of the last attempt, `estimate` what the whole was
    expected to take when it was accepted, `progress` 0..1. `left` are the seconds until its end is expected, the wait
    for its turn included; given where `position` is, and for running ones. `key` is the one that it was asked for with.
    `inputs` are values of the workflow's inputs by name, and of any other port as `node.port`.
    """

    id: str
    name: str
    status: RunState
    priority: int = 0
    rank: float = 0.0
    position: int | None = None
    attempts: int = 0
    deaths: int = 0
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    seconds: float | None = None
    estimate: float | None = None
    progress: float | None = None
    left: float | None = None
    workflow: str | None = None
    batch: str | None = None
    retry_of: str | None = None
    key: str | None = None
    worker: str | None = None
    inputs: dict[str, Any] = {}
    problems: tuple[Problem, ...] = ()
    outputs: dict[str, list[OutputItem]] = {}
    files: list[RunFile] = []


class RunDetail(Run, kw_only=True):
    """A run with what became of each node, and how it was asked for."""

    nodes: dict[str, NodeState] = {}
    targets: list[str] | None = None
    force: list[str] = []


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a client of ComfyUI's API has posted, kept beside its run.

    `prompt` and `extra_data` are as they came, `outputs` the ids of its output nodes, `nodes` its ids by ours. `number`
    is its place: the lower goes first; None is the end of the queue, or with `front` its beginning.
    """

    prompt: msgspec.Raw
    extra_data: dict[str, Any] = {}
    outputs: tuple[str, ...] = ()
    nodes: dict[str, str] = {}
    client: str | None = None
    number: float | None = None
    front: bool = False


class RunOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be accepted: a document that was checked, as JSON text, and how to run it. `device` pins it to a worker
    or to those of a device (`w2`, `cuda:1`, `cuda`)."""

    document: bytes
    name: str = ""
    inputs: dict[str, Any] = {}
    targets: list[str] | None = None
    force: list[str] = []
    priority: int = 0
    workflow: str | None = None
    batch: str | None = None
    retry_of: str | None = None
    key: str | None = None
    estimate: float | None = None
    checkpoint_seconds: float | None = None
    cell: tuple[int, ...] = ()
    device: str = ""
    prompt: Prompt | None = None


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the runs of a batch: the name of an input, or `node.port`, and its values in order.

    The axis of `rows` is named `rows`, and its values are the rows themselves.
    """

    name: str
    values: list[Any]


class BatchRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a batch. `cell` is its place in the grid, an index on each axis, `values` are the values there."""

    id: str
    status: RunState
    cell: list[int]
    values: list[Any]
    files: list[RunFile] = []
    outputs: dict[str, list[OutputItem]] = {}
    problems: tuple[Problem, ...] = ()


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep: its axes, and its runs in the order in which they were asked for (the last axis changes fastest).

    `missing` are runs that were removed since.
    """

    id: str
    name: str
    created: float
    axes: list[Axis]
    runs: list[BatchRun]
    missing: int = 0


class BatchOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A batch to be put on record."""

    id: str
    name: str
    axes: list[Axis]


class GalleryItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a run has made, or that was found in the output folder.

    `prompts`, `models`, `seed` and `nodes` (types) are those on the way to it. `trashed` says since when it is in the
    trash. `run` and `batch` may be forgotten by now. `frames` and `seconds` are those of what moves or sounds.
    `rating` is 0 (none) to 5, `boards` are ids.
    """

    id: str
    name: str
    digest: str
    media_type: str
    size: int
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0
    made: float = 0.0
    url: str = ""
    thumbnail: str = ""
    run: str | None = None
    workflow: str | None = None
    batch: str | None = None
    prompts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seed: int | None = None
    nodes: tuple[str, ...] = ()
    trashed: float | None = None
    rating: int = 0
    tags: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()


class GalleryDetail(GalleryItem, frozen=True, kw_only=True):
    """The same with every parameter that led to it, in the order in which the nodes ran, and the run's inputs."""

    parameters: tuple[Parameter, ...] = ()
    inputs: dict[str, Any] = {}


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The queue in numbers. `seconds` is what the runs that wait and run are expected to take still, on all workers."""

    paused: bool
    waiting: int
    running: int
    seconds: float | None = None


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process. `state`: `starting`, `warming` (takes runs, libraries are still loading), `idle`, `busy`,
    `dead`.

    `device` says what it computes on, `place` names that as torch does (`cpu`, `cuda:1`), `numerics` says all of it
    that changes bits, `models` are the names of those it holds, `memory` is its resident memory in bytes; `cache` are
    the bytes of results in it, `hits` and `misses` how often one that was kept could be read, and was gone, since the
    process began.
    """

    id: str
    state: Literal["starting", "warming", "idle", "busy", "stopping", "dead"]
    device: str = ""
    place: str = ""
    models: tuple[str, ...] = ()
    numerics: str = ""
    pid: int = 0
    run: str | None = None
    memory: int = 0
    cache: int = 0
    hits: int = 0
    misses: int = 0
    started: float = 0.0
    runs: int = 0
    restarts: int = 0
    note: str = ""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What workers compute on: `kind` is `cpu`, `cuda` or `mps`. `memory` is what it has, `free` what is left now."""

    name: str = ""
    kind: str = ""
    memory: int = 0
    free: int = 0


class WorkflowInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A saved workflow without its content. `revision` counts from 1 and grows with each save.

    A `draft` was saved by an editor before anybody named it: `name` is a key, and `title` is what its document calls
    itself. Renaming a draft makes it a workflow.
    `folder` is where it is listed, as `portraits/night` (empty: at the top); names are one of a kind over all folders.
    `opened` is when an editor opened it last, in seconds since 1970 (0: never).
    """

    name: str
    revision: int
    created: float
    modified: float
    description: str = ""
    nodes: int = 0
    title: str = ""
    draft: bool = False
    folder: str = ""
    starred: bool = False
    opened: float = 0.0


class Workflow(WorkflowInfo, frozen=True, kw_only=True):
    """A saved workflow; `document` is what `safelight run` takes as a file."""

    document: WorkflowDocument


class RevisionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One saved state of a workflow. `autosave`: the editor saved it by itself, and later ones may take its place."""

    revision: int
    created: float
    message: str = ""
    autosave: bool = False
    digest: str = ""


class Settings(msgspec.Struct, kw_only=True):
    """What the user may change while the server runs; kept on disk.

    `max_deaths`: a run is given up after so many workers died of it (1 to 20; 1 fails it at the first death).
    `checkpoint_seconds`: how often long nodes keep their state (0 is every step). `cancel_grace`: seconds after which
    a worker that does not stop is ended. `history_limit`: ended runs kept. `trash_days`: how long outputs that were
    thrown away are kept (0: until the trash is emptied). `spread`: workers that have nothing to do help with what a run
    can compute at the same time. `editor` is the editor's own, up to 64 KiB.
    """

    max_deaths: int = 3
    checkpoint_seconds: float = 5.0
    cancel_grace: float = 10.0
    history_limit: int = 10_000
    trash_days: float = 30.0
    spread: bool = True
    editor: dict[str, Any] = {}


class RunChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="run_changed"):
    """A run was accepted, started, ended or edited. Its end is this event with a final status, never earlier."""

    run: Run


class RunRemoved(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="run_removed"):
    """A run was taken out of the history."""

    id: str


class QueueChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="queue_changed"):
    """The queue was paused or resumed, or its length changed."""

    queue: QueueInfo


class WorkerChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="worker_changed"):
    """A worker became ready, died or was replaced."""

    worker: WorkerInfo


class WorkflowChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="workflow_changed"):
    """A saved workflow has a new revision, or is gone (`revision` 0)."""

    name: str
    revision: int


class ModelsChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="models_changed"):
    """How far the search for models is: `done` of `total` looked at; `scanning` turns false at its end."""

    scanning: bool
    done: int
    total: int


class DownloadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is fetched: `done` of `total` bytes (0: unknown) are there.

    `url` is as it was ordered, `name` the file's where it is known, `model` what the model goes by once it is there.
    `rate` is bytes a second. A failed or paused one goes on from what is there.
    """

    id: str
    url: str
    status: Literal["queued", "running", "paused", "done", "failed"]
    name: str = ""
    folder: str = ""
    done: int = 0
    total: int = 0
    rate: float = 0.0
    model: str = ""
    problem: Problem | None = None


class DownloadChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="download_changed"):
    """A download went on, ended, or (`removed`) was forgotten."""

    download: DownloadInfo
    removed: bool = False


class CatalogueChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="catalogue_changed"):
    """Packs were edited and imported again (`serve --dev`): the catalogue is another one now.

    `packages` are those that were imported, `broken` the packs of which not everything could be.
    """

    packages: list[str]
    broken: list[PackState] = []


class FileChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="file_changed"):
    """A file came into the input or output folder through the server, or was removed by it."""

    folder: Literal["input", "output"]
    name: str
    removed: bool = False


class GalleryChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="gallery_changed"):
    """Outputs were rated, tagged or laid on boards, or boards were made, renamed or deleted."""


class PresetsChanged(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="presets_changed"):
    """A preset was kept, changed or deleted."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="snapshot"):
    """The whole live state, for a client that has none or has fallen too far behind.

    `runs` are those that run, wait or are paused (the first 500), `nodes` the states of the nodes of the running ones.
    """

    runs: list[Run]
    nodes: dict[str, dict[str, NodeState]]
    queue: QueueInfo
    workers: list[WorkerInfo]


HostEvent = (
    RunChanged
    | RunRemoved
    | QueueChanged
    | WorkerChanged
    | WorkflowChanged
    | ModelsChanged
    | DownloadChanged
    | CatalogueChanged
    | FileChanged
    | GalleryChanged
    | PresetsChanged
    | Snapshot
    | RunStarted
    | NodeStarted
    | NodeProgress
    | NodeFinished
    | NodeSkipped
    | NodeFailed
    | NodeWarned
    | RunFinished
)
"""Everything that may stand in the stream."""


class NumberedEvent(msgspec.Struct, frozen=True):
    """An event with its place in the stream. Numbers only grow, also over restarts of the server."""

    number: int
    at: float
    data: HostEvent
