"""A T5 encoder and its tokenizer in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_WORDS = (
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
)
_SPACE = "\u2581"


def encoder(width: int, kind: str = "T5") -> Any:
    """With random weights: its `d_model` is `width`. `kind` is T5 or UMT5."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(_vocabulary()),
        d_model=width,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
    )
    return getattr(transformers, f"{kind}EncoderModel")(config)


def tokenizer() -> Any:
    """Knows some words, and every printable character of ASCII."""
    from transformers import T5TokenizerFast  # pyright: ignore[reportAttributeAccessIssue]

    return T5TokenizerFast(vocab=_vocabulary(), extra_ids=0)


def write_tokenizer(folder: Path) -> None:
    tokenizer().save_pretrained(folder)


def _vocabulary() -> list[tuple[str, float]]:
    """Pieces with their log probabilities: longer words are better than their letters."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(_SPACE + word, -2.0 - place / 100) for place, word in enumerate(_WORDS)]
    letters = [(chr(code), -6.0) for code in range(33, 127)]
    return [*special, *words, (_SPACE, -4.0), *letters]
