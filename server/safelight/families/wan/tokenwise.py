"""The transformer of the Wan of 5B, which is told of each token how much noise it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def tokenwise(transformer: Any, first: Tensor | None) -> Any:
    """The transformer as the blocks call it, with one timestep a call.

    Where a `first` cell (B, C, 1, h, w) is given, it stands in the place of the latent's, and its tokens hold no noise.
    """
    import torch

    class Tokenwise(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = transformer

        @property
        def config(self) -> Any:
            return transformer.config

        @property
        def dtype(self) -> Any:
            return transformer.dtype

        @property
        def device(self) -> Any:
            return transformer.device

        def forward(self, hidden_states: Tensor, timestep: Tensor, **given: Any) -> Any:
            patch = transformer.config.patch_size
            cells = [side // step for side, step in zip(hidden_states.shape[2:], patch, strict=True)]
            times = timestep[:, None, None, None].repeat(1, *cells)
            if first is not None:
                hidden_states = torch.cat([first.to(hidden_states), hidden_states[:, :, 1:]], dim=2)
                times[:, 0] = 0
            return transformer(hidden_states=hidden_states, timestep=times.flatten(1), **given)

    return Tokenwise()
