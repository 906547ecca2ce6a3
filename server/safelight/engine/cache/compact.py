"""Tensors on disk in fewer bytes than in memory, where that loses nothing: bit for bit, they come back as they were.

Images that came from files of 8 bits, masks, and what a model computed in 16 bits are float32 between nodes because
that is what nodes compute with. What they hold fits into a quarter or half of the bytes. It is tried, not declared: a
piece after another is narrowed, widened and compared, and the first difference ends the attempt. Digests are taken of
the wide tensor, so they do not depend on how it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

WAYS = {"uint8/255": "uint8", "bfloat16": "bfloat16", "float16": "float16"}
"""How a tensor is kept, and the type of its elements then."""
_LEAST = 4096
_PROBE = 1024
_PIECE = 1 << 18
"""Elements that are tried at once: they stay in the processor's cache."""


def compacted(tensor: Tensor) -> tuple[Tensor, str] | None:
    """A contiguous float32 tensor as a flat narrow one, and the way; None where every way would lose something."""
    if str(tensor.dtype) != "torch.float32" or tensor.numel() < _LEAST:
        return None
    flat = tensor.reshape(-1)
    for way in WAYS:
        found = _narrowed(flat, way)
        if found is not None:
            return found, way
    return None


def widened(kept: Tensor, way: str) -> Tensor:
    """The float32 tensor that was kept in this way."""
    return kept / 255 if way == "uint8/255" else kept.float()


def _narrowed(flat: Tensor, way: str) -> Tensor | None:
    import torch

    narrow = torch.empty(len(flat), dtype=getattr(torch, WAYS[way]))
    start, stop = 0, min(_PROBE, len(flat))
    while start < len(flat):
        piece = flat[start:stop]
        kept = (piece * 255).round_().clamp_(0, 255).byte() if way == "uint8/255" else piece.to(narrow.dtype)
        # As bits: -0.0 is not 0.0, and one not-a-number is not another.
        if not torch.equal(widened(kept, way).view(torch.int32), piece.view(torch.int32)):
            return None
        narrow[start:stop] = kept
        start, stop = stop, min(stop + _PIECE, len(flat))
    return narrow
