"""The text encoder of Wan: UMT5, which sees the prompt and nothing behind it."""

from __future__ import annotations

from safelight.diffusion.finite import require_finite
from safelight.families._modular.text import ModularText
from safelight.families._t5 import encoder as t5
from safelight.sdk import Conditioning, Context, Problem, Prompt

TOKENS = 512


class WanText(ModularText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        if clip_skip:
            message = f"{self.family.title} has no CLIP text encoder: clip_skip does nothing."
            problem = Problem(code="setting_unused", message=message, hint="Let it be 0.", port="clip_skip")
            ctx.warn(problem.warning())
        pieces = self.pieces(text)
        found = t5.encode(self.tokenizers[0], self.modules["text_encoder"], pieces, TOKENS, self.device, masked=True)
        self.tell_cut(found.cut, TOKENS, ctx)
        require_finite(found.embeddings, *self.not_finite)
        return Conditioning((Prompt.of(found.embeddings),), family=self.family.id)
