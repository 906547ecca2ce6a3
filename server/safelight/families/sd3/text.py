"""The text encoders of Stable Diffusion 3: two CLIP towers beside each other, T5 behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.diffusion.finite import require_finite
from safelight.diffusion.text_encoding import check_clip_skip, encode
from safelight.families._modular.text import ModularText
from safelight.families._t5 import encoder as t5
from safelight.sdk import Conditioning, Context, Prompt

if TYPE_CHECKING:
    from torch import Tensor

T5_TOKENS = 256
LAYER = -2
"""The hidden layer of the CLIP towers that the transformer reads, counted from the end."""


class SD3Text(ModularText):
    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        pieces = self.pieces(text)
        towers = [self.modules[part] for part in ("text_encoder", "text_encoder_2")]
        check_clip_skip(towers, clip_skip)
        clip, pooled = encode(self.tokenizers[:2], towers, pieces, [{}, {}], LAYER, clip_skip, self.device)
        behind = self._t5(pieces, ctx)
        assert pooled is not None
        beside = torch.nn.functional.pad(clip, (0, behind.shape[-1] - clip.shape[-1]))
        embeddings = torch.cat([beside, behind], dim=1)
        for found in (embeddings, pooled):
            require_finite(found, *self.not_finite)
        return Conditioning((Prompt.of(embeddings, pooled),), family=self.family.id)

    def _t5(self, pieces: Any, ctx: Context) -> Tensor:
        """What T5 says of the whole prompt; zeros for a model that comes without it, as it was trained to bear."""
        import torch

        module = self.modules.get("text_encoder_3")
        if module is None:
            return torch.zeros(1, T5_TOKENS, self.held.settings["transformer"].get("joint_attention_dim", 4096))
        found = t5.encode(self.tokenizers[2], module, pieces, T5_TOKENS, self.device)
        self.tell_cut(found.cut, T5_TOKENS - 1, ctx)
        return found.embeddings
