"""The transformer of Flux.1: guidance as an input or none, latents packed two by two cells a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser, Work
from safelight.sdk import Context, Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest


class FluxDenoiser(ModularDenoiser):
    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        if request.rescale:
            hint = "Set guidance_rescale to 0."
            raise ProblemError(self.cannot("rescaling of guidance", hint, "guidance_rescale", request.rescale))
        if request.negative is not None:
            self._tell(ctx, "the negative prompt", "Disconnect it; say in the prompt what the image shows.", "negative")
        if request.guidance > 1 and not self.transformer.config.guidance_embeds:
            self._tell(ctx, "guidance: this model was distilled to do without", "Set it to 1.", "guidance")
        return False

    def components(self, work: Work) -> dict[str, Any]:
        del work
        return {}

    def inputs(self, work: Work) -> dict[str, Any]:
        return {
            "prompt_embeds": work.text(work.positive, "embeddings"),
            "pooled_prompt_embeds": work.text(work.positive, "pooled"),
            "guidance_scale": work.request.guidance,
        }

    def packed(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) to (B, h/2 * w/2, C * 4): each token holds two by two cells, channel by channel."""
        batch, channels, height, width = latents.shape
        blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
        return blocks.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * 4)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        batch, _, channels = latents.shape
        blocks = latents.view(batch, size[0] // 2, size[1] // 2, channels // 4, 2, 2)
        return blocks.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, *size)

    def _tell(self, ctx: Context, what: str, hint: str, port: str) -> None:
        message = f"{self.family.title} does not look at {what}."
        ctx.warn(Problem(code="setting_unused", message=message, hint=hint, port=port).warning())
