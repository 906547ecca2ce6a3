"""Parsed JSON of InvokeAI's to a document: read into one graph, which is translated as ComfyUI's are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.graph import Document
from safelight.protocol.imports import ImportReport


def is_invokeai(data: Any) -> bool:
    """Whether parsed JSON is a workflow of InvokeAI's editor, or a graph of its server."""
    from .files import is_graph, is_workflow

    return is_workflow(data) or is_graph(data)


def read_invokeai_workflow(data: Mapping[str, Any]) -> tuple[Document, ImportReport]:
    """The document of a workflow for which `is_invokeai` holds, and what became of its nodes."""
    from ..comfyui.translate import Program, translate
    from .files import read_file
    from .rules import RULES

    return translate(read_file(data), Program("InvokeAI", "invokeai", RULES))
