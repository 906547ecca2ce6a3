"""How much memory a step of the denoiser takes beside the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WITH_ATTENTION, WITHOUT_ATTENTION = 30, 20
"""Numbers that live at once at the peak of a call, for each cell of the latent and each channel of the widest level.

Counted tensor by tensor over calls of the UNets of SD 1 (26: its first level has attention, and a feed-forward layer
eight times as wide) and of SDXL (16: it has none there), and rounded up for what the libraries take themselves.
"""
CONTROLLED = 6
"""The same for what ControlNets leave to the denoiser, added up (5.2). Their own calls take less than its call."""


def working_bytes(
    config: Mapping[str, Any], shape: Sequence[int], itemsize: int, prompts: int = 2, controlled: bool = False
) -> int:
    """Bytes of activations of one step on a latent of `shape` (B, C, H, W), for `prompts` that share a call, at
    `itemsize` bytes a number."""
    batch, _, height, width = shape
    each = WITH_ATTENTION if "Attn" in config["down_block_types"][0] else WITHOUT_ATTENTION
    each += CONTROLLED if controlled else 0
    return prompts * batch * height * width * config["block_out_channels"][0] * each * itemsize
