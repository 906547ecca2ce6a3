"""The transformer of Stable Diffusion 3: guidance against a negative prompt, latents as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.skip_layers import skip_layer_guider

if TYPE_CHECKING:
    from safelight.families._modular.denoiser import Work


class SD3Denoiser(GuidedDenoiser):
    adapters = 1
    guiders = (*GuidedDenoiser.guiders, "slg")
    reads: ClassVar[Mapping[str, str]] = {"prompt_embeds": "embeddings", "pooled_prompt_embeds": "pooled"}

    @property
    def widths(self) -> Mapping[str, int]:
        return {**super().widths, "pooled": self.transformer.config.pooled_projection_dim}

    @property
    def reach(self) -> int | None:
        config = self.transformer.config
        return config.pos_embed_max_size * config.patch_size

    def components(self, work: Work) -> dict[str, Any]:
        asked = work.request.guider
        if asked is None or asked.kind != "slg":
            return super().components(work)
        names = [f"transformer_blocks.{place}.attn" for place in range(len(self.transformer.transformer_blocks))]
        blocks, compared = self._layers(names), work.negative is not None
        strength, rescale = work.request.guidance, work.request.rescale
        return {
            "guider": skip_layer_guider(asked, strength, rescale, [blocks[name] for name in names], compared=compared)
        }
