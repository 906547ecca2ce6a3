"""JSON as texts on links, and paths into it."""

from __future__ import annotations

import json
import re
from typing import Any

from safelight.sdk import ProblemError

from ._refusal import refusal

Step = str | int | None
"""A key of an object, a place of an array, or None for every one (`[*]`)."""

_STEP = re.compile(r"""\.?([^.\[\]"'*\s][^.\[\]]*)|\[(-?\d{1,9})\]|\[\*\]|\["((?:[^"\\]|\\.)*)"\]""")
_MOST = 100_000


def parsed(text: str, port: str = "text") -> Any:
    """What a JSON text holds.

    Raises:
        ProblemError: `bad_json`, with the line of the fault.
    """
    try:
        found = json.loads(text, parse_constant=_refuse_constant, parse_float=_number)
        if "\\ud" in text.lower():
            dumped(found).encode()  # half of a surrogate pair is no text
        return found
    except json.JSONDecodeError as error:
        said = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError) as error:
        said = str(error)[:200]
    hint = 'Keys and texts stand in "double quotes", and no comma before a closing bracket.'
    raise refusal(code="bad_json", message=f"The text is no JSON: {said}.", hint=hint, port=port, value=text[:1000])


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _number(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large for a number")
    return found


def shown(value: Any) -> str:
    """A value as text: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else dumped(value)


def dumped(value: Any, indent: int = 0) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent or None)


def steps_of(path: str) -> list[Step]:
    """The steps of a path such as `images[0].name`, `rows[*].prompt` or `["a key"]`; none for the whole.

    Raises:
        ProblemError: `bad_path_into`, when it cannot be read.
    """
    steps: list[Step] = []
    text, at = path.strip().removeprefix("$"), 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (at == 0 and text.startswith(".") and not path.strip().startswith("$")):
            hint = 'Write it like prompt, images[0].name, rows[*].prompt, or ["a key"].'
            raise refusal(code="bad_json_path", message=f"{path!r} is no path.", hint=hint, port="path", value=path)
        if found[1] is not None:
            steps.append(found[1].strip())
        elif found[2] is not None:
            steps.append(int(found[2]))
        elif found[3] is not None:
            steps.append(parsed(f'"{found[3]}"', "path"))
        else:
            steps.append(None)
        at = found.end()
    return steps


def found_at(value: Any, steps: list[Step]) -> list[Any]:
    """The values that a path leads to."""
    here = [value]
    for step in steps:
        after: list[Any] = []
        for one in here:
            if step is None:
                after += one if isinstance(one, list) else one.values() if isinstance(one, dict) else ()
            elif isinstance(step, int) and isinstance(one, list) and -len(one) <= step < len(one):
                after.append(one[step])
            elif isinstance(one, dict) and str(step) in one:
                after.append(one[str(step)])
        here = after[:_MOST]
    return here


def with_value(value: Any, steps: list[Step], put: Any) -> Any:
    """A copy with `put` where a path leads to; objects on the way are made.

    Raises:
        ProblemError: `bad_json_path`, when the way is blocked.
    """
    if not steps:
        return put
    step, rest = steps[0], steps[1:]
    if step is None:
        raise blocked("[*] names many values, and one is to be put.")
    if isinstance(step, int):
        made = list(value) if isinstance(value, list) else [] if value is None else None
        if made is None or not -len(made) <= step <= len(made):
            raise blocked(f"There is no place {step} here" + (f" in an array of {len(made)}." if made else "."))
        if step == len(made):
            made.append(None)
        made[step] = with_value(made[step], rest, put)
        return made
    if not (value is None or isinstance(value, dict)):
        raise blocked(f"{step!r} is to be put into {dumped(value)[:60]}, which is no object.")
    return {**(value or {}), step: with_value((value or {}).get(step), rest, put)}


def blocked(message: str) -> ProblemError:
    return refusal(code="bad_json_path", message=message, hint="Choose another path.", port="path")
