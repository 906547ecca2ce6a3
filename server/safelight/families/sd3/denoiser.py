"""The transformer of Stable Diffusion 3: guidance against a negative prompt, latents as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser, Work, classifier_free
from safelight.sdk import Context, Latent, Problem, ProblemError

if TYPE_CHECKING:
    from safelight.sdk.leased import SampleRequest


class SD3Denoiser(ModularDenoiser):
    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        del ctx
        self._fits(request.latent)
        return request.guidance > 1

    def components(self, work: Work) -> dict[str, Any]:
        return {"guider": classifier_free(work)}

    def inputs(self, work: Work) -> dict[str, Any]:
        given = {
            "prompt_embeds": work.text(work.positive, "embeddings"),
            "pooled_prompt_embeds": work.text(work.positive, "pooled"),
        }
        if work.negative is None:
            return given
        return {
            **given,
            "negative_prompt_embeds": work.text(work.negative, "embeddings"),
            "negative_pooled_prompt_embeds": work.text(work.negative, "pooled"),
        }

    def _fits(self, latent: Latent) -> None:
        """Raises ProblemError when the model has no positions for so many cells."""
        config = self.transformer.config
        largest = config.pos_embed_max_size * config.patch_size
        if max(latent.samples.shape[-2:]) > largest:
            side = largest * latent.downsampling
            message = f"The model has positions for {side} x {side} pixels, and the image is larger."
            hint = "Make a smaller one, and enlarge it afterwards."
            raise ProblemError(Problem(code="image_too_large", message=message, hint=hint, port="latent"))
