"""The JSON Schema of the workflow document, for editors and other programs that write one.

It says what has the right shape; whether the graph makes sense is for `check`. Printed by
`python -m safelight.graph.schema`, kept in docs/workflow.schema.json.
"""

from __future__ import annotations

import sys
from typing import Any

from .document import FORMAT
from .jsontext import dumps
from .repeat import MOST, MOST_EVER

_PORT = {"type": "string", "pattern": r"^[^./\s]+(/[^./\s]+)*\.[^.\s]+$", "description": "node.port"}
_NAME = {"type": "string", "pattern": r"^[^./=\s]+$"}


def _object(properties: dict[str, Any], required: list[str], text: str) -> dict[str, Any]:
    return {"type": "object", "description": text, "properties": properties, "required": required}


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def workflow_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12). Unknown fields are allowed everywhere: they are kept."""
    node = _object(
        {
            "type": {"type": "string", "minLength": 1, "description": "text.encode, pack/family.name or subgraph:name"},
            "version": {"type": "integer", "minimum": 1, "description": "the node's version when it was saved"},
            "values": {"type": "object", "description": "what was typed in, by port"},
            "mode": {"enum": ["on", "mute", "bypass"]},
            "title": {"type": "string"},
            "repeat": {"anyOf": [{"$ref": "#/$defs/repeat"}, {"type": "null"}]},
        },
        ["type"],
        "A node.",
    )
    repeat = _object(
        {
            "each": _listed(
                {"type": "string", "description": "an input that takes a list; each turn sees one element"}
            ),
            "times": {
                "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 1}, {"type": "null"}],
                "description": "the number of turns, or the name of an input of the instance that takes it",
            },
            "while": {"type": "string", "description": "a bool output: the turns go on while it is true"},
            "carry": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "input to output: the value of the turn before is the input of the next",
            },
            "index": {"type": "string", "description": "an input that gets the number of the turn, counted from 0"},
            "most": {"type": "integer", "minimum": 1, "maximum": MOST_EVER, "default": MOST},
        },
        [],
        "How often the body of an instance of a subgraph runs.",
    )
    link = _object({"from": _PORT, "to": _PORT}, ["from", "to"], "A wire from an output to an input.")
    entry = _object(
        {"name": _NAME, "to": _PORT, "help": {"type": "string"}}, ["name", "to"], "A parameter of the workflow."
    )
    result = _object({"name": _NAME, "from": _PORT}, ["name", "from"], "A result of the workflow.")
    graph: dict[str, Any] = {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "nodes": {
            "type": "object",
            "propertyNames": {"pattern": r"^[^./\s]+$", "maxLength": 200},
            "additionalProperties": {"$ref": "#/$defs/node"},
        },
        "links": _listed({"$ref": "#/$defs/link"}),
        "inputs": _listed({"$ref": "#/$defs/input"}),
        "outputs": _listed({"$ref": "#/$defs/output"}),
        "subgraphs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/subgraph"}},
        "ui": {"type": "object", "description": "places and frames on the canvas; never changes a result"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Safelight workflow, {FORMAT}",
        **_object({"format": {"const": FORMAT}, **graph}, ["format"], "A workflow."),
        "$defs": {
            "node": node,
            "repeat": repeat,
            "link": link,
            "input": entry,
            "output": result,
            "subgraph": _object(graph, [], "A subgraph: the same shape as a workflow."),
        },
    }


if __name__ == "__main__":
    sys.stdout.write(dumps(workflow_schema()))
