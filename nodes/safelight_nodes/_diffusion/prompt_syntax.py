"""Weights in prompts: `(word:1.2)`, `(word)`, `[word]`, `\\(` for a bracket itself, and BREAK between chunks."""

from __future__ import annotations

import re
from dataclasses import dataclass

STRONGER = 1.1
"""What one pair of round brackets without a number multiplies by; square ones divide by it."""

_TOKEN = re.compile(r"\\[\\()\[\]:]|[()\[\]]|\bBREAK\b|[^\\()\[\]B]+|.", re.DOTALL)
_NUMBER = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*$")


@dataclass(frozen=True)
class Piece:
    """Text with its weight; `starts_chunk` is True for what follows a BREAK."""

    text: str
    weight: float = 1.0
    starts_chunk: bool = False


@dataclass
class _Group:
    """An open bracket with the pieces inside it so far."""

    bracket: str
    pieces: list[Piece]


def parse(prompt: str) -> list[Piece]:
    """Takes a prompt apart. Never fails: a bracket without its partner is an ordinary character.

    Nested weights multiply. `(a (b:2):0.5)` gives `a` 0.5 and `b` 1.0.
    """
    groups = [_Group("", [])]
    for match in _TOKEN.finditer(prompt):
        token = match.group()
        if token in ("(", "["):
            groups.append(_Group(token, []))
        elif token in (")", "]") and groups[-1].bracket == ("(" if token == ")" else "["):
            group = groups.pop()
            groups[-1].pieces += _weighed(group)
        elif token == "BREAK":
            groups[-1].pieces.append(Piece("", starts_chunk=True))
        else:
            text = token[1] if token[0] == "\\" and len(token) == 2 else token
            groups[-1].pieces.append(Piece(text))
    while len(groups) > 1:
        group = groups.pop()
        groups[-1].pieces += [Piece(group.bracket), *group.pieces]
    return _joined(groups[0].pieces)


def _weighed(group: _Group) -> list[Piece]:
    pieces = group.pieces
    factor = STRONGER if group.bracket == "(" else 1 / STRONGER
    if group.bracket == "(" and pieces:
        tail = _trailing_text(pieces)
        number = _NUMBER.search(tail)
        if number:
            factor = float(number.group(1))
            pieces = _without_tail(pieces, len(tail) - number.start())
    return [Piece(piece.text, piece.weight * factor, piece.starts_chunk) for piece in pieces]


def _trailing_text(pieces: list[Piece]) -> str:
    """The unweighted text at the end of a group, where its number would stand."""
    text = ""
    for piece in reversed(pieces):
        if piece.weight != 1 or piece.starts_chunk:
            break
        text = piece.text + text
    return text


def _without_tail(pieces: list[Piece], count: int) -> list[Piece]:
    pieces = list(pieces)
    while count:
        last = pieces.pop()
        if len(last.text) > count:
            pieces.append(Piece(last.text[:-count], last.weight, last.starts_chunk))
            break
        count -= len(last.text)
    return pieces


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one weight as one piece, so that a plain prompt reaches the tokenizer whole."""
    found: list[Piece] = []
    fresh = False
    for piece in pieces:
        if piece.starts_chunk:
            fresh = True
        elif found and not fresh and found[-1].weight == piece.weight:
            found[-1] = Piece(found[-1].text + piece.text, piece.weight, found[-1].starts_chunk)
        else:
            found.append(Piece(piece.text, piece.weight, fresh and bool(found)))
            fresh = False
    return found or [Piece("")]
