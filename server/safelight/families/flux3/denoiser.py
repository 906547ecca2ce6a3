"""The transformer of Flux.3: text and image each have blocks of their own before those they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import unpacked
from safelight.families._vaes.flux2 import TokenChannels

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work


class Flux3Denoiser(TokenChannels, GuidedDenoiser):
    from_images = False

    def components(self, work: Work) -> dict[str, Any]:
        return {} if self.distilled else super().components(work)

    def looped(self, latents: Tensor) -> Tensor:
        """A row of tokens is what the blocks make of them."""
        return self.packed(latents).flatten(2).movedim(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents, size)

    def _blocks(self, work: Work) -> Any:
        import diffusers as library

        if not self.distilled:
            return super()._blocks(work)
        # They tell the transformer which time a step leads to.
        diffusers: Any = library
        return diffusers.Flux3DistilledAutoBlocks().sub_blocks["denoise"]
