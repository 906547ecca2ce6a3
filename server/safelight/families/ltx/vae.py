"""The autoencoder of LTX-Video, whose decoder looks at frames before and behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.diffusion.video_autoencoder import OverlappingCodec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LtxCodec(OverlappingCodec):
    """Later releases denoise once more as they decode: the decoder is told that there is no noise left."""

    def statistics(self) -> tuple[Tensor, Tensor]:
        shape = (1, self.channels, 1, 1, 1)
        mean, deviation = (one.to("cpu").float().view(shape) for one in (self.vae.latents_mean, self.vae.latents_std))
        return mean, deviation / self.vae.config.scaling_factor

    def decoded(self, latents: Tensor) -> Tensor:
        import torch

        timed = self.vae.config.timestep_conditioning
        time = torch.zeros(1, device=self.device, dtype=self.dtype) if timed else None
        return self.vae.decode(latents, time, return_dict=False)[0]
