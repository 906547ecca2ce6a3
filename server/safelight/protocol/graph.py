"""Catalogue, check and plan."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from safelight.sdk.media import MediumInfo
from safelight.sdk.node import NodeSpec
from safelight.sdk.pack import PackState
from safelight.sdk.problem import Problem
from safelight.sdk.values import File

from .common import Body, Ids, RawDocument, WorkflowDocument
from .imports import ExportReport


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
    """All installed nodes, the packs they came from, the rules of connecting, and the media: how files are shown.

    Of media that share a media type the first one has it. `images` are the ids of nodes that have a small image, with
    an example inside. `digest` changes with the content.
    """

    digest: str
    nodes: list[NodeSpec]
    packs: list[PackState]
    rules: ConnectionRules
    media: list[MediumInfo] = []
    images: list[str] = []


class TextsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in a language: from the English text, as the catalogue and the templates have it, to the other.

    A text that is not there is shown in English.
    """

    language: str
    texts: dict[str, str]


class CheckBody(Body, kw_only=True):
    """A document to be checked, as far as `targets` need it (default: all outputs)."""

    document: RawDocument
    targets: Ids | None = None


class CheckAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`types` has the types of the outputs of each node as they are in this graph (`node` → `output` → type).

    `document` is there where nodes of older versions or former ids were brought up to date: it means the same, in the
    ids and ports of today. An editor goes on with it.
    """

    ok: bool
    problems: list[Problem]
    types: dict[str, dict[str, str]] = {}
    document: WorkflowDocument | None = None


class ConvertBody(Body, kw_only=True):
    """A document to be written for another program: as ComfyUI's editor saves it, or as its API takes it."""

    document: RawDocument
    to: Literal["comfyui", "comfyui-api"] = "comfyui"


class ConvertAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the other program's file, and what became of the nodes."""

    file: dict[str, Any]
    report: ExportReport


class PlanBody(CheckBody, kw_only=True):
    """A document to be planned. `inputs` are values for the workflow's own inputs, `force` nodes to run anyhow."""

    inputs: dict[str, Any] = {}
    force: Ids = []


class PlannedTurns(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the turns of a call: how many there are, if that is known, are cached, and will run.

    Where these are fewer than all, there are too many turns to look at all of them.
    """

    total: int | None
    cached: int
    run: int


class PlannedMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What a node needs in memory, as far as it is known before the run, in bytes.

    `weights` are those of its models, `working` the activations of the largest step beside them, `room` what models may
    take on `device`. `way` is how they are held: `whole` beside all others of the run, `swap` whole while the others
    are out of the way, `offload` block by block from main memory; `lacking` is for what will hardly fit in any way.
    """

    device: str
    weights: int
    working: int
    room: int
    way: Literal["whole", "swap", "offload", "lacking"]


class PlanNode(msgspec.Struct, frozen=True, kw_only=True):
    """What will become of a node: `cached`, `run`, `unknown` (below a choice not yet made), `off`, `unneeded`.

    `seconds` is what it took last time, `turns` what is known of an instance that is repeated. `memory` is for
    nodes that run with models. `files` are those that a cached output node has made. `shared` says that a cached
    result lies in the cache that a team shares, and not on this machine.
    """

    status: Literal["cached", "run", "unknown", "off", "unneeded"]
    seconds: float | None = None
    turns: PlannedTurns | None = None
    memory: PlannedMemory | None = None
    files: tuple[File, ...] = ()
    shared: bool = False


class PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction. `nodes` is empty when the document has problems that keep it from running."""

    ok: bool
    nodes: dict[str, PlanNode]
    seconds: float
    problems: list[Problem]
