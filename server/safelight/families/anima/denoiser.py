"""The transformer of Anima, and the conditioner that makes of a prompt what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.guided import GuidedDenoiser

from .parts import CONDITIONER

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work
    from safelight.sdk import Prompt


class AnimaDenoiser(GuidedDenoiser):
    @property
    def widths(self) -> Mapping[str, int]:
        attention = self.modules[CONDITIONER].blocks[0].cross_attn
        return {"embeddings": attention.k_proj.in_features}

    @property
    def reach(self) -> int | None:
        return min(self.transformer.config.max_size[1:])

    def components(self, work: Work) -> dict[str, Any]:
        return {**super().components(work), CONDITIONER: self.modules[CONDITIONER]}

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        tokens = prompt.tensors["tokens"].long().to(work.device).expand(len(work.noise), -1)
        return {
            "qwen_prompt_embeds": work.text(prompt, "embeddings"),
            "qwen_attention_mask": work.text(prompt, "mask").long(),
            "t5_input_ids": tokens,
            "t5_attention_mask": tokens.new_ones(tokens.shape),
        }

    def packed(self, latents: Tensor) -> Tensor:
        return latents[:, :, None]

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]

    def image(self, latents: Tensor) -> Tensor:
        return latents[:, :, None]

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]
