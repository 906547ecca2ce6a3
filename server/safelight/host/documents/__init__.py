"""Documents in the server: saved workflows, checks and plans, a run's inputs filled in, and what led to an output."""

from . import presets, workflows
from .facts import facts_in, facts_of
from .filling import filled, port_of
from .graphs import Graphs
from .kept import keep_document

__all__ = ["Graphs", "facts_in", "facts_of", "filled", "keep_document", "port_of", "presets", "workflows"]
