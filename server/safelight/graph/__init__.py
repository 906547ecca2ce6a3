"""Documents, their checking and planning: pure functions over data, without torch and without files."""

from .check import Checked, check
from .document import FORMAT, Document, InputPort, Link, Node, OutputPort, Port
from .keys import Keys, Memory
from .migrate import migrate
from .plan import Plan, PlannedNode, PlannedTurns, plan
from .repeat import Repeat
from .structure import Body, Graph, GraphNode, Wire

__all__ = [
    "FORMAT",
    "Body",
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
    "PlannedTurns",
    "Port",
    "Repeat",
    "Wire",
    "check",
    "migrate",
    "plan",
]
