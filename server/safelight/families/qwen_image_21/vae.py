"""The autoencoder of Qwen-Image 2.1: red, green, blue and opacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safelight.families._vaes.qwen import QwenCodec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class QwenImage21Codec(QwenCodec):
    @property
    def native_size(self) -> tuple[int, int]:
        return 1024, 1024

    def _moments(self, pixels: Tensor) -> Tensor:
        """`pixels` (B, 3, H, W) are all opaque."""
        import torch

        return super()._moments(torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1))
