"""Tokenizers inside files of weights: in the metadata of a GGUF file, or as a tensor of bytes, as ComfyUI has them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safelight.families.files import Header, Vocabulary

from .gguf_files import Unreadable, gguf_metadata, is_gguf
from .headers import damaged, is_safetensors, read_header

_PIECES = "spiece_model"
"""The tensor that holds a file of SentencePiece."""
_CONTROL, _CHOSEN = 3, 4
"""Kinds of tokens in GGUF: marks, and those that were put in by hand. Both are read as a whole."""


def vocabulary_in(path: Path) -> Vocabulary | None:
    """The tokenizer inside a file; None when it has none.

    Raises:
        ProblemError: `weights_damaged`, when what should be one is not.
    """
    if is_gguf(path):
        return _of_metadata(gguf_metadata(path))
    if not is_safetensors(path):
        return None
    header = read_header(path)
    if _PIECES not in header.tensors:
        return None
    try:
        return _of_pieces(_bytes(path, header))
    except (struct.error, IndexError, UnicodeDecodeError, Unreadable):
        raise damaged(path, "holds a tokenizer that cannot be read") from None


def _of_metadata(told: dict[str, Any]) -> Vocabulary | None:
    def found(name: str) -> list[Any]:
        value = told.get(f"tokenizer.ggml.{name}")
        return value if isinstance(value, list) else []

    tokens = tuple(map(str, found("tokens")))
    if not tokens:
        return None
    kinds = found("token_type")
    return Vocabulary(
        tokens,
        tuple(map(float, found("scores"))),
        bytes(code & 255 for code in found("precompiled_charsmap")),
        tuple(map(str, found("merges"))),
        tuple(token for token, kind in zip(tokens, kinds, strict=False) if kind in (_CONTROL, _CHOSEN)),
        str(told.get("tokenizer.chat_template", "")),
    )


def _of_pieces(data: bytes) -> Vocabulary:
    """A file of SentencePiece, a message of protocol buffers: github.com/google/sentencepiece,
    src/sentencepiece_model.proto."""
    tokens: list[str] = []
    scores: list[float] = []
    charsmap = b""
    for field, value in _fields(data):
        if field == 1:
            piece = dict(_fields(value))
            tokens.append(bytes(piece.get(1, b"")).decode())
            scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)
        elif field == 3:
            charsmap = bytes(dict(_fields(value)).get(2, b""))
    if "<unk>" not in tokens:
        raise Unreadable("has no mark for what it does not know")
    return Vocabulary(tuple(tokens), tuple(scores), charsmap)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a message: bytes, or a whole number."""
    place = 0
    while place < len(data):
        key, place = _whole(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _whole(data, place)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            if kind != 2:
                raise Unreadable("is no message of protocol buffers")
            size, place = _whole(data, place)
        if place + size > len(data):
            raise Unreadable("is cut off")
        yield key >> 3, data[place : place + size]
        place += size


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """A whole number, seven bits a byte, and the place behind it."""
    found = shift = 0
    while True:
        byte = data[place]
        place += 1
        found |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return found, place


def _bytes(path: Path, header: Header) -> bytes:
    first, past = header.tensors[_PIECES].data_offsets
    with path.open("rb") as file:
        file.seek(header.start + first)
        return file.read(past - first)
