"""Stable Diffusion 3 and 3.5 as their makers write them: github.com/Stability-AI/sd3.5, mmditx.py."""

from __future__ import annotations

from math import isqrt
from typing import Any

from safelight.families._original.names import Rule, Shapes, count, sides_of
from safelight.families._original.names import rules as table

HEAD = 64
"""Channels of an attention head, where no norm of queries tells it."""
_TOP = (
    ("pos_embed", "pos_embed.pos_embed"),
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("context_embedder", "context_embedder"),
    ("final_layer.linear", "proj_out"),
)
_BLOCK = (
    ("x_block.attn.qkv", "attn.to_q attn.to_k attn.to_v"),
    ("x_block.attn.ln_q", "attn.norm_q"),
    ("x_block.attn.ln_k", "attn.norm_k"),
    ("x_block.attn.proj", "attn.to_out.0"),
    ("x_block.attn2.qkv", "attn2.to_q attn2.to_k attn2.to_v"),
    ("x_block.attn2.ln_q", "attn2.norm_q"),
    ("x_block.attn2.ln_k", "attn2.norm_k"),
    ("x_block.attn2.proj", "attn2.to_out.0"),
    ("x_block.adaLN_modulation.1", "norm1.linear"),
    ("x_block.mlp.fc1", "ff.net.0.proj"),
    ("x_block.mlp.fc2", "ff.net.2"),
    ("context_block.attn.qkv", "attn.add_q_proj attn.add_k_proj attn.add_v_proj"),
    ("context_block.attn.ln_q", "attn.norm_added_q"),
    ("context_block.attn.ln_k", "attn.norm_added_k"),
    ("context_block.attn.proj", "attn.to_add_out"),
    ("context_block.adaLN_modulation.1", "norm1_context.linear"),
    ("context_block.mlp.fc1", "ff_context.net.0.proj"),
    ("context_block.mlp.fc2", "ff_context.net.2"),
)


def rules(shapes: Shapes) -> list[Rule]:
    last = count(shapes, "joint_blocks.") - 1
    if last < 0:
        return []
    name = "norm1_context.linear"
    return [
        *table(*_TOP),
        *table(*_BLOCK, start=("joint_blocks.{}.", "transformer_blocks.{}.")),
        # The last block only scales and shifts the text.
        Rule(
            f"joint_blocks.{last}.context_block.adaLN_modulation.1", (f"transformer_blocks.{last}.{name}",), swap=True
        ),
        Rule("final_layer.adaLN_modulation.1", ("norm_out.linear",), swap=True),
    ]


def layer_rules(layers: int) -> list[Rule]:
    return rules({f"joint_blocks.{layers - 1}.": ()})


def config_of(shapes: Shapes) -> dict[str, Any]:
    side = sides_of(shapes)
    head = side("transformer_blocks.0.attn.norm_q.weight", 0)
    patch = side("pos_embed.proj.weight", 2) or 2
    layers = count(shapes, "transformer_blocks.")
    return {
        "sample_size": 128,
        "patch_size": patch,
        "in_channels": side("pos_embed.proj.weight", 1),
        "out_channels": side("proj_out.weight", 0) // patch**2,
        "num_layers": layers,
        "attention_head_dim": head or HEAD,
        "num_attention_heads": side("pos_embed.proj.weight", 0) // (head or HEAD),
        "joint_attention_dim": side("context_embedder.weight", 1),
        "caption_projection_dim": side("context_embedder.weight", 0),
        "pooled_projection_dim": side("time_text_embed.text_embedder.linear_1.weight", 1),
        "pos_embed_max_size": isqrt(side("pos_embed.pos_embed", 1)),
        "qk_norm": "rms_norm" if head else None,
        "dual_attention_layers": tuple(
            layer for layer in range(layers) if f"transformer_blocks.{layer}.attn2.to_q.weight" in shapes
        ),
    }
