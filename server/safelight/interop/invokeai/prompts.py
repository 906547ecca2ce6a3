"""Weights in prompts of InvokeAI, which are those of the library compel, and the same as they are written here.

There, `(red hat)1.2` is a weight, each `+` behind a word or bracket is a tenth more and each `-` a tenth less, and
brackets alone weigh nothing. Here, `(red hat:1.2)` is the weight.
"""

from __future__ import annotations

import re

_MORE, _LESS = 1.1, 0.9
_WEIGHT = re.compile(r"(\d+(?:\.\d+)?|\++|-+)(?=$|[\s,.;:)\"'(])")
_WORD = re.compile(r"[^\s,.;:()\\\"+-][^\s,.;:()\\\"]*?(\++|-+)(?=$|[\s,.;:)])")
_DEEPEST = 30
FUNCTIONS = re.compile(r"\)\s*\.\s*(and|blend|swap)\s*\(")
"""What has no counterpart: prompts that are joined, blended, or swapped for others."""


def prompt(text: str) -> str:
    """A prompt of InvokeAI in our signs."""
    return _read(text, 0)


def _read(text: str, depth: int) -> str:
    made: list[str] = []
    at = 0
    while at < len(text):
        mark = text[at]
        if mark == "\\" and text[at + 1 : at + 2] in ("(", ")"):
            made.append(text[at : at + 2])
            at += 2
            continue
        end = _closing(text, at) if mark == "(" and depth < _DEEPEST else -1
        if end > at:
            inside = _read(text[at + 1 : end], depth + 1)
            found = _WEIGHT.match(text, end + 1)
            made.append(_weighed(inside, _number(found[1])) if found else inside)
            at = found.end() if found else end + 1
            continue
        word = _WORD.match(text, at) if not made or not text[at - 1].isalnum() else None
        if word:
            made.append(_weighed(_plain(word[0][: -len(word[1])]), _number(word[1])))
            at = word.end()
            continue
        made.append(_plain(mark))
        at += 1
    return "".join(made)


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` is closed; -1 where it is not."""
    opened = 0
    at = start
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == "(":
            opened += 1
        elif text[at] == ")":
            opened -= 1
            if not opened:
                return at
        at += 1
    return -1


def _number(told: str) -> float:
    if told[0] in "+-":
        return (_MORE if told[0] == "+" else _LESS) ** len(told)
    return float(told)


def _plain(text: str) -> str:
    return re.sub(r"([()\[\]])", r"\\\1", text)


def _weighed(text: str, weight: float) -> str:
    return f"({text}:{weight:.6g})" if text.strip() else text
