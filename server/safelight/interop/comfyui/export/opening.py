"""A document to the JSON of a file of ComfyUI's."""

from __future__ import annotations

from typing import Any, Literal

from safelight.graph import Document
from safelight.protocol.imports import ExportReport
from safelight.sdk.pack import Catalogue

Form = Literal["comfyui", "comfyui-api"]


def write_comfyui(document: Document, catalogue: Catalogue, form: Form) -> tuple[dict[str, Any], ExportReport]:
    """The parsed JSON of the file, and what became of the nodes.

    Args:
        document: any workflow; one of older nodes is brought to today's first.
        catalogue: what is known of its nodes.
        form: `comfyui` is what ComfyUI's editor opens, `comfyui-api` what its server runs.

    Raises:
        ProblemError: `migration_failed`.
    """
    from .api_file import api_file
    from .ui_file import ui_file
    from .writing import written

    graph, report = written(document, catalogue)
    return (ui_file(graph) if form == "comfyui" else api_file(graph)), report
