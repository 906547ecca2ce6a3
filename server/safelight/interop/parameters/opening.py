"""Which of the texts of a file are settings, and the graph that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.graph import Document
from safelight.graph.jsontext import loads
from safelight.protocol.imports import ImportReport
from safelight.sdk.problem import ProblemError

from .a1111 import is_a1111, read_a1111
from .graphs import graph_of
from .objects import read_invokeai, read_novelai, read_swarmui
from .settings import Settings


def read_parameters(texts: Mapping[str, str]) -> tuple[Document, ImportReport] | None:
    """The workflow of the settings among the texts of an image, by their keys; None where there are none."""
    said = _said(texts)
    return graph_of(said) if said is not None else None


def _said(texts: Mapping[str, str]) -> Settings | None:
    parameters = texts.get("parameters", "")
    if is_a1111(parameters):
        return read_a1111(parameters)
    swarm = _object(parameters).get("sui_image_params")
    if isinstance(swarm, Mapping):
        return read_swarmui(swarm)
    invoked = _object(texts.get("invokeai_metadata", ""))
    if invoked.get("positive_prompt") is not None:
        return read_invokeai(invoked)
    if texts.get("Software") == "NovelAI":
        novel = _object(texts.get("Comment", ""))
        return read_novelai(novel) if "prompt" in novel else None
    return None


def _object(text: str) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        data = loads(text, foreign=True)
    except ProblemError:
        return {}
    return data if isinstance(data, dict) else {}
