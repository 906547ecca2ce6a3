"""The tokenizer of a model that writes: byte-level BPE as GPT-2 has it, so that what it writes is whole again.

R. Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016; over bytes as in A. Radford et
al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .tokenizer import to_files as plain_files

START, END, FILL = "<|start|>", "<|end|>", "<|fill|>"


def learn(texts: Iterable[str], vocabulary: int, length: int) -> Any:
    """A fast tokenizer of transformers with up to `vocabulary` tokens: three marks, 256 bytes, and merges."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    learner: Any = Tokenizer(BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[START, END, FILL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=learner, bos_token=START, eos_token=END, pad_token=FILL, model_max_length=length,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip


def to_files(tokenizer: Any) -> dict[str, str]:
    """The tokenizer's two files as text, with the name of its class that older releases of transformers know, too."""
    name = "tokenizer_config.json"
    files = plain_files(tokenizer)
    said = {**json.loads(files[name]), "tokenizer_class": "PreTrainedTokenizerFast"}
    return {"tokenizer.json": files["tokenizer.json"], name: json.dumps(said, indent=2, sort_keys=True) + "\n"}
