"""Cheap images of a latent while it is being denoised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from safelight.sdk import Image

if TYPE_CHECKING:
    from torch import Tensor


class Previewer:
    """Linear map from latent channels to colours. `rows` holds one colour a channel and a last one added to all."""

    def __init__(self, rows: Sequence[Sequence[float]], channels: int) -> None:
        self._rows = rows if len(rows) == channels + 1 else None

    def __call__(self, clean: Tensor) -> Image | None:
        """An image as large as the latent, or None for a latent space whose colours are not known.

        Of a video (B, C, T, H, W) it is the one in the middle.
        """
        if self._rows is None:
            return None
        import torch

        rows = torch.tensor(self._rows, dtype=torch.float32)
        seen = clean if clean.ndim == 4 else clean[:, :, clean.shape[2] // 2]
        seen = seen.detach().to("cpu", torch.float32)
        pixels = torch.einsum("bchw,ck->bhwk", seen, rows[:-1]) + rows[-1]
        return Image(pixels.nan_to_num(0.5).clamp(0, 1))
