"""Miniatures of CLIP's text encoders and tokenizer, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEXT_WIDTH = 32
"""Channels of every text encoder here."""
_MERGED_WORDS = [
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
]
_LONGEST_PROMPT = 77


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers from a seed inside the block, without touching those of the test around it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def text_tower(activation: str, projected: bool) -> Any:
    """A random text encoder of three layers."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    size = len(_vocabulary()[0])
    config = CLIPTextConfig(
        vocab_size=size,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=_LONGEST_PROMPT,
        projection_dim=TEXT_WIDTH,
        hidden_act=activation,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,  # as the published models have it; the encoder then looks for the largest id
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def write_tokenizer(folder: Path, pad: str) -> None:
    """A tokenizer as the published repositories have it, which fills texts up with `pad`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = _vocabulary()
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad,
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": _LONGEST_PROMPT, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    """A byte-level BPE like CLIP's: every byte, every byte that ends a word, some merged words, two special tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    tokens = letters + [letter + "</w>" for letter in letters]
    merges: list[str] = []
    for word in _MERGED_WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        built = parts[0]
        for part in parts[1:]:
            if f"{built} {part}" not in merges:
                merges.append(f"{built} {part}")
                tokens.append(built + part)
            built += part
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}, merges
