"""Regular expressions that end: in a set time, whatever the pattern. The syntax is that of Python's `re`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._refusal import refusal

SECONDS = 1.0
"""How long a pattern may look through one text."""
LONGEST = 1000
"""Characters of a pattern: compiling has no limit of time."""
MOST_REPEATED = 20_000
"""What the numbers of repetitions inside one another may come to: compiling writes them out."""

_REPEATED = re.compile(r"(\))?\{(\d*)(?:,(\d*))?\}")
_RECURSIVE = re.compile(r"\(\?(?:R|[+-]?\d|&|P>)")
"""What `regex` has beside `re`: patterns inside themselves, which take all memory that there is."""


def compiled(pattern: str, ignore_case: bool, port: str = "pattern") -> Any:
    """A pattern of the package `regex`, whose methods take a `timeout`.

    Raises:
        ProblemError: `bad_pattern`, when it cannot be read or is too long.
    """
    import regex

    if len(pattern) > LONGEST:
        message = f"The pattern has {len(pattern)} characters."
        raise refusal(code="bad_pattern", message=message, hint=f"At most {LONGEST} are read.", port=port)
    if _RECURSIVE.search(pattern) or _repeated(pattern) > MOST_REPEATED:
        message = f"{pattern!r} repeats itself too often."
        hint = f"Repetitions inside one another may come to {MOST_REPEATED:,}; a pattern may not hold itself."
        raise refusal(code="bad_pattern", message=message, hint=hint, port=port, value=pattern)
    try:
        flags = regex.VERSION0 | regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
        return regex.compile(pattern, flags, cache_pattern=False)
    except (regex.error, RecursionError, OverflowError, MemoryError, ValueError) as error:
        said = getattr(error, "msg", "") or "it is too large"
        hint = "A character with a meaning of its own is written with \\ before it, such as \\( or \\."
        message = f"{pattern!r} is no regular expression: {said}."
        raise refusal(code="bad_pattern", message=message, hint=hint, port=port, value=pattern) from None


def _repeated(pattern: str) -> int:
    """At most how often something is repeated: groups as if all were inside one another."""
    groups = single = 1
    for mark in _REPEATED.finditer(pattern):
        most = max((int(number[:9]) for number in mark.groups()[1:] if number), default=1)
        if mark[1]:
            groups *= max(1, most)
        else:
            single = max(single, most)
    return groups * single


@contextmanager
def in_time(pattern: str) -> Iterator[None]:
    """Turns a `timeout` of the block into the ProblemError `pattern_too_slow`."""
    try:
        yield
    except (TimeoutError, MemoryError):
        raise refusal(
            code="pattern_too_slow",
            message=f"{pattern!r} looked through this text for more than {SECONDS:g} seconds.",
            hint="Repetitions inside repetitions, such as (a+)+, take very long: write them as one.",
            port="pattern",
            value=pattern,
        ) from None


def replacement(put: str, pattern: Any) -> Callable[[Any], str]:
    """What takes the place of a match: `put`, with \\1 and \\g<name> for what the groups found, \\n for a new line.

    Raises:
        ProblemError: `bad_pattern`, for a group that the pattern does not have.
    """
    named = dict(pattern.groupindex)
    pieces: list[str | int] = []
    last = 0
    for mark in re.finditer(r"\\(?:(\d{1,2})|g<(\w{1,50})>|([nt\\]))", put):
        pieces.append(put[last : mark.start()])
        last = mark.end()
        if mark[3]:
            pieces.append({"n": "\n", "t": "\t", "\\": "\\"}[mark[3]])
            continue
        name = mark[1] or mark[2]
        number = int(name) if name.isdecimal() else named.get(name, -1)
        if not 0 <= number <= pattern.groups:
            message = f"The pattern has no group {name}."
            hint = f"It has {pattern.groups} groups." if pattern.groups else "Put round brackets around a part of it."
            raise refusal(code="bad_pattern", message=message, hint=hint, port="put", value=put)
        pieces.append(number)
    pieces.append(put[last:])
    return lambda match: "".join(piece if isinstance(piece, str) else match[piece] or "" for piece in pieces)
