"""Helpers for latents as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def latent_mask(coverage: Tensor, size: Sequence[int]) -> Tensor:
    """A mask (B, H, W) as the sampler takes it: (B, 1, h, w), each cell the average of the pixels it stands for."""
    from torch.nn.functional import interpolate

    return interpolate(coverage[:, None].float(), tuple(size), mode="area")
