"""What the layers of a UNet are called in the layout of the original releases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_INNER = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def original_names(names: Iterable[str], layers: int) -> Iterator[tuple[str, str]]:
    """(original, diffusers) names of a UNet's layers; `layers` are the resnets of a block on the way down."""
    listed = list(names)
    attentive = {int(found[1]) for name in listed if (found := re.match(r"up_blocks\.(\d+)\.attentions\.", name))}
    for name in listed:
        made = _ENDS.get(name) or _inner(name, layers + 1, attentive) or _middle(name)
        if made:
            yield made, name


def _inner(name: str, step: int, attentive: set[int]) -> str:
    found = _INNER.fullmatch(name)
    if not found:
        return ""
    side, block, what, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if what == "downsamplers":
        return f"input_blocks.{(block + 1) * step}.0.op"
    if what == "upsamplers":
        # It stands behind the attention, where there is one.
        return f"output_blocks.{(block + 1) * step - 1}.{2 if block in attentive else 1}.conv"
    place = block * step + number + (1 if side == "down" else 0)
    group = "input" if side == "down" else "output"
    return f"{group}_blocks.{place}.{0 if what == 'resnets' else 1}.{_RESNET.get(rest, rest)}"


def _middle(name: str) -> str:
    found = _MIDDLE.fullmatch(name)
    if not found:
        return ""
    what, number, rest = found[1], int(found[2]), found[3]
    return f"middle_block.1.{rest}" if what == "attentions" else f"middle_block.{2 * number}.{_RESNET.get(rest, rest)}"
