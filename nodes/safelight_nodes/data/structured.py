"""JSON: read a value, put one in."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Text, node

from .. import _json
from .._refusal import refusal

_Path = Annotated[
    str,
    Text(placeholder="images[0].name", max_length=1000),
    'Where the value is: prompt, images[0].name, rows[*].prompt for that of every row, ["a key"]. Empty: all of it.',
]


class Read(NamedTuple):
    text: Annotated[str, "The value: a text as it is, all else as JSON. Empty when there is none."]
    items: Annotated[list[str], "Its elements, the values of an object, or all that a path with [*] leads to."]
    keys: Annotated[list[str], "The names in it, when it is an object."]
    found: Annotated[bool, "Whether there is a value at the path."]


@node(version=1, title="Read JSON", tags=("JSON get", "json path", "parse json", "dictionary", "jq", "metadata"))
def read_json(text: Annotated[str, Text(multiline=True), "The text."], *, path: _Path = "") -> Read:
    """Take a value out of a JSON text. Over a list of JSON texts it gives a list of values, as a column of a table."""
    steps = _json.steps_of(path)
    found = _json.found_at(_json.parsed(text), steps)
    if not found:
        return Read("", [], [], False)
    first = found[0]
    if None in steps:
        inside = found
    else:
        inside = first if isinstance(first, list) else list(first.values()) if isinstance(first, dict) else [first]
    keys = [str(key) for key in first] if isinstance(first, dict) else []
    return Read(_json.shown(first), [_json.shown(item) for item in inside], keys, True)


@node(version=1, title="Put into JSON", tags=("JSON set", "make json", "dictionary", "write json", "add to json"))
def put_json(
    text: Annotated[str | None, "JSON to put it into. Without: an empty object."] = None,
    *,
    path: _Path = "",
    value: Annotated[str, Text(multiline=True), "What is put there."] = "",
    kind: Annotated[
        Literal["auto", "text", "json"], "auto: JSON such as 12, true or [1, 2] where it is some, else a text."
    ] = "auto",
    indent: Annotated[bool, "A line for each value, for people to read."] = False,
) -> str:
    """Put a value into a JSON text. Objects on the way are made; a place one beyond an array adds to it."""
    from safelight.sdk import ProblemError

    steps = _json.steps_of(path)
    whole = _json.parsed(text) if text is not None and text.strip() else None
    put: object = value
    if kind != "text":
        try:
            put = _json.parsed(value, "value")
        except ProblemError:
            if kind == "json":
                raise
    try:
        made = _json.dumped(_json.with_value(whole, steps, put), 2 if indent else 0)
    except RecursionError:
        message, hint = "The path is too deep.", "Choose a shorter one."
        raise refusal(code="bad_json_path", message=message, hint=hint, port="path") from None
    return made
