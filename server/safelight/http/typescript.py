"""TypeScript types of the API, made from its description. `python -m safelight.http.typescript` prints them."""

from __future__ import annotations

import json
import sys
from typing import Any

from .openapi import openapi
from .table import BASE

_HEAD = f"""\
// Made by `python -m safelight.http.typescript`; do not edit. The source is the structs of the server.
// Fields with a question mark may be left out; `unknown` is any JSON value.

/** What all addresses of the API begin with. */
export const BASE = "{BASE}";

"""
_WORDS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def typescript() -> str:
    """The file as it is committed."""
    document = openapi()
    parts = [_HEAD]
    for name, schema in document["components"]["schemas"].items():
        parts.append(_declaration(name, schema) + "\n")
    parts.append("/** Every route: its method and address, what is sent and what comes back. */\n")
    parts.append("export interface Routes {\n")
    for address, operations in document["paths"].items():
        if address.startswith(BASE):
            for method, operation in operations.items():
                parts.append(_route(method, address.removeprefix(BASE), operation))
    parts.append("}\n")
    return "".join(parts)


def _declaration(name: str, schema: dict[str, Any]) -> str:
    comment = _comment(schema.get("description", ""), "")
    if "properties" not in schema:
        # A named object of which nothing is said is anything that is one: an index signature would refuse interfaces.
        kind = "object" if schema.get("type") == "object" else _type(schema)
        kind = f" | {kind}".replace(" | ", "\n  | ") if len(kind) > 100 else f" {kind}"
        return f"{comment}export type {name} ={kind};\n"
    required = set(schema.get("required", ()))
    lines = [f"{comment}export interface {name} {{"]
    for key, item in schema["properties"].items():
        lines.append(f"  {_key(key)}{'' if key in required else '?'}: {_type(item)};")
    lines.append("}\n")
    return "\n".join(lines)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    if "const" in schema:
        return _literal(schema["const"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(item) for item in schema["prefixItems"]) + "]"
        inner = _type(schema.get("items") or {})
        return f"({inner})[]" if " | " in inner else f"{inner}[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"{{ [key: string]: {_type(more) if isinstance(more, dict) else 'unknown'} }}"
    return _WORDS.get(kind, "unknown") if isinstance(kind, str) else "unknown"


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
            data = content.get("application/json")
            answers.append(_type(data["schema"]) if data else "Blob")
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


def _literal(value: Any) -> str:
    return json.dumps(value)


def _key(name: str) -> str:
    return name if name.isidentifier() else _literal(name)


if __name__ == "__main__":
    sys.stdout.write(typescript())
