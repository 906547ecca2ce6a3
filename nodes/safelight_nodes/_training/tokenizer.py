"""A small byte-level BPE in CLIP's form, learned from captions: any text encodes, common words are one token each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safelight_nodes.training_values import ImageSet

from .captions import PALETTE
from .images import Drawer
from .loop import numpy_generator

START, END = "<|startoftext|>", "<|endoftext|>"

# Words a person may well type that no caption holds; seen here, they do not fall apart into letters.
EXTRA = (
    "photo painting sketch of with and in the on under over two three many small big large little cute old new "
    "dark bright light beautiful simple person people man woman boy girl baby forest sea ocean city street night "
    "day morning summer winter snow rain food animal fruit vegetable drink toy portrait landscape happy sad angry"
)


def corpus(images: ImageSet, seed: int) -> Iterator[str]:
    """Captions of every image, those of heavy subjects more often, then the extra words."""
    drawer = Drawer(images, seed)
    for number, entry in enumerate(images.entries):
        weight = images.subjects[entry["subject"]].get("weight", 1.0)
        for draw in range(1 + round(4 * weight)):
            rng = numpy_generator(seed, number * 64 + min(draw, 63))
            yield drawer.text(rng, number, int(rng.integers(len(PALETTE))))
    for _ in range(40):
        yield EXTRA


def learn(texts: Iterable[str], vocabulary: int, length: int) -> Any:
    """A `CLIPTokenizer` whose ids run: 512 byte symbols, merges, start, end (as in CLIP)."""
    from tokenizers import Tokenizer, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import CLIPTokenizer

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    base = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    shell: Any = CLIPTokenizer(vocab={s: i for i, s in enumerate((*base, START, END))}, merges=[])
    learner: Any = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer = shell.backend_tokenizer.normalizer
    learner.pre_tokenizer = shell.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, initial_alphabet=symbols, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    ids = {symbol: number for number, symbol in enumerate(base)}
    merges: list[tuple[str, str]] = []
    for left, right in (tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]):
        if len(ids) >= vocabulary - 2:
            break
        if left in ids and right in ids and left + right not in ids:
            ids[left + right] = len(ids)
            merges.append((left, right))
    ids[START], ids[END] = len(ids), len(ids) + 1
    made: Any = CLIPTokenizer  # its annotation knows merges as lines only
    return made(vocab=ids, merges=merges, model_max_length=length)


def to_files(tokenizer: Any) -> dict[str, str]:
    """The tokenizer's files as text. CLIP's two classic ones are among them, for loaders that know no others."""
    # A tokenizer remembers how it padded last, and would write that down.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}
    if "tokenizer.json" in files:
        model = json.loads(files["tokenizer.json"])["model"]
        merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
        files["vocab.json"] = json.dumps(model["vocab"], ensure_ascii=False)
        files["merges.txt"] = "\n".join(["#version: 0.2", *merges]) + "\n"
    settings = json.loads(files["tokenizer_config.json"])
    for private in ("name_or_path", "is_local", "local_files_only"):
        settings.pop(private, None)
    files["tokenizer_config.json"] = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    return files


def from_files(files: dict[str, str]) -> Any:
    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as name:
        for file, text in files.items():
            (Path(name) / file).write_text(text, encoding="utf-8")
        return CLIPTokenizer.from_pretrained(name)
