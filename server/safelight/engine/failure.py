"""What is said of a node that failed."""

from __future__ import annotations

import traceback

from safelight.graph import GraphNode
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.problem import Cancelled, Problem
from safelight.sdk.values import File


def output_lost(file: File) -> Problem:
    """Finished bytes that the cache does not have any more."""
    message = f"What was saved as {file.name!r} was evicted before it was written."
    hint = "Give the cache more room, or free some disk space, and run again."
    return Problem(code="output_lost", message=message, hint=hint)


def unexpected(node: GraphNode, error: BaseException) -> Problem:
    """The problem of a node that raised what it had not foreseen; the traceback is in its details."""
    text = _said(error)
    if isinstance(error, SystemExit):
        code, hint = "node_failed", "It tried to end the whole program. This is a fault of the node."
        text = f"it called exit({error.code!r:.50})."
    elif isinstance(error, Cancelled):
        code, hint = "node_failed", "This is a fault of the node."
        text = "it stopped as if the run were cancelled, which nobody had asked for."
    elif is_out_of_memory(error):
        code, hint = "out_of_memory", "Use smaller images or batches, or free memory and run again."
    else:
        code, hint = "node_failed", "The details hold the traceback. Check the inputs of this node."
    return Problem(
        code=code,
        message=f"{node.kind.spec.title} failed: {text}",
        hint=hint,
        node=node.id,
        details=_traceback(error),
    )


def _said(error: BaseException) -> str:
    """The first line of what an error says. Its words are foreign code, which may fail, too."""
    try:
        said = str(error).strip().split("\n")[0][:300]
        said.encode()
    except Exception:
        said = ""
    return said or type(error).__name__


def _traceback(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
        return text.encode(errors="backslashreplace").decode()
    except Exception:  # a chain of causes that runs in a circle, an error that cannot be shown
        return "".join(traceback.format_tb(error.__traceback__))
