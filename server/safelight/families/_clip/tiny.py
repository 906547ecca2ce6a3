"""A CLIP text tower and its tokenizer in miniature, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WIDTH = 32
_WORDS = (
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
)
_LONGEST = 77


def tower(activation: str, *, projected: bool) -> Any:
    """With random weights, `WIDTH` channels."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(_vocabulary()[0]),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=_LONGEST,
        projection_dim=WIDTH,
        hidden_act=activation,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,  # as the published models have it; the encoder then looks for the largest id
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def write_tokenizer(folder: Path, pad: str) -> None:
    """`pad` is what texts are filled up with: the end mark in towers of OpenAI, "!" in those of LAION."""
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
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": _LONGEST, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    """A byte-level BPE like CLIP's: every byte, every byte that ends a word, some merged words, two special tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    tokens = letters + [letter + "</w>" for letter in letters]
    merges: list[str] = []
    for word in _WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        built = parts[0]
        for part in parts[1:]:
            if f"{built} {part}" not in merges:
                merges.append(f"{built} {part}")
                tokens.append(built + part)
            built += part
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}, merges
