"""The text encoder of LTX-Video: T5, and which of its tokens the denoiser is to look at."""

from __future__ import annotations

from safelight.diffusion.finite import require_finite
from safelight.families._modular.text import ModularText
from safelight.families._t5 import encoder as t5
from safelight.sdk import Conditioning, Context, Prompt

TOKENS = 128


class LtxText(ModularText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        self.refuse_clip_skip(clip_skip)
        found = t5.encode(self.tokenizers[0], self.modules["text_encoder"], self.pieces(text), TOKENS, self.device)
        self.tell_cut(found.cut, TOKENS, ctx)
        require_finite(found.embeddings, *self.not_finite)
        mask = (torch.arange(TOKENS) < found.said).float()[None]
        return Conditioning((Prompt({"embeddings": found.embeddings, "tokens": mask}),), family=self.family.id)
