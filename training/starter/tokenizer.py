"""A small byte-level BPE in CLIP's form, learned from the captions.

    python -m training.starter.tokenizer --cache DIR

Writes ``DIR/model/tokenizer`` as ``transformers.CLIPTokenizer`` loads it: any text encodes, common words of the
captions are one token each.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from safelight_nodes._training.captions import PALETTE, STYLES, caption

from .data import default_cache, load

VOCABULARY = 2048
LENGTH = 32
START, END = "<|startoftext|>", "<|endoftext|>"

# Words a person may well type that no caption holds; seen here, they do not fall apart into letters.
EXTRA = (
    "photo painting sketch of with and in the on under over two three many small big large little cute old new "
    "dark bright light beautiful simple person people man woman boy girl baby forest sea ocean city street night "
    "day morning summer winter snow rain food animal fruit vegetable drink toy portrait landscape happy sad angry"
)


def corpus(index: dict[str, Any], seed: int = 0) -> Iterable[str]:
    """Captions of every picture (the everyday subjects more often), then the extra words."""
    for number, entry in enumerate(index["pictures"]):
        subject = index["subjects"][entry["subject"]]
        for draw in range(1 + round(4 * subject["weight"])):
            rng = np.random.default_rng([seed, number, draw])
            yield caption(rng, subject, entry["style"] % len(STYLES), int(rng.integers(len(PALETTE))))
    for _ in range(40):
        yield EXTRA


def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> Any:
    """A ``CLIPTokenizer`` whose ids run: 512 byte symbols, merges, start, end (as in CLIP)."""
    from tokenizers import Tokenizer, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import CLIPTokenizer

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    base = [*symbols, *(s + "</w>" for s in symbols)]
    shell = CLIPTokenizer(vocab={s: i for i, s in enumerate((*base, START, END))}, merges=[])
    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer = shell.backend_tokenizer.normalizer
    learner.pre_tokenizer = shell.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, initial_alphabet=symbols, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    import json

    merges = [tuple(m) for m in json.loads(learner.to_str())["model"]["merges"]]
    ids = {s: i for i, s in enumerate(base)}
    kept: list[tuple[str, str]] = []
    for left, right in merges:
        if len(ids) >= vocabulary - 2:
            break
        if left in ids and right in ids and left + right not in ids:
            ids[left + right] = len(ids)
            kept.append((left, right))
    ids[START], ids[END] = len(ids), len(ids) + 1
    return CLIPTokenizer(vocab=ids, merges=kept, model_max_length=LENGTH)


def encode(tokenizer: Any, texts: list[str]) -> Any:
    """(B, LENGTH) int64, padded with the end token as the diffusers pipelines do."""
    return tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    cache: Path = parser.parse_args().cache
    _, index = load(cache)
    tokenizer = train(corpus(index))
    target = cache / "model" / "tokenizer"
    tokenizer.save_pretrained(target)
    print(f"{len(tokenizer)} tokens in {target}")


if __name__ == "__main__":
    main()
