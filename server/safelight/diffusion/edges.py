"""Networks that see an image as one that continues at its edges: each side beside the opposite one.

Convolutions then pad with what lies on the other side in the place of zeros, as on a torus, and what they make has no
seam where it is repeated. Attention of a UNet knows no places, so nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.models import Wraps


def set_edges(modules: Iterable[Any], wraps: Wraps) -> None:
    """Makes the convolutions in `modules` pad around the edges that `wraps` names, or as they were made where it names
    none. Nothing is stacked: what was set before is gone."""
    import torch
    from diffusers.models.downsampling import Downsample2D

    for module in modules:
        # These are padded before, with zeros on the right and below, by the block that they are in.
        padded = {id(block.conv) for block in module.modules() if isinstance(block, Downsample2D) and not block.padding}
        convs: list[Any] = [part for part in module.modules() if isinstance(part, torch.nn.Conv2d)]
        for conv in convs:
            vars(conv).pop("_conv_forward", None)
            if not wraps:
                continue
            if id(conv) in padded:
                conv._conv_forward = partial(_joined, conv, wraps)
            elif any(conv._reversed_padding_repeated_twice):
                conv._conv_forward = partial(_wrapped, conv, wraps)


def _wrapped(conv: Any, wraps: Wraps, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of (B, C, H, W), padded from the other side, and with zeros at edges that are none to meet."""
    from torch.nn.functional import pad

    left, right, top, bottom = conv._reversed_padding_repeated_twice
    given = pad(given, (left, right, 0, 0), mode="circular" if wraps in ("x", "both") else "constant")
    given = pad(given, (0, 0, top, bottom), mode="circular" if wraps in ("y", "both") else "constant")
    return _convolved(conv, given, weight, bias)


def _joined(conv: Any, wraps: Wraps, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of what has a column of zeros on the right and a row of them below: the first ones go there."""
    import torch

    if wraps in ("x", "both"):
        given = torch.cat([given[..., :-1], given[..., :1]], dim=-1)
    if wraps in ("y", "both"):
        given = torch.cat([given[..., :-1, :], given[..., :1, :]], dim=-2)
    return _convolved(conv, given, weight, bias)


def _convolved(conv: Any, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    from torch.nn.functional import conv2d

    return conv2d(given, weight, bias, conv.stride, 0, conv.dilation, conv.groups)
