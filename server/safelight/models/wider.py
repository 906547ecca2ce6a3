"""LoRAs that widen a denoiser: its first convolution takes more channels with them, as inpainting models do.

Such a file has low-rank pairs, and beside those of the layer that it widens its new shape, `reshape_weight`: programs
fill its weights up with zeros before they lay the pair beside them. A convolution is linear in what it takes, so here
its weights stay as they are, the pair is cut to their channels, and what it has for the others is kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SHAPE = ".reshape_weight"
_LAYER = "conv_in"
_PAIRS = ((".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight"))


def cut_wider(given: dict[str, Tensor], modules: Mapping[str, Any]) -> Tensor | None:
    """Takes what a LoRA has for more channels than a UNet's first convolution has weights for out of its tensors, which
    are changed, and returns it as kernels (outputs, more channels, k, k). None where there is nothing of the kind, as
    for an inpainting model, whose convolution is that wide.
    """
    found = next((name for name in given if name.endswith(f"{_LAYER}{SHAPE}")), "")
    if not found:
        return None
    del given[found]
    if "unet" not in modules:
        return None
    stem = found.removesuffix(SHAPE)
    ends = next((ends for ends in _PAIRS if all(f"{stem}{end}" in given for end in ends)), None)
    if ends is None:
        return None
    layer = modules["unet"].conv_in
    own = getattr(layer, "base_layer", layer).weight.shape
    down, up = (given[f"{stem}{end}"] for end in ends)
    if own[1] != modules["unet"].config.out_channels:
        return None  # a depth model, or one that takes an image, has other things to see
    if down.shape[1] <= own[1] or (up.shape[0], *down.shape[2:]) != (own[0], *own[2:]):
        return None
    given[f"{stem}{ends[0]}"] = down[:, : own[1]].contiguous()
    alpha = given.get(f"{stem}.alpha")
    scale = 1.0 if alpha is None else float(alpha) / len(down)
    kernels = up.flatten(1) @ down[:, own[1] :].flatten(1) * scale
    return kernels.reshape(own[0], -1, *own[2:])
