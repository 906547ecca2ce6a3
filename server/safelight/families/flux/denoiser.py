"""The transformer of Flux.1: guidance as an input or none, latents packed two by two cells a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser, Work
from safelight.families._modular.packing import TwoByTwo
from safelight.sdk import Context, ProblemError

if TYPE_CHECKING:
    from safelight.sdk.leased import SampleRequest


class FluxDenoiser(TwoByTwo, ModularDenoiser):
    @property
    def widths(self) -> Mapping[str, int]:
        return {**super().widths, "pooled": self.transformer.config.pooled_projection_dim}

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        if request.rescale:
            hint = "Set guidance_rescale to 0."
            raise ProblemError(self.cannot("rescaling of guidance", hint, "guidance_rescale", request.rescale))
        if request.negative is not None:
            self.tell(ctx, "the negative prompt", "Disconnect it; say in the prompt what the image shows.", "negative")
        if request.guidance > 1 and not self.transformer.config.guidance_embeds:
            self.tell(ctx, "guidance: this model was distilled to do without", "Set it to 1.", "guidance")
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
