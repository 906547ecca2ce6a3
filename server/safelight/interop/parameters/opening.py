"""Which of the texts of a file are settings, and the graph that they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html import unescape
from typing import Any

from safelight.graph import Document
from safelight.graph.jsontext import loads
from safelight.protocol.imports import ImportReport, Kind
from safelight.sdk.problem import ProblemError

from .a1111 import is_a1111, read_a1111
from .graphs import graph_of
from .objects import read_draw_things, read_fooocus, read_invokeai, read_novelai, read_swarmui
from .settings import Settings, named

_COMMENT = re.compile(r"<exif:UserComment>[^{]{0,500}(\{.*?\})\s*<", re.S)


def read_parameters(
    texts: Mapping[str, str], known: Callable[[str], str] | None = None
) -> Iterator[tuple[Kind, Callable[[], tuple[Document, ImportReport]]]]:
    """What settings are among the texts of an image, by their keys, and what makes the workflow of each.

    `known` gives our name of the model of a hash, empty where there is none.
    """
    for kind, read in _said(texts):
        yield kind, partial(_graph, read, known)


def _graph(read: Callable[[], Settings], known: Callable[[str], str] | None) -> tuple[Document, ImportReport]:
    said = read()
    if known is not None:
        named(said, known)
    return graph_of(said)


def _said(texts: Mapping[str, str]) -> Iterator[tuple[Kind, Callable[[], Settings]]]:
    parameters = texts.get("parameters", "")
    data = _object(parameters)
    swarm = data.get("sui_image_params")
    if is_a1111(parameters):
        yield "a1111", partial(read_a1111, parameters)
    elif texts.get("fooocus_scheme") == "fooocus" or {"base_model", "guidance_scale"} <= data.keys():
        yield "fooocus", partial(read_fooocus, data)
    elif isinstance(swarm, Mapping):
        yield "swarmui", partial(read_swarmui, swarm)
    invoked = _object(texts.get("invokeai_metadata", ""))
    if invoked.get("positive_prompt") is not None:
        yield "invokeai-settings", partial(read_invokeai, invoked)
    drawn = _drawn(texts)
    if drawn:
        yield "draw-things", partial(read_draw_things, drawn)
    novel = _object(texts.get("Comment", "")) if texts.get("Software") == "NovelAI" else {}
    if "prompt" in novel:
        yield "novelai", partial(read_novelai, novel)


def _drawn(texts: Mapping[str, str]) -> dict[str, Any]:
    """The JSON of Draw Things: in the EXIF comment of an XMP packet, or a text of its own."""
    comment = _COMMENT.search(texts.get("XML:com.adobe.xmp", ""))
    for text in (unescape(comment[1]) if comment else "", *texts.values()):
        data = _object(text)
        if isinstance(data.get("c"), str) and {"sampler", "seed"} <= data.keys():
            return data
    return {}


def _object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        data = loads(text, foreign=True)
    except ProblemError:
        return {}
    return data if isinstance(data, dict) else {}
