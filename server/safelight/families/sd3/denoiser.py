"""The transformer of Stable Diffusion 3: guidance against a negative prompt, latents as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from safelight.families._modular.guided import GuidedDenoiser
from safelight.sdk import Context, Latent, Problem, ProblemError

if TYPE_CHECKING:
    from safelight.sdk.leased import SampleRequest


class SD3Denoiser(GuidedDenoiser):
    reads: ClassVar[Mapping[str, str]] = {"prompt_embeds": "embeddings", "pooled_prompt_embeds": "pooled"}

    @property
    def widths(self) -> Mapping[str, int]:
        return {**super().widths, "pooled": self.transformer.config.pooled_projection_dim}

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        self._fits(request.latent)
        return super().guided(request, ctx)

    def _fits(self, latent: Latent) -> None:
        """Raises ProblemError when the model has no positions for so many cells."""
        config = self.transformer.config
        largest = config.pos_embed_max_size * config.patch_size
        if max(latent.samples.shape[-2:]) > largest:
            side = largest * latent.downsampling
            message = f"The model has positions for {side} x {side} pixels, and the image is larger."
            hint = "Make a smaller one, and enlarge it afterwards."
            raise ProblemError(Problem(code="latent_too_large", message=message, hint=hint, port="latent"))
