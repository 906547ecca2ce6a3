"""The transformers of Flux.2: Klein is guided against a negative prompt, or not at all where it was distilled; dev has
guidance as an input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser, Work
from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import unpacked
from safelight.families._vaes.flux2 import TokenChannels

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import Context
    from safelight.sdk.leased import SampleRequest


class _Flux2(TokenChannels, ModularDenoiser):
    from_images = False
    sees = None
    usual_shift = (math.exp(2.02), 10_000)

    def looped(self, latents: Tensor) -> Tensor:
        """A row of tokens is what the blocks make of them."""
        return self.packed(latents).flatten(2).movedim(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents, size)

    def looked_at(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        del size
        return {"image_latents": [self.packed(planes) for planes in work.seen]}


class Flux2Denoiser(_Flux2, GuidedDenoiser):
    """Klein."""


class Flux2DevDenoiser(_Flux2):
    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        self.tell_embedded(request, ctx)
        return False

    def components(self, work: Work) -> dict[str, Any]:
        del work
        return {}

    def inputs(self, work: Work) -> dict[str, Any]:
        return {"prompt_embeds": work.text(work.positive, "embeddings"), "guidance_scale": work.request.guidance}

    def _blocks(self, work: Work) -> Any:
        import diffusers as library

        del work
        diffusers: Any = library
        return diffusers.Flux2AutoBlocks().sub_blocks["denoise"]
