"""The description of the API, and the server held against it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from safelight.http.openapi import openapi, openapi_json
from safelight.http.typescript import typescript
from serving import Server

ROOT = Path(__file__).parents[2]


def test_the_committed_description_is_the_one_of_the_code() -> None:
    said = "write it again: python -m safelight.http.openapi > docs/openapi.json"
    assert (ROOT / "docs" / "openapi.json").read_bytes() == openapi_json(), said


def test_the_committed_types_are_those_of_the_code() -> None:
    said = "write them again: python -m safelight.http.typescript > web/src/api/types.ts"
    assert (ROOT / "web" / "src" / "api" / "types.ts").read_text(encoding="utf-8") == typescript(), said


def test_every_reference_leads_somewhere() -> None:
    document = openapi()
    text = json.dumps(document)
    schemas = document["components"]["schemas"]
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(schemas)
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(operations) == len(set(operations)) > 40


def test_every_route_stands_in_the_description_for_people() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [
        path
        for path in openapi()["paths"]
        if path.removeprefix("/api/v1").replace("{name}", "{path}") not in text.replace("{n}", "{number}")
        and path.removeprefix("/api/v1") not in text.replace("{n}", "{number}")
        and path.rsplit("/", 1)[-1] not in text
    ]
    assert not missing


def test_the_server_keeps_to_its_description(server: Server) -> None:
    """Made-up requests, valid and not: never a 5xx, and no answer that the description does not allow.

    SAFELIGHT_EXAMPLES asks for more of each route than the suite has time for.
    """
    examples = int(os.environ.get("SAFELIGHT_EXAMPLES") or 25)
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, settings
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    schema = schemathesis.openapi.from_dict(openapi())
    schema.config.update(base_url=server.url)
    failures: list[str] = []
    count = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @_given(schemathesis, operation)
        def run(case: object) -> None:
            nonlocal count
            count += 1
            case.call_and_validate(checks=checks, timeout=20)  # type: ignore[attr-defined]

        try:
            run()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failures.append(f"{operation.method} {operation.path}: {str(error)[:1500]}")
    assert not failures, "\n\n".join(failures)
    assert count > 40 * examples / 3


def _given(schemathesis: object, operation: object) -> object:
    from hypothesis import given
    from hypothesis import strategies as st

    modes = schemathesis.GenerationMode  # type: ignore[attr-defined]
    kinds = [operation.as_strategy(generation_mode=mode) for mode in (modes.POSITIVE, modes.NEGATIVE)]  # type: ignore[attr-defined]
    return given(case=st.one_of(kinds))
