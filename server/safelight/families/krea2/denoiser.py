"""The transformer of Krea 2: it reads the states of several layers of its language model, token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import Work
from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import TwoByTwo

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import Prompt


class Krea2Denoiser(TwoByTwo, GuidedDenoiser):
    from_images = False

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.text_hidden_dim}

    def components(self, work: Work) -> dict[str, Any]:
        return {} if self.distilled else super().components(work)

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        return {**super().said(work, prompt), "prompt_embeds_mask": work.text(prompt, "mask").bool()}

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]

    def _blocks(self, work: Work) -> Any:
        import diffusers as library

        if not self.distilled:
            return super()._blocks(work)
        # They shift the schedule alike for all sizes, as the model was distilled.
        diffusers: Any = library
        return diffusers.Krea2TurboAutoBlocks().sub_blocks["denoise"]
