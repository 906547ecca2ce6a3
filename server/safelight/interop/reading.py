"""Any file to the workflow that it is or carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from safelight.graph import Document
from safelight.graph.jsontext import depth_of, loads
from safelight.graph.whole import half_characters
from safelight.media.embedding import texts
from safelight.media.registry import MediaRegistry
from safelight.media.tagged import tagged
from safelight.protocol.imports import ImportReport
from safelight.sdk.problem import Problem, ProblemError

from .comfyui.opening import is_comfyui, read_comfyui
from .foreign import carried
from .parameters.opening import read_parameters

Known = Callable[[str], str]
_LONGEST = 1 << 20
"""Bytes of a text that are looked at for settings."""


class Reading(NamedTuple):
    """A workflow. `report` tells what became of it, where it is of another program."""

    document: Document
    report: ImportReport | None = None


def read(data: bytes, media: MediaRegistry, name: str = "", known: Known | None = None) -> Reading:
    """The workflow of a file: JSON, or an image, video or other file that carries one; ours before others.

    `name` is how messages call the file. `known` gives our name of the model of a hash, for settings that have one;
    empty where there is none.

    Raises:
        ProblemError: `not_workflow`, `no_workflow_inside`, `foreign_workflow` (of a program whose workflows are not
            translated), and what reading an image or a document raises.
    """
    if media.sniff(data) is not None:
        text = media.extract(data)
        if text is not None:
            return Reading(Document.loads(text))
        return _inside(data, known) or Reading(Document.loads(carried(data, media, name)))
    found = tagged(data)
    if found:
        reading = _of_texts(found, known)
        if reading is not None:
            return reading
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or name.endswith(".json")
    if not text:
        reading = _settings({"parameters": data[:_LONGEST].decode("utf-8", "replace")}, known)
        if reading is not None:
            return reading
        what = repr(name) if name else "The file"
        message = f"{what} is no workflow: it is neither JSON nor a file that can carry one."
        hint = "Give a *.json file, or an image, video or other file with a workflow or settings in it."
        raise ProblemError(Problem(code="not_workflow", message=message, hint=hint, value=name or None))
    return _foreign(data) or Reading(Document.loads(data))


def _inside(data: bytes, known: Known | None) -> Reading | None:
    """A workflow that another program put into a file: what its editor had on the canvas before what was run."""
    return _of_texts(texts(data) | tagged(data), known)


def _of_texts(found: Mapping[str, str], known: Known | None) -> Reading | None:
    for key in ("workflow", "prompt"):
        reading = _foreign(found[key]) if key in found else None
        if reading is not None:
            return reading
    return _settings(found, known)


def _settings(found: Mapping[str, str], known: Known | None) -> Reading | None:
    """The graph of settings that another program wrote down."""
    made = read_parameters(found, known)
    return _sound(Reading(*made)) if made is not None else None


def _foreign(text: str | bytes) -> Reading | None:
    """A workflow of another program; None for what is none, and for what cannot be read at all."""
    try:
        data = loads(text, foreign=True)
        depth_of(data)
    except ProblemError:
        return None
    return _translated(data)


def _translated(data: Any) -> Reading | None:
    if not is_comfyui(data):
        return None
    return _sound(Reading(*read_comfyui(data)))


def _sound(reading: Reading) -> Reading:
    """Texts that UTF-8 cannot hold are told, as in documents of ours."""
    halves = half_characters(reading.document.data())
    if halves:
        raise ProblemError(halves)
    return reading
