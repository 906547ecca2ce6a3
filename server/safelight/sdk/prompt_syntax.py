"""What stands in a prompt beside words.

`(word:1.2)`, `(word)` and `[word]` are weights, `\\(` is a bracket itself, BREAK stands between chunks, and
`embedding:NAME` is the learned vectors of a file (textual inversion).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace

STRONGER = 1.1
"""What one pair of round brackets without a number multiplies by; square ones divide by it."""

STRONGEST = 3
"""What weighs more, or less than nothing, is told of: vectors so far from all that a model learned give noise."""

_APART = r"\s,;:()\[\]<>|\"\uff0c\u3002\uff1b\uff1a\uff08\uff09"
"""What ends the name of an embedding. A dot ends it, too, where nothing follows."""

_ESCAPED = r"\\([()\[\] ,;])"
"""What may stand in the name all the same."""

_EMBEDDING = rf"\bembedding:(?P<embedding>(?:{_ESCAPED}|[^{_APART}])+(?<!\.))"
_WORDS = r"(?:[^\\()\[\]Be]|(?!\bBREAK\b|\bembedding:)[Be])+"
_TOKEN = re.compile(rf"{_EMBEDDING}|\\[\\()\[\]:]|[()\[\]]|\bBREAK\b|{_WORDS}|.", re.DOTALL)
_NUMBER = re.compile(r":\s{0,9}([+-]?(?:\d{1,50}(?:\.\d{0,50})?|\.\d{1,50}))\s{0,9}$")
_NUMBER_LENGTH = 128
"""More than the longest number with its blanks: no more of a group's end is looked at."""

_DEEPEST = 30
"""Brackets inside more brackets than this are ordinary characters: 1.1 to that power is more than any use."""


@dataclass(frozen=True)
class Piece:
    """Text with its weight, or an embedding by its name; `starts_chunk` is True for what follows a BREAK."""

    text: str
    weight: float = 1.0
    starts_chunk: bool = False
    embedding: str = ""
    escaped: bool = False
    """While a prompt is taken apart: a character that stands for itself, and never begins a number."""


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
        if match["embedding"]:
            groups[-1].pieces.append(Piece("", embedding=_name(match["embedding"])))
        elif token in ("(", "[") and len(groups) <= _DEEPEST:
            groups.append(_Group(token, []))
        elif token in (")", "]") and groups[-1].bracket == ("(" if token == ")" else "["):
            group = groups.pop()
            groups[-1].pieces += _weighed(group)
        elif token == "BREAK":
            groups[-1].pieces.append(Piece("", starts_chunk=True))
        else:
            escaped = token[0] == "\\" and len(token) == 2
            groups[-1].pieces.append(Piece(token[1] if escaped else token, escaped=escaped))
    left = [piece for group in groups for piece in (Piece(group.bracket), *group.pieces)]
    return _joined(left[1:])


def embeddings_in(prompt: str) -> list[str]:
    """The names of the embeddings that a prompt uses, each once, in the order of the prompt."""
    if "embedding:" not in prompt:
        return []
    return list(dict.fromkeys(piece.embedding for piece in parse(prompt) if piece.embedding))


_SCHEDULED = "Encode it with text.encode_schedule, which reads AND, [a|b] and [a:b:0.4] as A1111 does."
_FOREIGN: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"<(?:lora|lyco|loha|locon|hypernet|ti):[^<>\n]{0,300}>", re.IGNORECASE),
        "loads nothing here",
        "Put the node models.apply_lora behind the model; for embeddings write embedding:NAME.",
    ),
    (
        re.compile(r"\{[^{}|\n]{0,300}\|[^{}\n]{0,300}\}"),
        "chooses nothing here: it is read as words",
        "Give the prompts as a list (values.texts), or write one of them.",
    ),
    (
        re.compile(r"(?<!_)__[a-zA-Z0-9*/-](?:_?[a-zA-Z0-9*/-]){0,100}__"),
        "is replaced by nothing here: it is read as words",
        "Give the prompts as a list (values.texts).",
    ),
    (
        re.compile(r"(?<!\\)\[[^\[\]:|\n]{0,300}:(?:[^\[\]:|\n]{0,300}:)?\s{0,9}(?:\d{1,9}|\d{0,9}\.\d{1,9})\s{0,9}\]"),
        "changes nothing while the image is made: it is read as words, and [ ] as less weight",
        _SCHEDULED,
    ),
    (
        re.compile(r"(?<!\\)\[[^\[\]\n|]{0,300}\|[^\[\]\n]{0,300}\]"),
        "does not alternate here: it is read as words, and [ ] as less weight",
        _SCHEDULED,
    ),
    (
        re.compile(r"(?<=\S)\s{1,9}AND\s{1,9}(?=\S)"),
        "parts no prompts here: it is read as a word",
        _SCHEDULED,
    ),
)
"""What other programs take in a prompt and this one does not: a form, what becomes of it, and the way to the same.

Every repetition has a bound, so that no text takes longer than in proportion to its length.
"""


