"""Latents in whole tokens; two by two cells a token, as the transformers of Flux and Qwen-Image take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def whole_tokens(samples: Tensor, cells: int) -> Tensor:
    """Latents (B, C, h, w) or (B, C, t, h, w) whose sides are whole tokens: the right and lower edge is repeated where
    it must be."""
    from torch.nn.functional import pad

    down, right = (-side % cells for side in samples.shape[-2:])
    if not down and not right:
        return samples
    return pad(samples, (0, right, 0, down, *(0, 0) * (samples.ndim - 4)), mode="replicate")


def packed(latents: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h/2 * w/2, C * 4): each token holds two by two cells, channel by channel."""
    batch, channels, height, width = latents.shape
    blocks = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return blocks.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * 4)


def unpacked(latents: Tensor, size: tuple[int, int]) -> Tensor:
    """The other way; `size` is (h, w)."""
    batch, _, channels = latents.shape
    blocks = latents.view(batch, size[0] // 2, size[1] // 2, channels // 4, 2, 2)
    return blocks.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, *size)


class TwoByTwo:
    """For denoisers whose blocks take their latents so."""

    def packed(self, latents: Tensor) -> Tensor:
        return packed(latents)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return unpacked(latents, size)
