"""The autoencoder of Qwen-Image, which takes an image as a video of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.diffusion.autoencoder import Codec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class QwenCodec(Codec):
    @property
    def overflows(self) -> bool:
        return False

    @property
    def channels(self) -> int:
        return self.vae.config.z_dim

    @property
    def downsampling(self) -> int:
        return 2 ** len(self.vae.temperal_downsample)

    @property
    def native_size(self) -> tuple[int, int]:
        return 1328, 1328

    def _pixels(self, latent: Tensor) -> Tensor:
        return super()._pixels(latent[:, :, None])[:, :, 0]

    def _moments(self, pixels: Tensor) -> Tensor:
        return super()._moments(pixels[:, :, None])[:, :, 0]
