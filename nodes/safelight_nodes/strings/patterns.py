"""Looking into texts: for a text, or for a pattern."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Number, Text, node

from .._patterns import SECONDS, compiled, in_time, replacement
from .._refusal import refusal

_Pattern = Annotated[
    str,
    Text(placeholder=r"\d+", max_length=1000),
    "A regular expression: \\d is a digit, \\w a letter or digit, . any character, + one or more, (...) a group; ^ and "
    "$ are the ends of a line.",
]
_IgnoreCase = Annotated[bool, "Capitals and small letters are the same."]
_MOST = 100_000
_LONGEST = 10_000_000


@node(version=1, title="Test a text", tags=("contains", "starts with", "ends with", "StringContains", "StringCompare"))
def test(
    text: Annotated[str, "The text."],
    *,
    how: Annotated[
        Literal["contains", "equals", "starts", "ends"], "Where the text that is looked for has to be."
    ] = "contains",
    find: Annotated[str, Text(), "What is looked for."] = "",
    ignore_case: _IgnoreCase = False,
) -> bool:
    """Whether a text contains another, is it, or begins or ends with it."""
    inside, wanted = (text.casefold(), find.casefold()) if ignore_case else (text, find)
    return {
        "contains": wanted in inside,
        "equals": wanted == inside,
        "starts": inside.startswith(wanted),
        "ends": inside.endswith(wanted),
    }[how]


class Match(NamedTuple):
    found: bool
    text: Annotated[str, "What matched first; empty when nothing did."]
    groups: Annotated[list[str], "What each group in round brackets found."]
    start: Annotated[int, "Its place, counted from 0; -1 when nothing matched."]


@node(version=1, title="Match pattern", tags=("regex", "RegexMatch", "RegexExtract", "regular expression", "extract"))
def match(text: Annotated[str, "The text."], *, pattern: _Pattern = "", ignore_case: _IgnoreCase = False) -> Match:
    """The first place where a pattern matches a text."""
    wanted = compiled(pattern, ignore_case)
    with in_time(pattern):
        found = wanted.search(text, timeout=SECONDS)
    if found is None:
        return Match(False, "", [""] * wanted.groups, -1)
    return Match(True, found[0], [group or "" for group in found.groups()], found.start())


@node(version=1, title="Find all matches", tags=("regex", "findall", "regular expression", "extract all"))
def find_all(
    text: Annotated[str, "The text."],
    *,
    pattern: _Pattern = r"\w+",
    group: Annotated[int, Number(0, 99), "What of each match is given: a group by its number; 0 is all of it."] = 0,
    ignore_case: _IgnoreCase = False,
) -> list[str]:
    """All places where a pattern matches a text, as a list."""
    wanted = compiled(pattern, ignore_case)
    if group > wanted.groups:
        raise refusal(
            code="bad_pattern",
            message=f"The pattern has no group {group}.",
            hint=f"It has {wanted.groups} groups." if wanted.groups else "Put round brackets around a part of it.",
            port="group",
            value=group,
        )
    found: list[str] = []
    with in_time(pattern):
        for one in wanted.finditer(text, timeout=SECONDS):
            found.append(one[group] or "")
            if len(found) > _MOST:
                message = f"The pattern matches in more than {_MOST:,} places."
                hint = "Make it longer, or the text shorter."
                raise refusal(code="list_too_long", message=message, hint=hint, port="pattern", value=pattern)
    return found


@node(version=1, title="Replace pattern", tags=("regex", "RegexReplace", "sub", "regular expression"))
def substitute(
    text: Annotated[str, "The text."],
    *,
    pattern: _Pattern = "",
    put: Annotated[
        str, Text(), "What takes the place of a match: \\1 is what the first group found, \\n a new line."
    ] = "",
    limit: Annotated[int, Number(0, zero="all"), "How many are replaced, from the beginning. 0: all."] = 0,
    ignore_case: _IgnoreCase = False,
) -> str:
    """Replace what a pattern matches in a text."""
    if not pattern:
        return text
    wanted = compiled(pattern, ignore_case)
    made = replacement(put, wanted)
    pieces: list[str] = []
    last = size = 0
    with in_time(pattern):
        for number, one in enumerate(wanted.finditer(text, timeout=SECONDS)):
            if limit and number >= limit:
                break
            pieces += [text[last : one.start()], made(one)]
            size, last = size + len(pieces[-1]), one.end()
            if size > _LONGEST:
                message = f"The text would have more than {_LONGEST:,} characters."
                hint = "Put less, or fewer times."
                raise refusal(code="text_too_long", message=message, hint=hint, port="put", value=put)
    return "".join([*pieces, text[last:]])
