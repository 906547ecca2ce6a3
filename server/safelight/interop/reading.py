"""Any file to the workflow that it is or carries."""

from __future__ import annotations

from safelight.graph import Document
from safelight.media.registry import MediaRegistry
from safelight.sdk.problem import Problem, ProblemError

from .foreign import carried


def read(data: bytes, media: MediaRegistry, name: str = "") -> Document:
    """The workflow of a file: a JSON document, or an image, video or other file that carries one.

    `name` is how messages call the file.

    Raises:
        ProblemError: `not_workflow`, `no_workflow_inside`, `foreign_workflow`, and what reading an image or a document
            raises.
    """
    if media.sniff(data) is not None:
        return Document.loads(carried(data, media, name))
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or name.endswith(".json")
    if not text:
        what = repr(name) if name else "The file"
        message = f"{what} is no workflow: it is neither JSON nor a file that can carry one."
        hint = "Give a *.json file, or an image, video or other file that Safelight saved."
        raise ProblemError(Problem(code="not_workflow", message=message, hint=hint, value=name or None))
    return Document.loads(data)