def prompt_hints(text: str, scheduled: bool = False) -> list[tuple[str, str]]:
    """What in a prompt is syntax of other programs: a message that shows it, and what to do instead.

    `scheduled` is for where AND, `[a|b]` and `[a:b:0.4]` are read.
    """
    found: list[tuple[str, str]] = []
    for form, becomes, hint in _FOREIGN:
        if scheduled and hint == _SCHEDULED:
            continue
        match = form.search(text)
        if match:
            found.append((f"{match.group()[:100]!r} {becomes}.", hint))
    return found


def weight_hint(text: str) -> tuple[str, str] | None:
    """The first weight in a prompt that no model bears: a message that shows it, and what to do instead."""
    far = next((piece for piece in parse(text) if not 0 <= piece.weight <= STRONGEST), None)
    if far is None:
        return None
    said = far.text.strip() or f"embedding:{far.embedding}"
    message = f"{said[:100]!r} has a weight of {far.weight:g}, with which most models draw noise."
    return message, f"Weights from 0.5 to 1.5 are usual, and 0 to {STRONGEST} is what models bear at most."


def _name(written: str) -> str:
    """The name without its escapes; folders in it are parted by slashes on every system."""
    return re.sub(_ESCAPED, r"\1", written).replace("\\", "/")


def _weighed(group: _Group) -> list[Piece]:
    pieces = _merged(group.pieces)
    factor = STRONGER if group.bracket == "(" else 1 / STRONGER
    if group.bracket == "(" and pieces:
        tail = _trailing_text(pieces)
        number = _NUMBER.search(tail)
        if number:
            factor = float(number.group(1))
            pieces = _without_tail(pieces, len(tail) - number.start())
    # What has a weight ends no number, so it need not be told apart any more.
    return [
        replace(piece, weight=piece.weight * factor, escaped=piece.escaped and piece.weight * factor == 1)
        for piece in pieces
    ]


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Runs of text that are alike as one piece each, so that brackets within brackets do not look at it bit by bit."""
    found: list[Piece] = []
    for alike, run in itertools.groupby(pieces, lambda piece: replace(piece, text="")):
        members = list(run)
        if not (alike.embedding or alike.starts_chunk):
            members = [replace(alike, text="".join(piece.text for piece in members))]
        found += members
    return found


def _trailing_text(pieces: list[Piece]) -> str:
    """The unweighted text at the end of a group, where its number would stand."""
    text = ""
    for piece in reversed(pieces):
        if piece.weight != 1 or piece.starts_chunk or piece.embedding or piece.escaped:
            break
        text = piece.text + text
        if len(text) > _NUMBER_LENGTH:
            break
    return text[-_NUMBER_LENGTH:]


def _without_tail(pieces: list[Piece], count: int) -> list[Piece]:
    pieces = list(pieces)
    while count:
        last = pieces.pop()
        if len(last.text) > count:
            pieces.append(replace(last, text=last.text[:-count]))
            break
        count -= len(last.text)
    return pieces


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one weight as one piece, so that a plain prompt reaches the tokenizer whole."""
    found: list[Piece] = []
    fresh = False
    for piece in pieces:
        last = found[-1] if found and not fresh else None
        if piece.starts_chunk:
            fresh = True
        elif last and last.weight == piece.weight and not last.embedding and not piece.embedding:
            found[-1] = replace(last, text=last.text + piece.text)
        else:
            found.append(replace(piece, starts_chunk=fresh and bool(found), escaped=False))
            fresh = False
    return found or [Piece("")]
