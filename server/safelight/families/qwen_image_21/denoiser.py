"""The transformer of Qwen-Image 2.1: a token a cell, behind those of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.guided import GuidedDenoiser

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk import Prompt
    from safelight.sdk.leased import Presets


class QwenImage21Denoiser(GuidedDenoiser):
    """`sigmas` are the noise levels of a model that was distilled to these."""

    from_images = False

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, sigmas: tuple[float, ...]) -> None:
        super().__init__(family, held, presets)
        self._sigmas = sigmas

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.context_in_dim}

    def inputs(self, work: Work) -> dict[str, Any]:
        # A run that goes on would fill the cache at another step than one that did not stop, to other bits.
        given = super().inputs(work) | {"use_kv_cache": False}
        asked = work.request
        own = asked.steps == len(self._sigmas) and asked.scheduler == "model" and not asked.sigmas
        return given | {"sigmas": list(self._sigmas)} if own else given

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        mask = work.text(prompt, "mask")
        return {
            **super().said(work, prompt),
            "prompt_embeds_mask": mask.long(),
            "image_pad_mask": mask.new_zeros(mask.shape).bool(),
        }

    def packed(self, latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return latents.transpose(1, 2).unflatten(2, size)

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        cell = self.family.latent.downsampling
        return {**super()._start(work, size), "height": size[0] * cell, "width": size[1] * cell}
