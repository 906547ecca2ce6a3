"""What training computes with."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from safelight_nodes._training.computing import half_precision


@pytest.mark.parametrize(
    ("shape", "large"),
    [((4, 16, 8, 8), False), ((1, 4, 32, 32), False), ((1, 4, 33, 32), True), ((1, 4, 5, 32, 32), True)],
)
def test_large_latents_are_told_by_their_places(shape: tuple[int, ...], large: bool) -> None:
    with half_precision(torch.device("cpu"), torch.float32, torch.zeros(shape)):
        assert torch.backends.cuda.flash_sdp_enabled() is large


def test_the_fused_kernel_keeps_no_square_of_the_places() -> None:
    q = torch.zeros((1, 1, 4096, 8), requires_grad=True)
    kept: list[int] = []
    small, large = torch.zeros((1, 4, 8, 8)), torch.zeros((1, 4, 64, 64))
    for latents, fused in ((small, True), (large, False), (small, False)):
        largest = 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal largest
            largest = max(largest, tensor.numel())
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with half_precision(torch.device("cpu"), torch.float32, latents, fused=fused), hooks:
            scaled_dot_product_attention(q, q, q).sum()
        kept.append(largest)
    assert max(kept[:2]) < 4096 * 64
    assert kept[2] >= 4096 * 4096
