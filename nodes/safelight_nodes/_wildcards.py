"""Prompts with choices in them: `{a|b}`, weights, several at once, and files of words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random

from safelight.sdk import ProblemError

from ._refusal import refusal
from ._text_files import read_text_file

DEEPEST = 20
"""Choices inside choices, and files that name files."""
LONGEST = 100_000
"""Characters of what is written."""

_MANY = re.compile(r"(\d{1,3})\$\$(?:([^|{}]{0,40}?)\$\$)?")
_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)::")
_FILE = re.compile(r"__([\w./ -]{1,200}?)__")


@dataclass
class Writer:
    """Writes texts. `find` gives the path of a file of the input folder, or raises ProblemError."""

    chance: Random
    find: Callable[[str], Path]

    def write(self, text: str, depth: int = 0) -> str:
        """The text with a choice made at each place.

        Raises:
            ProblemError: `bad_template` for brackets without a partner or too much of it all; and what reading a file
                raises. All at the port `text`.
        """
        if depth > DEEPEST:
            message = f"Choices or files name one another more than {DEEPEST} deep."
            raise self._wrong(message, "A file that names itself never ends.", text)
        made: list[str] = []
        size = at = 0
        while at < len(text):
            if text[at] == "\\" and text[at + 1 : at + 2] in ("{", "}", "|", "\\"):
                piece, at = text[at + 1], at + 2
            elif text[at] == "{":
                end = self._end(text, at)
                piece, at = self._chosen(text[at + 1 : end], depth), end + 1
            elif text[at] == "}":
                raise self._wrong("A bracket } closes nothing.", "Write \\} for a bracket itself.", text)
            elif found := _FILE.match(text, at):
                piece, at = self._line(found[1].strip(), depth), found.end()
            else:
                piece, at = text[at], at + 1
            made.append(piece)
            size += len(piece)
            if size > LONGEST:
                raise self._wrong(f"The text would have more than {LONGEST:,} characters.", "Make it shorter.", text)
        return "".join(made)

    def _chosen(self, inside: str, depth: int) -> str:
        many = _MANY.match(inside)
        options = _options(inside[many.end() :] if many else inside)
        weights = [_WEIGHT.match(option) for option in options]
        texts = [option[found.end() :] if found else option for option, found in zip(options, weights, strict=True)]
        chances = [float(found[1]) if found else 1.0 for found in weights]
        if not any(chances):
            raise self._wrong(f"All choices of {{{inside}}} have the weight 0.", "Give one of them more.", inside)
        places: list[int] = []
        for _ in range(min(int(many[1]), len(texts)) if many else 1):
            if not any(chances):
                break
            places.append(self._drawn(chances))
            chances[places[-1]] = 0.0
        between = ", " if many is None or many[2] is None else many[2]
        return between.join(self.write(texts[place].strip(), depth + 1) for place in places)

    def _drawn(self, chances: list[float]) -> int:
        sums = list(accumulate(chances))
        mark = self.chance.random() * sums[-1]
        return next(place for place, reached in enumerate(sums) if mark < reached)

    def _line(self, name: str, depth: int) -> str:
        file = f"wildcards/{name}.txt"
        try:
            lines = prompts_of(read_text_file(self.find(file), file))
        except ProblemError as error:
            raise ProblemError(problem.at(port="text") for problem in error.problems) from None
        if not lines:
            raise self._wrong(f"The file {file} has no line.", "Write a choice into each of its lines.", name)
        return self.write(lines[int(self.chance.random() * len(lines))], depth + 1)

    def _end(self, text: str, at: int) -> int:
        depth = 0
        place = at
        while place < len(text):
            if text[place] == "\\":
                place += 1
            elif text[place] in "{}":
                depth += 1 if text[place] == "{" else -1
                if not depth:
                    return place
            place += 1
        raise self._wrong("A bracket { is never closed.", "Write \\{ for a bracket itself.", text)

    def _wrong(self, message: str, hint: str, value: str) -> ProblemError:
        return refusal(code="bad_template", message=message, hint=hint, port="text", value=value[:1000])


def prompts_of(text: str) -> list[str]:
    """The lines of a file of prompts: neither empty ones nor those that begin with #."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _options(inside: str) -> list[str]:
    """The parts between the | of one bracket; those of brackets inside it are theirs."""
    found = [""]
    depth = place = 0
    while place < len(inside):
        mark = inside[place]
        if mark == "\\":
            found[-1] += inside[place : place + 2]
            place += 2
            continue
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if mark == "|" and not depth:
            found.append("")
        else:
            found[-1] += mark
        place += 1
    return found
