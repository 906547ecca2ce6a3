"""The transformer of Flux.2 Klein: guidance against a negative prompt, or none where it was distilled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import unpacked

if TYPE_CHECKING:
    from torch import Tensor


class Flux2Denoiser(GuidedDenoiser):
    from_images = False

    def packed(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C * 4, h/2, w/2); the blocks make a row of tokens of that."""
        batch, channels, height, width = latents.shape
        blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * 4, height // 2, width // 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents, size)

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents.flatten(2).movedim(1, 2), size)
