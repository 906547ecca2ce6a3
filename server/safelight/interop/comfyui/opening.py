"""Parsed JSON of ComfyUI's to a document: read into one graph, which is translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.graph import Document
from safelight.protocol.imports import ImportReport


def is_comfyui(data: Any) -> bool:
    """Whether parsed JSON is a workflow of ComfyUI's, of the editor or of the API."""
    from .api import is_api
    from .ui import is_ui

    return is_ui(data) or is_api(data)


def read_comfyui(data: Mapping[str, Any]) -> tuple[Document, ImportReport]:
    """The document of a workflow for which `is_comfyui` holds, and what became of its nodes."""
    from .api import read_api
    from .translate import translate
    from .ui import is_ui, read_ui

    return translate(read_ui(data) if is_ui(data) else read_api(data))
