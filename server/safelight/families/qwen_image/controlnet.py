"""ControlNets of Qwen-Image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._modular.controlnet import Guided, NetKind, Residuals, for_blocks
from safelight.families._original.names import Shapes, count, sides_of

if TYPE_CHECKING:
    from torch import Tensor


class QwenNet(NetKind):
    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        side = sides_of(shapes)
        head = side("transformer_blocks.0.attn.norm_q.weight", 0) or 128
        channels = side("img_in.weight", 1)
        return {
            "in_channels": channels,
            "num_layers": count(shapes, "transformer_blocks."),
            "attention_head_dim": head,
            "num_attention_heads": side("img_in.weight", 0) // head,
            "joint_attention_dim": side("txt_in.weight", 1),
            "axes_dims_rope": (16, 56, 56) if head == 128 else (head // 2, head // 4, head // 4),
            "extra_condition_channels": side("controlnet_x_embedder.weight", 1) - channels,
        }

    def says(
        self, net: Any, guided: Guided, guidance: float, given: Mapping[str, Any], hint: Tensor, mode: int | None
    ) -> Residuals:
        del guidance, mode
        taken = ("hidden_states", "timestep", "encoder_hidden_states", "encoder_hidden_states_mask", "img_shapes")
        parts = net(controlnet_cond=hint, **{name: given[name] for name in taken}, return_dict=False)
        return {"controlnet_block_samples": for_blocks(parts, len(guided.transformer.transformer_blocks))}


CONTROLNET = QwenNet(
    "QwenImageControlNetModel",
    ("controlnet_x_embedder.weight", "img_in.weight", "txt_norm.weight"),
    "extra_condition_channels",
    shared=True,
)
