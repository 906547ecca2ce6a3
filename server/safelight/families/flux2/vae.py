"""The autoencoder of Flux.2: latents are scaled by the statistics of a batch norm over two by two cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.diffusion.autoencoder import Codec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Flux2Codec(Codec):
    @property
    def overflows(self) -> bool:
        return bool(self.vae.config.get("force_upcast"))

    def _statistics(self, samples: Tensor) -> tuple[Any, Any]:
        norm = self.vae.bn
        deviation = (norm.running_var.float() + self.vae.config.batch_norm_eps).sqrt()
        return self._laid_out(norm.running_mean.float(), samples), self._laid_out(deviation, samples)

    def _laid_out(self, numbers: Tensor, samples: Tensor) -> Tensor:
        """Numbers of the channels and places of a token (C * 2 * 2), for every cell of latents (B, C, h, w)."""
        height, width = samples.shape[-2:]
        token = numbers.to(samples.device).view(1, -1, 2, 2)
        return token.repeat(1, 1, -(-height // 2), -(-width // 2))[..., :height, :width]
