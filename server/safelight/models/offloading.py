"""Components that wait in main memory and come to the device in pieces, by the hooks of diffusers.

`blocks` brings a denoiser block by block: the lists of blocks that it consists of, one at a time, and what lies beside
them for the whole call. `layers` brings one layer at a time: it needs the least room and is slower. Where the device
copies while it computes, the next piece comes during the one before. What is computed is the same, bit for bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk.problem import Problem, ProblemError

from .devices import DeviceKind
from .weights import module_bytes, tensor_bytes

if TYPE_CHECKING:
    import torch

Pieces = Literal["blocks", "layers"]
BY_BLOCKS = ("Denoiser",)
"""Kinds whose modules are called as a whole, so that it is known when their blocks begin. A VAE's halves are called."""
OFFLOADED = (*BY_BLOCKS, "TextEncoder", "VAE", "ControlNet", "ImageEncoder")
PACKED = ("Denoiser", "TextEncoder")
"""Kinds whose weights may be kept in 8 bits: those of a VAE are few, and its colours would suffer."""
_OPENED = ("mid_block",)
"""Children that are no list of blocks, and hold some: they are offloaded as their lists."""


def pieces_of(kind: str, modules: Mapping[str, Any], device: DeviceKind, room: int) -> Pieces:
    """The pieces that a component comes in where `room` bytes are left for it."""
    if kind not in BY_BLOCKS:
        return "layers"
    return "blocks" if window("blocks", modules, device) <= room else "layers"


def window(pieces: Pieces, modules: Mapping[str, Any], device: DeviceKind) -> int:
    """The most bytes of weights that lie on the device at once."""
    at_once = 2 if device.streams else 1
    found = (_blocks(module) if pieces == "blocks" else _layers(module) for module in modules.values())
    return max((beside + at_once * largest for beside, largest in found), default=0)


def begin(pieces: Pieces, modules: Mapping[str, Any], device: torch.device, kind: DeviceKind) -> None:
    """Moves modules to main memory and has their pieces come to `device` when they are called."""
    import torch
    from diffusers.hooks.group_offloading import apply_group_offloading

    for module in modules.values():
        apply_group_offloading(
            module,
            onload_device=device,
            offload_device=torch.device(kind.main),
            offload_type="block_level" if pieces == "blocks" else "leaf_level",
            num_blocks_per_group=1 if pieces == "blocks" else None,
            block_modules=list(_OPENED) if pieces == "blocks" else None,
            use_stream=kind.streams,
            record_stream=kind.streams,
        )


def end(modules: Iterable[Any]) -> None:
    """Takes the hooks off; the weights lie in main memory then. Does nothing to modules without."""
    from diffusers.hooks.group_offloading import (
        _GROUP_OFFLOADING,  # pyright: ignore[reportPrivateUsage]
        _LAYER_EXECUTION_TRACKER,  # pyright: ignore[reportPrivateUsage]
        _LAZY_PREFETCH_GROUP_OFFLOADING,  # pyright: ignore[reportPrivateUsage]
    )

    for module in modules:
        for inner in module.modules():
            registry = getattr(inner, "_diffusers_hook", None)
            if registry is None:
                continue
            hook = registry.get_hook(_GROUP_OFFLOADING)
            if hook is not None and hook.group.offload_leader is inner:
                # What a call that failed has left on the device.
                hook.group.offload_()
            for name in (_GROUP_OFFLOADING, _LAYER_EXECUTION_TRACKER, _LAZY_PREFETCH_GROUP_OFFLOADING):
                if registry.get_hook(name) is not None:
                    registry.remove_hook(name, recurse=False)


def pack(modules: Iterable[Any], dtype: torch.dtype) -> None:
    """Keeps the weights of modules in 8 bits (float8, e4m3); each layer computes in `dtype`, and is packed again.

    Norms and what diffusers or transformers keep whole stay as they are.
    """
    import torch
    from diffusers.hooks.layerwise_casting import apply_layerwise_casting_hook

    layers = (torch.nn.Linear, torch.nn.Embedding, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

    for module in modules:
        may = _may_be_packed(module)
        # Each layer once: T5 has its embedding under two names.
        for name, layer in module.named_modules():
            if isinstance(layer, layers) and may(name):
                apply_layerwise_casting_hook(layer, torch.float8_e4m3fn, dtype, non_blocking=False)


def pack_int8(modules: Iterable[Any]) -> None:
    """Keeps the weights of linear layers in 8 bits (int8, with a scale for each row), by torchao; they compute as
    before. The same layers stay whole as for `pack`."""
    import torch
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    for module in modules:
        may = _may_be_packed(module)
        quantize_(
            module, Int8WeightOnlyConfig(), lambda layer, name, may=may: type(layer) is torch.nn.Linear and may(name)
        )


def _may_be_packed(module: Any) -> Callable[[str], bool]:
    """Tells by its name whether a layer's weights may be kept in 8 bits."""
    from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN

    whole = [
        pattern
        for name in ("_keep_in_fp32_modules", "_skip_layerwise_casting_patterns")
        for pattern in getattr(module, name, None) or ()
    ]
    patterns = (*DEFAULT_SKIP_MODULES_PATTERN, *whole)
    return lambda name: not any(re.search(pattern, name) for pattern in patterns)


def no_int8() -> ProblemError:
    message = "Weights cannot be kept in 8 bits (int8): the package torchao is not installed."
    hint = "Install it: pip install 'safelight[int8]'. Or set storage to float8 or full."
    return ProblemError(Problem(code="no_int8", message=message, hint=hint, value="int8"))


def no_float8(device: str) -> ProblemError:
    message = f"Weights cannot be kept in 8 bits (float8) on the device {device}."
    return ProblemError(Problem(code="no_float8", message=message, hint="Set storage to full or int8.", value="float8"))


def _blocks(module: Any) -> tuple[int, int]:
    """Bytes that stay for a whole call, and of the largest block."""
    import torch

    stays, largest = module_bytes(module), 0
    for name, child in module.named_children():
        if name in _OPENED:
            stays -= module_bytes(child)
            largest = max(largest, sum(_blocks(child)))
        elif isinstance(child, torch.nn.ModuleList | torch.nn.Sequential):
            stays -= module_bytes(child)
            largest = max([largest, *map(module_bytes, child)])
    return stays, largest


def _layers(module: Any) -> tuple[int, int]:
    """Nothing stays; the bytes of the largest layer."""
    own = (
        sum(tensor_bytes(tensor) for tensor in (*inner.parameters(recurse=False), *inner.buffers(recurse=False)))
        for inner in module.modules()
    )
    return 0, max(own, default=0)
