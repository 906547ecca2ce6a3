"""Any file to the workflow that it is or carries."""

from __future__ import annotations

from safelight.graph import Document
from safelight.sdk.problem import Problem, ProblemError

from .foreign import carried
from .pictures import sniff


def read(data: bytes, name: str = "") -> Document:
    """The workflow of a file: a JSON document, or an image that carries one. `name` is how messages call the file.

    Raises:
        ProblemError: `not_workflow`, `no_workflow_inside`, `foreign_workflow`, and what reading an image or a document
            raises.
    """
    if sniff(data) is not None:
        return Document.loads(carried(data, name))
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or name.endswith(".json")
    if not text:
        message = f"{repr(name) if name else 'The file'} is no workflow: it is neither JSON nor an image."
        hint = "Give a *.json file, or an image that Safelight saved."
        raise ProblemError(Problem(code="not_workflow", message=message, hint=hint, value=name or None))
    return Document.loads(data)
