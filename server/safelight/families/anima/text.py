"""The text encoder of Anima: the states of a Qwen3, and the same text in the tokens of T5."""

from __future__ import annotations

from dataclasses import replace

from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context

TOKENS = 512
READING = Reading(length=TOKENS, layers=(-1,), template="{}")


class AnimaText(LanguageText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        made = super().encode(text, ctx, clip_skip=clip_skip)
        (prompt,) = made.prompts
        # Of an empty text the tokenizer makes nothing: there is nothing to look at, either.
        there = 1.0 if text else 0.0
        ids = self.tokenizers[1](text, truncation=True, max_length=TOKENS).input_ids
        tensors = {
            "embeddings": prompt.embeddings * there,
            "mask": prompt.tensors["mask"] * there,
            "tokens": torch.tensor([ids]),
        }
        return replace(made, prompts=(replace(prompt, tensors=tensors),))
