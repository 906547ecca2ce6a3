"""The transformer of ERNIE-Image: it takes prompts of any length as lists, and a token's cells as channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import Work
from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._vaes.flux2 import TokenChannels

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import Prompt


class ErnieImageDenoiser(TokenChannels, GuidedDenoiser):
    from_images = False

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.text_in_dim}

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        return {name: list(found.unbind()) for name, found in super().said(work, prompt).items()}

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return self.finished(latents, size)
