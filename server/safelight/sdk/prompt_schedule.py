"""Prompts that change from step to step, and several prompts in one text, as A1111 writes them.

`[a:b:0.4]` is a up to that part of the steps, then b; `[a:0.4]` adds a from there on, `[a::0.4]` takes it away. A whole
number instead is a step. `[a|b]` is a and b by turns. `a :1.2 AND b :0.5` are two prompts with a weight each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_TOKEN = re.compile(r"\\.|[\[\]():|]|[^\\\[\]():|]+|\\", re.DOTALL)
_WHEN = re.compile(r"\s{0,9}(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s{0,9}")
_AND = re.compile(r"(?<!\S)AND(?!\S)")
_WEIGHT = re.compile(r":\s{0,9}([+-]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s{0,9}$")
_DEEPEST = 30
"""Brackets inside more brackets than this are ordinary characters."""

Written = Callable[[int, int], str]
"""What a prompt says at a step (from 1 on) of so many."""


@dataclass(frozen=True)
class Told:
    """A text with the parts (from, to) of the schedule in which it speaks; none for all of it."""

    text: str
    spans: tuple[tuple[float, float], ...] = ()


def weighed(prompt: str) -> list[tuple[str, float]]:
    """The prompts that AND parts, each with its weight. One alone has no weight: its colon is its own."""
    parts = [part.strip() for part in _AND.split(prompt)]
    if len(parts) == 1:
        return [(prompt, 1.0)]
    found = []
    for part in parts:
        weight = _WEIGHT.search(part)
        found.append((part[: weight.start()].rstrip(), float(weight[1])) if weight else (part, 1.0))
    return found


def scheduled(prompt: str, steps: int) -> list[Told]:
    """The texts that a prompt is over so many steps, each once, in the order in which they come first."""
    write = _read(prompt)
    found: dict[str, list[int]] = {}
    for step in range(1, steps + 1):
        found.setdefault(write(step, steps), []).append(step)
    if len(found) == 1:
        return [Told(next(iter(found)))]
    return [Told(text, tuple(_spans(on, steps))) for text, on in found.items()]


def _spans(on: Sequence[int], steps: int) -> Iterator[tuple[float, float]]:
    """Steps in a row as parts of the schedule."""
    breaks = [place for place, (one, other) in enumerate(pairwise(on), 1) if other != one + 1]
    for first, end in pairwise([0, *breaks, len(on)]):
        yield (on[first] - 1) / steps, on[end - 1] / steps


@dataclass
class _Open:
    """A bracket that is open: what stands in it so far, cut at its own bars and colons."""

    bracket: str
    parts: list[list[str | Written]]
    cuts: list[str]

    @classmethod
    def begun(cls, bracket: str) -> _Open:
        return cls(bracket, [[]], [])

    def plain(self) -> list[str | Written]:
        """What it holds, with its cuts as the characters that they are."""
        found = [*self.parts[0]]
        for cut, part in zip(self.cuts, self.parts[1:], strict=True):
            found += [cut, *part]
        return found


def _read(prompt: str) -> Written:
    groups = [_Open.begun("")]
    for token in _TOKEN.findall(prompt):
        last = groups[-1]
        if token in ("[", "(") and len(groups) <= _DEEPEST:
            groups.append(_Open.begun(token))
        elif (token == "]" and last.bracket == "[") or (token == ")" and last.bracket == "("):
            closed = groups.pop()
            groups[-1].parts[-1] += [_closed(closed)] if token == "]" else ["(", *closed.plain(), ")"]
        elif token in ("|", ":") and last.bracket == "[":
            last.cuts.append(token)
            last.parts.append([])
        else:
            last.parts[-1].append(token)
    left: list[str | Written] = [*groups[0].plain()]
    for group in groups[1:]:  # brackets without their partner are characters
        left += [group.bracket, *group.plain()]
    return _joined(left)


def _closed(group: _Open) -> Written:
    """What square brackets with this inside say."""
    when = group.parts[-1]
    number = _WHEN.fullmatch(when[0]) if len(when) == 1 and isinstance(when[0], str) else None
    if group.cuts and set(group.cuts) == {"|"}:
        turns = [_joined(part) for part in group.parts]
        return lambda step, steps: turns[(step - 1) % len(turns)](step, steps)
    if number is not None and group.cuts in ([":"], [":", ":"]):
        before = _joined(group.parts[0] if len(group.parts) == 3 else [])
        after = _joined(group.parts[-2])
        told = number[1]

        def change(step: int, steps: int) -> str:
            last = int(float(told) * steps + 1e-6) if "." in told else int(told)
            return (before if step <= last else after)(step, steps)

        return change
    return _joined(["[", *group.plain(), "]"])


def _joined(parts: Sequence[str | Written]) -> Written:
    return lambda step, steps: "".join(part if isinstance(part, str) else part(step, steps) for part in parts)
