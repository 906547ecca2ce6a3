"""Weights in prompts: how ComfyUI reads them, and the same written as it is read here.

There, `(red:1.4)` is a weight of 1.4 whatever brackets stand around it, brackets without a number multiply by 1.1, and
square ones are characters. Here, weights multiply and square brackets divide.
"""

from __future__ import annotations

import re
from typing import Any

from safelight.sdk.prompt_syntax import STRONGER, parse

_MARK = re.compile(r"\\[()]|[()]")
_DEEPEST = 30


def prompt(value: Any) -> str:
    """A prompt of ComfyUI in our signs: as it is where both read the same."""
    text = str(value)
    read = _joined(_pieces(text, 1.0, 0))
    ours = [(f"embedding:{one.embedding}" if one.embedding else one.text, one.weight) for one in parse(text)]
    if read == _joined(ours):
        return text
    return "".join(_written(piece, weight) for piece, weight in read)


def unprompt(value: Any) -> str:
    """A prompt of ours in the signs of ComfyUI: as it is where both read the same."""
    text = str(value)
    ours = _joined([(f"embedding:{one.embedding}" if one.embedding else one.text, one.weight) for one in parse(text)])
    if _joined(_pieces(text, 1.0, 0)) == ours:
        return text
    return "".join(_written(piece, weight, r"([()])") for piece, weight in ours)


def _pieces(text: str, weight: float, depth: int) -> list[tuple[str, float]]:
    """Text with its weights, from the outermost brackets inwards; one that is not closed goes to the end."""
    found: list[tuple[str, float]] = []
    opened, start, plain = 0, 0, 0
    for mark in _MARK.finditer(text):
        if mark[0] == "(" and depth < _DEEPEST:
            if not opened:
                found.append((text[plain : mark.start()], weight))
                start = mark.end()
            opened += 1
        elif mark[0] == ")" and opened:
            opened -= 1
            if not opened:
                found += _group(text[start : mark.start()], weight, depth)
                plain = mark.end()
    found.append((text[start - 1 :] if opened else text[plain:], weight))
    return found


def _group(inside: str, weight: float, depth: int) -> list[tuple[str, float]]:
    words, colon, number = inside.rpartition(":")
    if colon and words:
        try:
            return _pieces(words, float(number), depth + 1)
        except ValueError:
            pass
    return _pieces(inside, weight * STRONGER, depth + 1)


def _joined(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Without empty pieces; neighbours of one weight together, and brackets that stand for themselves as such."""
    found: list[tuple[str, float]] = []
    for text, weight in pieces:
        plain = re.sub(r"\\([()])", r"\1", text)
        if found and abs(found[-1][1] - weight) < 1e-9:
            found[-1] = found[-1][0] + plain, weight
        elif plain:
            found.append((plain, weight))
    return found


def _written(text: str, weight: float, signs: str = r"([()\[\]])") -> str:
    escaped = re.sub(signs, r"\\\1", text)
    return escaped if abs(weight - 1) < 1e-9 else f"({escaped}:{weight:.6g})"
