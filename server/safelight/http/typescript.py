"""TypeScript types of the API, made from the same structs. `python -m safelight.http.typescript` prints them."""

from __future__ import annotations

import sys
import typing
from typing import Any

from safelight.protocol.records import HostEvent

from .openapi import openapi

_HEAD = """\
// Made by `python -m safelight.http.typescript`; do not edit. The source is the structs of the server.
// Bodies are what is sent (fields with defaults may be left out); of what is received all fields are there.

/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A workflow document; see the documentation of the format. */
export type WorkflowDocument = { [key: string]: Json };

"""
_WORDS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_SENT = ("Body", "Watch")


def typescript() -> str:
    """The file as it is committed."""
    document = openapi()
    schemas: dict[str, Any] = document["components"]["schemas"]
    parts = [_HEAD]
    for name, schema in schemas.items():
        parts.append(_declaration(name, schema) + "\n")
    events = " | ".join(kind.__name__ for kind in typing.get_args(HostEvent))
    parts.append(_wrapped(f"/** What `data` of a numbered event may be. */\nexport type HostEvent = {events};\n"))
    parts.append("/** An event with its place in the stream. */\n")
    parts.append("export interface NumberedEvent {\n  number: number;\n  at: number;\n  data: HostEvent;\n}\n\n")
    parts.append("/** Every route: its method and address, what is sent and what comes back. */\n")
    parts.append("export interface Routes {\n")
    for address, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_route(method, address, operation))
    parts.append("}\n")
    return "".join(parts)


def _declaration(name: str, schema: dict[str, Any]) -> str:
    comment = _comment(schema.get("description", ""), "")
    if "properties" not in schema:
        return f"{comment}export type {name} = {_type(schema)};\n"
    required = set(schema.get("required", ()))
    sent = name.endswith(_SENT)
    lines = [f"{comment}export interface {name} {{"]
    for key, item in schema["properties"].items():
        # What the server sends is always whole, unless the schema says that defaults are left out.
        optional = "?" if key not in required and (sent or name in _SPARSE) else ""
        lines.append(f"  {_key(key)}{optional}: {_field(name, key, item)};")
    lines.append("}\n")
    return "\n".join(lines)


_SPARSE = ("OutputItem",)
_DOCUMENTS = {("Workflow", "document"), ("Opened", "document"), ("SubmitBody", "document"), ("BatchBody", "document")}
_DOCUMENTS |= {("CheckBody", "document"), ("PlanBody", "document"), ("SaveBody", "document"), ("Uploaded", "document")}
_DOCUMENTS |= {("CheckAnswer", "document")}


def _field(name: str, key: str, schema: dict[str, Any]) -> str:
    if (name, key) in _DOCUMENTS:
        nullable = any(option.get("type") == "null" for option in schema.get("anyOf", ()))
        return "WorkflowDocument | null" if nullable else "WorkflowDocument"
    if (name, key) == ("Events", "events"):
        return "NumberedEvent[]"
    return _type(schema)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return " | ".join(dict.fromkeys(_type(option) for option in options))
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(item) for item in schema["prefixItems"]) + "]"
        inner = _type(schema.get("items") or {})
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"{{ [key: string]: {_type(more) if isinstance(more, dict) else 'Json'} }}"
    return _WORDS.get(kind, "Json") if isinstance(kind, str) else "Json"


def _route(method: str, address: str, operation: dict[str, Any]) -> str:
    sent = "undefined"
    body = operation.get("requestBody")
    if body is not None:
        content = body["content"]
        sent = _type(content["application/json"]["schema"]) if "application/json" in content else "Blob"
        sent += "" if body["required"] else " | undefined"
    answers: list[str] = []
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if status < "300" and content:
            json = content.get("application/json")
            answers.append(_type(json["schema"]) if json else "Blob")
    received = " | ".join(dict.fromkeys(answers))
    comment = _comment(operation["summary"] + ".", "  ")
    query = [part for part in operation.get("parameters", ()) if part["in"] == "query"]
    fields = "; ".join(
        f"{_key(part['name'])}{'' if part['required'] else '?'}: {_type(part['schema'])}" for part in query
    )
    asked = f"{{ {fields} }}" if fields else "undefined"
    head = f'{comment}  "{method.upper()} {address}": {{\n'
    return head + f"    query: {asked};\n    body: {sent};\n    answer: {received};\n  }};\n"


def _comment(text: str, indent: str) -> str:
    lines = text.strip().replace("*/", "* /").splitlines()
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


def _wrapped(text: str) -> str:
    return text.replace(" | ", "\n  | ").replace("= ", "=\n  | ", 1) + "\n"


def _literal(value: Any) -> str:
    import json

    return json.dumps(value)


def _key(name: str) -> str:
    return name if name.isidentifier() else _literal(name)


if __name__ == "__main__":
    sys.stdout.write(typescript())
