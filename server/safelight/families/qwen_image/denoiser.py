"""The transformer of Qwen-Image: prompts with a mask, latents packed two by two cells a token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from safelight.diffusion.latents import expanded
from safelight.families._modular.denoiser import Work
from safelight.families._modular.guided import GuidedDenoiser
from safelight.families._modular.packing import TwoByTwo

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk import Prompt
    from safelight.sdk.leased import Presets

    from .edit import Kind


class QwenImageDenoiser(TwoByTwo, GuidedDenoiser):
    # The blocks divide by the norm of what is guided, which cfg_zero begins with zeros.
    guiders = ("cfg", "apg", "tcfg")
    usual_shift = (math.exp(1.15), 10_000)

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, kind: Kind | None = None) -> None:
        super().__init__(family, held, presets)
        self._kind = kind
        self.sees = kind.most if kind else 0

    def looked_at(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        del size
        images = [self.image(expanded(planes, len(work.noise))) for planes in work.seen]
        return {"image_latents": images[0] if self.sees == 1 else images}

    def _blocks(self, work: Work) -> Any:
        import diffusers

        if not work.seen or self._kind is None:
            return super()._blocks(work)
        return getattr(diffusers, self._kind.blocks)().sub_blocks["denoise"]

    def said(self, work: Work, prompt: Prompt) -> dict[str, Any]:
        mask = work.text(prompt, "mask").long()
        return {**super().said(work, prompt), "prompt_embeds_mask": mask}

    def image(self, latents: Tensor) -> Tensor:
        return latents[:, :, None]

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents[:, :, 0]
