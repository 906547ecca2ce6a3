"""The autoencoder of HunyuanVideo 1.5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.diffusion.video_autoencoder import OverlappingCodec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HunyuanCodec(OverlappingCodec):
    def statistics(self) -> tuple[Tensor, Tensor]:
        import torch

        return torch.zeros(1, 1, 1, 1, 1), torch.tensor(1 / self.vae.config.scaling_factor).view(1, 1, 1, 1, 1)

    def decoded(self, latents: Tensor) -> Tensor:
        return self.vae.decode(latents, return_dict=False)[0]
