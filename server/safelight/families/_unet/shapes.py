"""The configuration of a denoiser whose file has weights alone, from the names and shapes of these."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from safelight.families.base import unsupported

if TYPE_CHECKING:
    from safelight.families.files import Header

    from .generation import Generation

_PLACE = re.compile(r"(input_blocks|output_blocks|middle_block)\.(\d+)\.")
_LAYER = re.compile(r"(input_blocks|output_blocks)\.(\d+)\.1\.transformer_blocks\.(\d+)\.|"
                    r"(middle_block)\.(\d+)\.transformer_blocks\.(\d+)\.")  # fmt: skip


def unet_config(family: Generation, name: str, header: Header, prefix: str) -> dict[str, Any]:
    """The configuration of the release, with the file's own channels and numbers of layers.

    Finetunes have those of the release; SSD-1B, Segmind Vega and others that were cut down from XL have fewer, and
    tell so by nothing else.

    Raises:
        ProblemError: `unsupported_family`, when the layers are laid out as no UNet of diffusers has them.
    """
    names = [key.removeprefix(prefix) for key in header.tensors if key.startswith(prefix)]
    config = {**family.unet, "in_channels": header.shape(f"{prefix}input_blocks.0.0.weight")[1]}
    blocks: dict[str, set[int]] = {}
    depths: dict[tuple[str, int], int] = {}
    for key in names:
        if place := _PLACE.match(key):
            blocks.setdefault(place[1], set()).add(int(place[2]))
        if found := _LAYER.match(key):
            side, block, layer = (part for part in found.groups() if part is not None)
            depths[side, int(block)] = max(depths.get((side, int(block)), 0), int(layer) + 1)
    levels = len(config["block_out_channels"])
    layers, rest = divmod(len(blocks.get("input_blocks", ())) - levels, levels)
    down = _by_level(depths, "input_blocks", levels, layers, 1)
    up = _by_level(depths, "output_blocks", levels, layers + 1, 0)
    middle = depths.get(("middle_block", 1), 0)
    if _is_release(config, layers, down, up, middle):
        return config
    # Attention is in all layers of a level or in none, and where the middle has any, it is as deep as the last level.
    mixed = any(0 in level and any(level) for level in (*down, *up))
    if rest or layers < 1 or mixed or (middle and {middle} != set(down[-1])):
        raise unsupported(name, f"has other layers than {family.title}, in an order that no known model has")
    middles = "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D" if blocks.get("middle_block") else None
    return {
        **config,
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if any(level) else "DownBlock2D" for level in down),
        "up_block_types": tuple("CrossAttnUpBlock2D" if any(level) else "UpBlock2D" for level in up),
        "mid_block_type": middles,
        "transformer_layers_per_block": [level if any(level) else 1 for level in down],
        "reverse_transformer_layers_per_block": [level if any(level) else 1 for level in up],
    }


def _by_level(depths: dict[tuple[str, int], int], side: str, levels: int, layers: int, first: int) -> list[list[int]]:
    """The depth of the attention in each layer of each level; 0 where there is none. `layers` resnets stand in a row,
    on the way down with a place for the downsampler behind them."""
    step = layers + 1 if side == "input_blocks" else layers
    return [[depths.get((side, first + level * step + layer), 0) for layer in range(layers)] for level in range(levels)]


def _is_release(config: dict[str, Any], layers: int, down: list[list[int]], up: list[list[int]], middle: int) -> bool:
    deep = config.get("transformer_layers_per_block", 1)
    levels = len(config["block_out_channels"])
    each = [deep] * levels if isinstance(deep, int) else list(deep)
    default = ("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",)
    attentive = ["CrossAttn" in kind for kind in config.get("down_block_types", default)]
    wanted = [[depth * there] for depth, there in zip(each, attentive, strict=True)]
    return (
        layers == config["layers_per_block"]
        and down == [level * layers for level in wanted]
        and up == [level * (layers + 1) for level in reversed(wanted)]
        and middle == each[-1]
    )
