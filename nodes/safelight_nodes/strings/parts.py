"""Parts of texts, their length and their letters. Joining and replacing: `values.join`, `values.replace`."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from safelight.sdk import Number, Text, node

from .._refusal import refusal


@node(version=1, tags=("Text Split", "string to list", "split lines", "prompt list", "csv line", "tokenize"))
def split(
    text: Annotated[str, Text(multiline=True), "The text."],
    *,
    by: Annotated[Literal["lines", "commas", "blanks", "other"], "What lies between two parts."] = "lines",
    separator: Annotated[str, Text(shown_if={"by": "other"}), "What lies between two parts; \\n is a new line."] = "|",
    trim: Annotated[bool, "Blanks around each part go."] = True,
    keep_empty: Annotated[bool, "Whether a part with nothing in it stays."] = False,
) -> list[str]:
    """Take a text apart into a list. Connected to an input for one text, the node behind it runs once for each."""
    mark = separator.replace("\\n", "\n").replace("\\t", "\t")
    if by == "other" and not mark:
        raise refusal(
            code="bad_value",
            message="The separator is empty.",
            hint="Type in what lies between two parts.",
            port="separator",
            value=separator,
        )
    parts = {
        "lines": text.splitlines,
        "commas": lambda: text.split(","),
        "blanks": text.split,
        "other": lambda: text.split(mark),
    }[by]()
    parts = [part.strip() for part in parts] if trim else parts
    return [part for part in parts if part or keep_empty]


@node(version=1, title="Part of a text", tags=("substring", "crop text", "Text Slice", "truncate", "left", "right"))
def part(
    text: Annotated[str, "The text."],
    *,
    start: Annotated[int, Number(), "The first character, counted from 0; -1 is the last one."] = 0,
    count: Annotated[int, Number(0, zero="all"), "How many characters at most. 0: up to the end."] = 0,
) -> str:
    """A part of a text by its place."""
    rest = text[max(0, len(text) + start) if start < 0 else start :]
    return rest[:count] if count else rest


@node(version=1, tags=("strip", "Text Trim", "StringTrim", "remove spaces", "clean prompt"))
def trim(
    text: Annotated[str, "The text."],
    *,
    side: Annotated[Literal["both", "left", "right"], "Where characters are taken off."] = "both",
    characters: Annotated[str, Text(), "The characters that go. Empty: blanks and new lines."] = "",
    inner: Annotated[bool, "Blanks and new lines inside become one blank each."] = False,
) -> str:
    """Take characters off the ends of a text."""
    ends = characters or None
    taken = {"both": text.strip, "left": text.lstrip, "right": text.rstrip}[side](ends)
    return " ".join(taken.split()) if inner else taken


@node(
    version=1,
    title="Change case",
    tags=("upper", "lower", "title case", "CaseConverter", "capitalize", "uppercase", "lowercase"),
)
def change_case(
    text: Annotated[str, "The text."],
    *,
    case: Annotated[
        Literal["lower", "upper", "title", "sentence", "swap", "snake_case"],
        "title: Every Word. sentence: the first letter alone. snake_case: words with underlines, for names of files.",
    ] = "lower",
) -> str:
    """Capitals and small letters."""
    import re

    changed = {
        "lower": text.lower,
        "upper": text.upper,
        "title": lambda: re.sub(r"\w[\w'\u2019]*", lambda word: word[0][0].upper() + word[0][1:].lower(), text),
        "sentence": lambda: text[:1].upper() + text[1:].lower(),
        "swap": text.swapcase,
        "snake_case": lambda: "_".join(re.findall(r"\w+", text.lower())),
    }
    return changed[case]()


class Measured(NamedTuple):
    characters: int
    words: Annotated[int, "Parts between blanks."]
    lines: int


@node(version=1, title="Length of a text", tags=("StringLength", "count words", "len", "word count"))
def measure(text: Annotated[str, "The text."]) -> Measured:
    """How many characters, words and lines a text has."""
    return Measured(len(text), len(text.split()), len(text.splitlines()))
