"""JSON as workflows are written in: strict when read, exact and readable when written."""

from __future__ import annotations

import json
from typing import Any

from safelight.sdk.problem import Problem, ProblemError

MAX_TEXT = 64 * 1024 * 1024
MAX_DEPTH = 200
_WIDTH = 120


class Number(float):
    """A float that remembers how it was written, so that saving does not rewrite what was not touched."""

    text: str

    def __new__(cls, text: str) -> Number:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type[Number], tuple[str]]:
        return Number, (self.text,)


def loads(text: str | bytes, *, foreign: bool = False) -> Any:
    """Parses JSON. Refuses repeated keys, NaN, absurd size and depth.

    What another program wrote (`foreign`) may hold NaN, which becomes null, and repeated keys: the last counts.

    Raises:
        ProblemError: `not_json`, with line and column; `too_large`; `too_deep`.
    """
    if len(text) > MAX_TEXT:
        raise ProblemError(
            Problem(
                code="too_large",
                message=f"The file has {len(text):,} characters, more than the {MAX_TEXT:,} that are read.",
                hint="A workflow holds no images or weights; check that this is one.",
            )
        )
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        return json.loads(
            text,
            parse_float=_number,
            parse_constant=(lambda _: None) if foreign else _no_constant,
            parse_int=_whole,
            object_pairs_hook=dict if foreign else _unique,
        )
    except UnicodeDecodeError as error:
        raise _not_json(f"The file is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        hint = "Check for a missing comma, quote or bracket just before that place."
        if not text.strip():
            raise _not_json("The file is empty.", "Give a workflow file (*.json) or an image made by one.") from None
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}.", hint) from None
    except RecursionError:
        raise _too_deep() from None


def dumps(data: Any) -> str:
    """Readable JSON: two spaces of indentation, but what fits on a line stays on one. Ends with a newline."""
    return _write(data, 0) + "\n"


def compact(data: Any) -> str:
    """The same on one line."""
    return _flat(data)


def depth_of(data: Any) -> int:
    """How deep lists and objects are nested; counted without recursion, and no further than is allowed."""
    level, depth = [data], 0
    while level:
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
    return depth


def _number(text: str) -> float:
    number = Number(text)
    if number in (float("inf"), float("-inf")):
        raise _not_json(f"The number {text} is too large.", "Write one below 1e308.")
    return number if repr(float(number)) != text else float(number)


def _whole(text: str) -> int:
    if len(text) > 40:
        raise _not_json(f"The number {text[:20]}... has {len(text)} digits.", "Whole numbers have at most 40.")
    return int(text)


def _no_constant(text: str) -> Any:
    raise _not_json(f"{text} is not JSON.", "Write a number.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ProblemError(
            Problem(
                code="duplicate_key",
                message=f"The key {twice!r} stands twice in one object.",
                hint="Rename or remove one of the two; nobody could say which one counts.",
                value=twice,
            )
        )
    return found


def _not_json(message: str, hint: str) -> ProblemError:
    return ProblemError(Problem(code="not_json", message=message, hint=hint))


def _too_deep() -> ProblemError:
    message = f"The file nests lists and objects deeper than {MAX_DEPTH} levels."
    return ProblemError(Problem(code="too_deep", message=message, hint="A workflow needs about six."))


def _flat(data: Any) -> str:
    if isinstance(data, Number):
        return data.text
    if isinstance(data, dict):
        return "{" + ", ".join(f"{_text(key)}: {_flat(item)}" for key, item in data.items()) + "}"
    if isinstance(data, list | tuple):
        return "[" + ", ".join(map(_flat, data)) + "]"
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _write(data: Any, indent: int) -> str:
    flat = _flat(data) if not isinstance(data, dict) or indent > 0 else None
    if flat is not None and (len(flat) + indent <= _WIDTH or not isinstance(data, dict | list) or not data):
        return flat
    pad = " " * (indent + 2)
    if isinstance(data, dict):
        lines = [f"{pad}{_text(key)}: {_write(item, indent + 2)}" for key, item in data.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}" if lines else "{}"
    lines = [pad + _write(item, indent + 2) for item in data]
    return "[\n" + ",\n".join(lines) + "\n" + " " * indent + "]"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
