"""The text encoders of Flux.1: T5 reads the prompt, CLIP gives its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.diffusion.finite import require_finite
from safelight.families._modular.text import ModularText
from safelight.families._t5 import encoder as t5
from safelight.sdk import Conditioning, Context, Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from safelight.sdk.prompt_syntax import Piece

DEV_TOKENS, SCHNELL_TOKENS = 512, 256


class FluxText(ModularText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        self.refuse_clip_skip(clip_skip)
        pieces = self.pieces(text)
        self.tell_break(pieces, ctx)
        length = DEV_TOKENS if self.held.settings["transformer"].get("guidance_embeds") else SCHNELL_TOKENS
        found = t5.encode(self.tokenizers[1], self.modules["text_encoder_2"], pieces, length, self.device)
        pooled = self._summary(pieces)
        self.tell_cut(found.cut, length - 1, ctx)
        for tensor in (found.embeddings, pooled):
            require_finite(tensor, *self.not_finite)
        return Conditioning((Prompt.of(found.embeddings, pooled),), family=self.family.id)

    def _summary(self, pieces: Sequence[Piece]) -> Tensor:
        """CLIP's state at the end of the text (1, channels), of as much of the prompt as it can read."""
        import torch

        tokenizer = self.tokenizers[0]
        words = "".join(piece.text for piece in pieces)
        given = tokenizer(
            words, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
        )
        found = self.modules["text_encoder"](given.input_ids.to(self.device))
        return found.pooler_output.to("cpu", torch.float32)
