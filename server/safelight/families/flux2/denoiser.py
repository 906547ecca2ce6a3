"""The transformer of Flux.2 Klein: guidance against a negative prompt, or none where it was distilled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import unpacked

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk import Context
    from safelight.sdk.leased import Presets, SampleRequest


class Flux2Denoiser(GuidedDenoiser):
    from_images = False

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, *, distilled: bool) -> None:
        super().__init__(family, held, presets)
        self.distilled = distilled

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        if not self.distilled:
            return super().guided(request, ctx)
        self.tell_undirected(request, ctx)
        return False

    def packed(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C * 4, h/2, w/2); the blocks make a row of tokens of that."""
        batch, channels, height, width = latents.shape
        blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.permute(0, 1, 3, 5, 2, 4).reshape(batch, channels * 4, height // 2, width // 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents, size)

    def finished(self, latents: Tensor) -> Tensor:
        height, width = latents.shape[-2:]
        return unpacked(latents.flatten(2).movedim(1, 2), (height * 2, width * 2))
