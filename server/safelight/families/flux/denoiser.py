"""The transformer of Flux.1: guidance as an input or none, latents packed two by two cells a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.diffusion.latents import expanded, inpainting_planes
from safelight.families._modular.denoiser import ModularDenoiser, Work
from safelight.families._modular.packing import TwoByTwo
from safelight.sdk import Context

from .kinds import FILL, KONTEXT, PIXELS

if TYPE_CHECKING:
    from safelight.sdk.leased import SampleRequest


class FluxDenoiser(TwoByTwo, ModularDenoiser):
    adapters = None

    @property
    def sees(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A Kontext looks at one. A whole folder says what it is; the weights alone do not, so those may be one."""
        may_be = self.transformer.config.guidance_embeds and not self.fills
        return 1 if may_be and self._held.settings["made"] in ("", *KONTEXT) else 0

    @property
    def fills(self) -> bool:
        """Whether it is a Fill, which sees the hole and the image around it."""
        return self.transformer.config.in_channels == FILL

    @property
    def blends(self) -> bool:
        return not self.fills

    @property
    def widths(self) -> Mapping[str, int]:
        return {**super().widths, "pooled": self.transformer.config.pooled_projection_dim}

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        self.tell_embedded(request, ctx)
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

    def looked_at(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        image = expanded(work.seen[0], len(work.noise))
        # The blocks bring the size to this area, which leaves it as it is.
        return {"image_latents": image, "max_area": size[0] * size[1] * 64}

    @contextmanager
    def beside(self, work: Work) -> Iterator[None]:
        """A Fill takes, behind each token's cells, those of the image around the hole, and the hole pixel by pixel."""
        if not self.fills:
            yield
            return
        import torch

        hole, masked = (self.placed(planes, work) for planes in inpainting_planes(work.request.latent))
        seen = torch.cat([self.packed(masked), self.packed(hole.repeat(1, PIXELS, 1, 1))], dim=-1)

        def show(module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            del module
            return args, {**given, "hidden_states": torch.cat([given["hidden_states"], seen], dim=-1)}

        hook = self.transformer.register_forward_pre_hook(show, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()

    def _blocks(self, work: Work) -> Any:
        import diffusers as library

        diffusers: Any = library
        return diffusers.FluxKontextAutoBlocks().sub_blocks["denoise"] if work.seen else super()._blocks(work)
