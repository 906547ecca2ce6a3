"""The published schema is the one the code makes, and it agrees with the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from graph.test_broken_documents import BROKEN
from safelight.graph.jsontext import dumps
from safelight.graph.schema import workflow_schema
from safelight.places import shipped_names

PUBLISHED = Path(__file__).parents[2] / "docs" / "workflow.schema.json"
SHAPES = {"bad_shape", "bad_id", "bad_port", "not_workflow", "newer_format"}


def test_the_published_schema_is_fresh() -> None:
    mend = "python -m safelight.graph.schema > docs/workflow.schema.json"
    assert PUBLISHED.read_text() == dumps(workflow_schema()), f"stale; run: {mend}"


@pytest.mark.parametrize("path", shipped_names().values(), ids=lambda path: path.stem)
def test_shipped_workflows_are_valid(path: Path) -> None:
    jsonschema.validate(json.loads(path.read_text()), workflow_schema())


@pytest.mark.parametrize("name", [name for name, entry in BROKEN.items() if entry[1] in SHAPES])
def test_wrong_shapes_are_invalid(name: str) -> None:
    given: Any = BROKEN[name][0]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, workflow_schema())


@pytest.mark.parametrize("name", [name for name, entry in BROKEN.items() if entry[1] in {"unknown_type", "cycle"}])
def test_right_shapes_are_valid(name: str) -> None:
    jsonschema.validate(BROKEN[name][0], workflow_schema())
