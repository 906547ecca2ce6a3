"""The OpenAPI 3.1 document, made from the route table and the structs. `python -m safelight.http.openapi` prints it."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import msgspec

from safelight.protocol.common import Problems
from safelight.protocol.messages import Events, Hello, PreviewHeader, Watch
from safelight.protocol.system import Health
from safelight.sdk.paintings import Painting

from .routing import PATHS, Route
from .table import BASE, ROUTES

_REF = "#/components/schemas/{name}"
_DOCUMENT = "WorkflowDocument"
_REASONS = {
    200: "OK",
    201: "Made",
    206: "A part",
    304: "Not changed",
    400: "Malformed",
    401: "Token missing or wrong",
    403: "Not allowed",
    404: "Not there",
    405: "Wrong method",
    408: "Too slow",
    409: "In conflict",
    413: "Too large",
    414: "Address too long",
    415: "Wrong content type",
    416: "Range outside of the file",
    422: "The document or its values are wrong",
    429: "Too many requests",
    503: "Not now",
}
_ALWAYS = (400, 401, 403, 414, 429, 503)
_WITH_BODY = (408, 413, 415)
_EXTRA = (Hello, Events, Watch, PreviewHeader, Health, Painting)


def openapi_json(root: str = "") -> bytes:
    """The document as it is committed, and as it is served below `root`."""
    return msgspec.json.format(msgspec.json.encode(openapi(root), order="deterministic"), indent=1) + b"\n"


def openapi(root: str = "") -> dict[str, Any]:
    """The document as data."""
    wanted: list[Any] = [Problems]
    for route in ROUTES:
        wanted += [kind for kind in (route.answer, route.body) if kind is not None and not isinstance(kind, str)]
    unique = list(dict.fromkeys([*wanted, *_EXTRA]))
    schemas, components = schema_components(unique)
    by_type = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(BASE + route.address, {})[route.method.lower()] = _operation(route, by_type)
    paths["/healthz"] = {"get": _health(by_type[Health])}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": "1",
            "summary": "Build, run and share workflows for diffusion models.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def schema_components(kinds: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The JSON schemas of types, and those of all structs they are made of by name.

    Answers and events are sent whole: all their fields are required, unless the struct leaves defaults out.
    """
    schemas, found = msgspec.json.schema_components(kinds, ref_template=_REF)
    components: dict[str, Any] = dict(found)
    sparse = _sparse(kinds)
    for name, schema in components.items():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        if name not in sparse and "properties" in schema:
            schema["required"] = list(schema["properties"])
    if "NumberedEvent" in components:
        data = components["NumberedEvent"]["properties"]["data"]
        components["HostEvent"] = {"description": "Everything that may stand in the stream.", **data}
        components["NumberedEvent"]["properties"]["data"] = {"$ref": _REF.format(name="HostEvent")}
    schemas, components = _named((list(schemas), components))
    if _DOCUMENT in str((schemas, components)):
        about = "A workflow as `safelight run` takes it as a file; `safelight check` says what is wrong with one."
        components[_DOCUMENT] = {"type": "object", "description": about}
    return schemas, components


def _named(schema: Any) -> Any:
    """The schema with a reference wherever a workflow document is meant."""
    if isinstance(schema, dict):
        if schema.get("title") == _DOCUMENT:
            return {"$ref": _REF.format(name=_DOCUMENT)}
        return {key: _named(item) for key, item in schema.items()}
    if isinstance(schema, list | tuple):
        return type(schema)(_named(item) for item in schema)
    return schema


def _sparse(kinds: list[Any]) -> set[str]:
    """Names of the structs of which fields may be left out: those that clients send, and those that omit defaults."""
    names: set[str] = set()
    seen: list[Any] = [*msgspec.inspect.multi_type_info(kinds)]
    for one in seen:
        if isinstance(one, msgspec.inspect.StructType):
            config = one.cls.__struct_config__
            if config.omit_defaults or config.forbid_unknown_fields:
                names.add(one.cls.__name__)
        for part in _parts(one):
            if not any(part is other for other in seen):
                seen.append(part)
    return names


def _parts(one: msgspec.inspect.Type) -> list[Any]:
    """The types that a type is made of."""
    if isinstance(one, msgspec.inspect.StructType):
        return [field.type for field in one.fields]
    values = [getattr(one, name) for name in one.__struct_fields__]
    flat = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
    return [item for item in flat if isinstance(item, msgspec.inspect.Type)]


def _operation(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    name = route.handler.__name__
    module = route.handler.__module__.rsplit(".", 1)[-1].removesuffix("_routes")
    made: dict[str, Any] = {
        "operationId": f"{module}_{name}",
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route, by_type),
    }
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": PATHS[part]}
        for part in PATHS
        if f"{{{part}}}" in route.address
    ]
    if route.query is not None:
        parameters += _query(route.query)
    if parameters:
        made["parameters"] = parameters
    if isinstance(route.body, str):
        content = {route.body: {"schema": {"type": "string", "format": "binary"}}}
        made["requestBody"] = {"required": True, "content": content}
    elif route.body is not None:
        content = {"application/json": {"schema": by_type[route.body]}}
        made["requestBody"] = {"required": route.body_required, "content": content}
    return made


def _responses(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    if isinstance(route.answer, str):
        kind = "*/*" if route.answer == "application/octet-stream" else route.answer
        content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    else:
        content = {"application/json": {"schema": by_type[route.answer]}}
    made: dict[str, Any] = {}
    for status in sorted({route.status, *route.also}):
        made[str(status)] = {"description": _REASONS[status]}
        if status != 304:
            made[str(status)]["content"] = content
    problems = {"application/json": {"schema": by_type[Problems]}}
    errors = {*_ALWAYS, *route.errors, *(_WITH_BODY if route.body is not None else ())}
    for status in sorted(errors):
        made[str(status)] = {"description": _REASONS[status], "content": problems}
    return made


def _query(kind: type[msgspec.Struct]) -> list[dict[str, Any]]:
    (schema,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    shape = components[schema["$ref"].rsplit("/", 1)[-1]]
    required = shape.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_none(item)}
        for name, item in shape["properties"].items()
    ]


def _without_none(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out rather than sent as null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    return options[0] if len(options) == 1 else {key: item for key, item in schema.items() if item is not None}


def _health(schema: Any) -> dict[str, Any]:
    return {
        "operationId": "health",
        "summary": "Whether the server is there",
        "tags": ["system"],
        "security": [{}],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(openapi_json())
