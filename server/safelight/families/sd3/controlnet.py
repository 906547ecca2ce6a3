"""ControlNets of Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import TYPE_CHECKING, Any

from safelight.families._modular.controlnet import Guided, NetKind, Residuals
from safelight.families._original.names import Shapes, count, sides_of

from .original import HEAD

if TYPE_CHECKING:
    from torch import Tensor


class SD3Net(NetKind):
    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        side = sides_of(shapes)
        norm = side("transformer_blocks.0.attn.norm_q.weight", 0)
        layers = count(shapes, "transformer_blocks.")
        width = side("pos_embed_input.proj.weight", 0)
        head = norm or min(HEAD, width)
        # Those of the makers' own for 3.5 see no text, and have their positions from the transformer.
        reads = side("context_embedder.weight", 1)
        channels = side("pos_embed.proj.weight", 1) or 16
        return {
            "patch_size": side("pos_embed_input.proj.weight", 2) or 2,
            "in_channels": channels,
            "out_channels": channels,
            "num_layers": layers,
            "attention_head_dim": head,
            "num_attention_heads": width // head,
            "joint_attention_dim": reads or None,
            "caption_projection_dim": side("context_embedder.weight", 0) or width,
            "pooled_projection_dim": side("time_text_embed.text_embedder.linear_1.weight", 1),
            "pos_embed_max_size": isqrt(side("pos_embed.pos_embed", 1)) or 96,
            "extra_conditioning_channels": side("pos_embed_input.proj.weight", 1) - channels,
            "qk_norm": "rms_norm" if norm else None,
            "dual_attention_layers": tuple(
                layer for layer in range(layers) if f"transformer_blocks.{layer}.attn2.to_q.weight" in shapes
            ),
            "use_pos_embed": "pos_embed.proj.weight" in shapes,
            "force_zeros_for_pooled_projection": bool(reads),
        }

    def hint(self, net: Any, guided: Guided, planes: Tensor) -> Tensor:
        # Those that are not told the summary of the prompt were trained on latents without the shift.
        space = guided.latent
        return planes + space.shift * space.scaling if net.config.force_zeros_for_pooled_projection else planes

    def says(
        self, net: Any, guided: Guided, guidance: float, given: Mapping[str, Any], hint: Tensor, mode: int | None
    ) -> Residuals:
        import torch

        del guidance, mode
        hidden, pooled = given["hidden_states"], given["pooled_projections"]
        parts = net(
            hidden_states=hidden if net.pos_embed is not None else guided.transformer.pos_embed(hidden),
            timestep=given["timestep"],
            encoder_hidden_states=given["encoder_hidden_states"] if net.context_embedder is not None else None,
            pooled_projections=torch.zeros_like(pooled) if net.config.force_zeros_for_pooled_projection else pooled,
            controlnet_cond=hint,
            return_dict=False,
        )[0]
        # The share of a part need not be whole here, other than in for_blocks.
        blocks = len(guided.transformer.transformer_blocks)
        spread = [parts[int(place / (blocks / len(parts)))] for place in range(blocks)]
        return {"block_controlnet_hidden_states": spread}


CONTROLNET = SD3Net(
    "SD3ControlNetModel", ("controlnet_blocks.0.weight", "pos_embed_input.proj.weight"), "extra_conditioning_channels"
)
