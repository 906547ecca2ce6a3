"""CLIP's vocabulary, for models whose file brings none, as a Stable Diffusion in a single file.

Radford et al. 2021, https://arxiv.org/abs/2103.00020: a byte-level BPE. Its merges (MIT) lie in `data/`.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CLIP_VOCABULARY = 49408
_MERGES = "bpe_simple_vocab_16e6.txt.gz"
_START, _END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(pad: str) -> Any:
    """A CLIPTokenizer that fills texts up to 77 tokens with `pad`."""
    from transformers import CLIPTokenizer

    vocabulary, merges = clip_vocabulary()
    return CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges), pad_token=pad, model_max_length=77)


@cache
def clip_vocabulary() -> tuple[dict[str, int], Any]:
    """The ids of all tokens, and the merges in their order.

    The ids are those of 256 bytes, of 256 bytes that end a word, of what each merge makes, and of two marks.
    """
    found = find_spec(__package__ or "")
    assert found is not None and found.origin is not None
    lines = gzip.decompress((Path(found.origin).parent / "data" / _MERGES).read_bytes()).decode().split("\n")
    letters = _letters()
    # The file has a heading, and more merges than the vocabulary takes.
    count = CLIP_VOCABULARY - 2 * len(letters) - 2
    merges = [(first, second) for first, second in (line.split() for line in lines[1 : count + 1])]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges), _START, _END]
    return {token: number for number, token in enumerate(tokens)}, merges


def _letters() -> list[str]:
    """A printable character for each byte: its own where it has one, those from 256 on for the rest."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = 256 - len(printable)
    return [chr(code) for code in (*printable, *range(256, 256 + others))]
