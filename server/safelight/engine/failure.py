"""What is said of a node that failed."""

from __future__ import annotations

import traceback

from safelight.graph import GraphNode
from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.problem import Problem


def unexpected(node: GraphNode, error: Exception) -> Problem:
    """The problem of a node that raised what it had not foreseen; the traceback is in its details."""
    text = str(error).strip().split("\n")[0][:300] or type(error).__name__
    if is_out_of_memory(error):
        code, hint = "out_of_memory", "Use smaller pictures or batches, or free memory and run again."
    else:
        code, hint = "node_failed", "The details hold the traceback. Check the inputs of this node."
    return Problem(
        code=code,
        message=f"{node.kind.spec.title} failed: {text}",
        hint=hint,
        node=node.id,
        details="".join(traceback.format_exception(error)),
    )
