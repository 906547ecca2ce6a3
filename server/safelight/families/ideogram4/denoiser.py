"""The transformers of Ideogram 4: one sees text and image as one sequence, the other the image alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser

from .parts import SECOND

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work
    from safelight.sdk import Context
    from safelight.sdk.leased import SampleRequest


class Ideogram4Denoiser(ModularDenoiser):
    from_images = False

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.llm_features_dim}

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        self.tell_embedded(request, ctx)
        return False

    def components(self, work: Work) -> dict[str, Any]:
        del work
        return {SECOND: self.modules[SECOND]}

    def inputs(self, work: Work) -> dict[str, Any]:
        features = work.text(work.positive, "embeddings")
        return {
            "text_features": features,
            "text_lengths": [features.shape[1]] * len(features),
            "guidance_schedule": [work.request.guidance] * (work.calls or work.request.steps),
        }

    def packed(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, h/2 * w/2, 4 * C): each token holds two by two cells, cell by cell."""
        batch, channels, height, width = latents.shape
        blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, channels * 4)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        batch, _, channels = latents.shape
        blocks = latents.view(batch, size[0] // 2, size[1] // 2, 2, 2, channels // 4)
        return blocks.permute(0, 5, 1, 3, 2, 4).reshape(batch, channels // 4, *size)
