"""The text encoder of Ideogram 4: what several layers of Qwen3-VL say of each token, channel by channel."""

from __future__ import annotations

from dataclasses import replace

from safelight.families._lm.encoder import Reading
from safelight.families._modular.text import LanguageText
from safelight.sdk import Conditioning, Context

LAYERS = (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 35)
"""The layers whose states are read; the last one's before the norm behind it."""
READING = Reading(length=2048, layers=tuple(layer + 1 for layer in LAYERS), stacked=True, raw=True, pieces=True)


class Ideogram4Text(LanguageText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        made = super().encode(text, ctx, clip_skip=clip_skip)
        (prompt,) = made.prompts
        tensors = {**prompt.tensors, "embeddings": prompt.embeddings.transpose(2, 3).flatten(2)}
        return replace(made, prompts=(replace(prompt, tensors=tensors),))
