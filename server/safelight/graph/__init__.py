"""Documents, their checking and planning: pure functions over data, without torch and without files."""

from .check import Checked, check
from .document import FORMAT, Document, InputPort, Link, Node, OutputPort, Port
from .migrate import migrate
from .plan import Keys, Memory, Plan, PlannedNode, plan
from .structure import Graph, GraphNode, Wire

__all__ = [
    "FORMAT",
    "Checked",
    "Document",
    "Graph",
    "GraphNode",
    "InputPort",
    "Keys",
    "Link",
    "Memory",
    "Node",
    "OutputPort",
    "Plan",
    "PlannedNode",
    "Port",
    "Wire",
    "check",
    "migrate",
    "plan",
]
