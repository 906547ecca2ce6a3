"""Which of the texts of a file are settings, and the graph that they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any

from safelight.graph import Document
from safelight.graph.jsontext import loads
from safelight.protocol.imports import ImportReport
from safelight.sdk.problem import ProblemError

from .a1111 import is_a1111, read_a1111
from .graphs import graph_of
from .objects import read_draw_things, read_fooocus, read_invokeai, read_novelai, read_swarmui
from .settings import Settings, named

_COMMENT = re.compile(r"<exif:UserComment>[^{]{0,500}(\{.*?\})\s*<", re.S)


def read_parameters(
    texts: Mapping[str, str], known: Callable[[str], str] | None = None
) -> tuple[Document, ImportReport] | None:
    """The workflow of the settings among the texts of an image, by their keys; None where there are none.

    `known` gives our name of the model of a hash, empty where there is none.
    """
    said = _said(texts)
    if said is None:
        return None
    if known is not None:
        named(said, known)
    return graph_of(said)


def _said(texts: Mapping[str, str]) -> Settings | None:
    parameters = texts.get("parameters", "")
    if is_a1111(parameters):
        return read_a1111(parameters)
    data = _object(parameters)
    if texts.get("fooocus_scheme") == "fooocus" or {"base_model", "guidance_scale"} <= data.keys():
        return read_fooocus(data)
    swarm = data.get("sui_image_params")
    if isinstance(swarm, Mapping):
        return read_swarmui(swarm)
    invoked = _object(texts.get("invokeai_metadata", ""))
    if invoked.get("positive_prompt") is not None:
        return read_invokeai(invoked)
    drawn = _drawn(texts)
    if drawn:
        return read_draw_things(drawn)
    if texts.get("Software") == "NovelAI":
        novel = _object(texts.get("Comment", ""))
        return read_novelai(novel) if "prompt" in novel else None
    return None


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
