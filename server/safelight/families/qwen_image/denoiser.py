"""The transformer of Qwen-Image: prompts with a mask, latents packed two by two cells a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import Work
from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import TwoByTwo

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import Prompt


class QwenImageDenoiser(TwoByTwo, GuidedDenoiser):
    # The blocks divide by the norm of what is guided, which cfg_zero begins with zeros.
    guiders = ("cfg", "apg", "tcfg")

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        mask = work.text(prompt, "mask").long()
        return {**super().said(work, prompt), "prompt_embeds_mask": mask}

    def image(self, latents: Tensor) -> Tensor:
        return latents[:, :, None]

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]
