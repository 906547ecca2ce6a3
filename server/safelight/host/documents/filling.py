"""A run's inputs put into its document: workflow inputs by name, any other port as `node.port`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.graph import Document, Port
from safelight.sdk.problem import Problem, ProblemError


def filled(document: Document, inputs: Mapping[str, Any]) -> Document:
    """The document with its inputs filled in. Names of workflow inputs hold no dots, so the two cannot be confused.

    Raises:
        ProblemError: `unknown_input`, `bad_port`, or `unknown_node` for what the document does not have.
    """
    ports = {port_of(name): value for name, value in inputs.items() if "." in name}
    named = {name: value for name, value in inputs.items() if "." not in name}
    document = document.with_inputs(named) if named else document
    return document.with_values(ports) if ports else document


def port_of(text: str) -> Port:
    """Raises ProblemError `bad_port`."""
    node, dot, port = text.rpartition(".")
    if not (node and dot and port):
        message = f"{text!r} does not name a port."
        raise ProblemError(Problem(code="bad_port", message=message, hint="Write node.port.", value=text))
    return Port(node, port)
