"""Any file to the workflow that it is or carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, get_args

from msgspec.structs import replace

from safelight.graph import Document
from safelight.graph.jsontext import depth_of, loads
from safelight.graph.whole import half_characters
from safelight.media.embedding import texts
from safelight.media.registry import MediaRegistry
from safelight.media.tagged import tagged
from safelight.protocol.imports import ImportReport, Kind
from safelight.sdk.problem import Problem, ProblemError

from .comfyui.opening import is_comfyui, read_comfyui
from .foreign import carried
from .invokeai.opening import is_invokeai, read_invokeai_workflow
from .parameters.opening import read_parameters

Known = Callable[[str], str]
KINDS: tuple[Kind, ...] = get_args(Kind)
_LONGEST = 1 << 20
"""Bytes of a text that are looked at for settings."""
_TEXTS = ("workflow", "prompt", "invokeai_workflow", "invokeai_graph")
"""Where programs put workflows: what the editor had on the canvas before what was run."""


class Reading(NamedTuple):
    """A workflow. `report` tells what became of it, where it is of another program."""

    document: Document
    report: ImportReport | None = None


class Offer(NamedTuple):
    """One workflow of a file: whose it is, and what reads it."""

    kind: Kind
    read: Callable[[], Reading]


def read(
    data: bytes,
    media: MediaRegistry,
    name: str = "",
    known: Known | None = None,
    kind: Kind | None = None,
    found: Iterable[Offer] | None = None,
) -> Reading:
    """The workflow of a file: JSON, or an image, video or other file that carries one; ours before others.

    `name` is how messages call the file. `known` gives our name of the model of a hash, for settings that have one;
    empty where there is none. `kind` asks for one of those that `offers` tells; `found` are those, where they were
    asked for before.

    Raises:
        ProblemError: `not_workflow`, `no_workflow_inside`, `foreign_workflow` (of a program whose workflows are not
            translated), `kind_missing`, and what reading an image or a document raises.
    """
    others: list[Kind] = []
    for offer in offers(data, media, known) if found is None else found:
        if kind in (None, offer.kind):
            return offer.read()
        others.append(offer.kind)
    if others:
        what = repr(name) if name else "The file"
        message = f"{what} holds no workflow that can be opened as {kind}."
        hint = f"It can be opened as {', '.join(others)}."
        raise ProblemError(Problem(code="kind_missing", message=message, hint=hint, value=kind))
    raise ProblemError(_nothing(data, media, name))


def offers(data: bytes, media: MediaRegistry, known: Known | None = None) -> Iterator[Offer]:
    """All workflows and settings in a file, ours first; each kind once. Nothing is translated before it is asked for.

    Raises:
        ProblemError: what reading an image raises.
    """
    seen: set[Kind] = set()
    for offer in _all(data, media, known):
        if offer.kind not in seen:
            seen.add(offer.kind)
            yield offer


def _all(data: bytes, media: MediaRegistry, known: Known | None) -> Iterator[Offer]:
    if media.sniff(data) is not None:
        text = media.extract(data)
        if text is not None:
            yield Offer("safelight", partial(_own, text))
        yield from _of_texts(texts(data) | tagged(data), known)
        return
    found = tagged(data)
    if found:
        yield from _of_texts(found, known)
    if not _is_json(data):
        yield from _settings({"parameters": data[:_LONGEST].decode("utf-8", "replace")}, known)
        return
    parsed = _parsed(data)
    yield from _translated(parsed)
    if isinstance(parsed, Mapping) and "format" in parsed:
        yield Offer("safelight", partial(_own, data))


def _of_texts(found: Mapping[str, str], known: Known | None) -> Iterator[Offer]:
    for key in _TEXTS:
        if key in found:
            yield from _translated(_parsed(found[key]))
    yield from _settings(found, known)


def _settings(found: Mapping[str, str], known: Known | None) -> Iterator[Offer]:
    """The graphs of settings that other programs wrote down."""
    for kind, make in read_parameters(found, known):
        yield Offer(kind, partial(_sound, make))


def _parsed(text: str | bytes) -> Any:
    """Parsed JSON; None for what cannot be read at all."""
    try:
        data = loads(text, foreign=True)
        depth_of(data)
    except ProblemError:
        return None
    return data


def _translated(data: Any) -> Iterator[Offer]:
    """A workflow of another program, by what it looks like: keys of images do not tell."""
    found = data if is_comfyui(data) else _posted(data)
    if found is not None:
        yield Offer("comfyui" if "nodes" in found else "comfyui-api", partial(_sound, partial(read_comfyui, found)))
    elif is_invokeai(data):
        kind: Kind = "invokeai" if isinstance(data["nodes"], list) else "invokeai-graph"
        yield Offer(kind, partial(_sound, partial(read_invokeai_workflow, data)))


def _posted(data: Any) -> Any:
    """The workflow in what a script posts to ComfyUI, or in the texts of an image as JSON; None where there is none."""
    for key in ("workflow", "prompt") if isinstance(data, Mapping) else ():
        inner = data.get(key)
        if isinstance(inner, str):
            inner = _parsed(inner)
        if is_comfyui(inner):
            return inner
    return None


def _is_json(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))


def _nothing(data: bytes, media: MediaRegistry, name: str) -> tuple[Problem, ...]:
    """Why a file has no workflow."""
    try:
        if media.sniff(data) is not None:
            carried(data, media, name)
        elif _is_json(data) or name.endswith(".json"):
            _own(data)
    except ProblemError as error:
        return error.problems
    what = repr(name) if name else "The file"
    message = f"{what} is no workflow: it is neither JSON nor a file that can carry one."
    hint = "Give a *.json file, or an image, video or other file with a workflow or settings in it."
    return (Problem(code="not_workflow", message=message, hint=hint, value=name or None),)


def _own(text: str | bytes) -> Reading:
    """A document of ours. What could not be translated is not sent to be translated once more."""
    try:
        return Reading(Document.loads(text))
    except ProblemError as error:
        hint = "What makes it one is damaged or missing: save it there once more, or build it again here."
        told = (replace(one, hint=hint) if one.code == "foreign_workflow" else one for one in error.problems)
        raise ProblemError(told) from None


def _sound(make: Callable[[], tuple[Document, ImportReport]]) -> Reading:
    """Texts that UTF-8 cannot hold are told, as in documents of ours."""
    reading = Reading(*make())
    halves = half_characters(reading.document.data())
    if halves:
        raise ProblemError(halves)
    return reading
