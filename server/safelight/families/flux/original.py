"""Flux.1 as its makers write it: github.com/black-forest-labs/flux, model.py."""

from __future__ import annotations

from typing import Any

from safelight.families._original.names import Rule, Shapes, count, sides_of
from safelight.families._original.names import rules as table

AXES = {128: (16, 56, 56)}
"""How the channels of an attention head are shared among the axes of a position; shapes do not tell it."""
_TOP = (
    ("time_in.in_layer", "timestep_embedder.linear_1"),
    ("time_in.out_layer", "timestep_embedder.linear_2"),
    ("vector_in.in_layer", "text_embedder.linear_1"),
    ("vector_in.out_layer", "text_embedder.linear_2"),
    ("guidance_in.in_layer", "guidance_embedder.linear_1"),
    ("guidance_in.out_layer", "guidance_embedder.linear_2"),
)
_DOUBLE = (
    ("img_mod.lin", "norm1.linear"),
    ("txt_mod.lin", "norm1_context.linear"),
    ("img_attn.norm.query_norm", "attn.norm_q"),
    ("img_attn.norm.key_norm", "attn.norm_k"),
    ("txt_attn.norm.query_norm", "attn.norm_added_q"),
    ("txt_attn.norm.key_norm", "attn.norm_added_k"),
    ("img_mlp.0", "ff.net.0.proj"),
    ("img_mlp.2", "ff.net.2"),
    ("txt_mlp.0", "ff_context.net.0.proj"),
    ("txt_mlp.2", "ff_context.net.2"),
    ("img_attn.proj", "attn.to_out.0"),
    ("txt_attn.proj", "attn.to_add_out"),
)
_SINGLE = (
    ("modulation.lin", "norm.linear"),
    ("norm.query_norm", "attn.norm_q"),
    ("norm.key_norm", "attn.norm_k"),
    ("linear2", "proj_out"),
)


def rules(shapes: Shapes) -> list[Rule]:
    if "double_blocks.0.img_attn.qkv.weight" not in shapes:
        return []
    double, single = (
        ("double_blocks.{}.", "transformer_blocks.{}."),
        ("single_blocks.{}.", "single_transformer_blocks.{}."),
    )
    side = sides_of(shapes)
    inner, both = side("img_in.weight", 0), side("single_blocks.0.linear1.weight", 0)

    def qkv(old: str, new: str, *names: str) -> Rule:
        return Rule(old, tuple(new + name for name in names))

    return [
        *table(*_TOP, start=("", "time_text_embed.")),
        *table(("txt_in", "context_embedder"), ("img_in", "x_embedder"), ("final_layer.linear", "proj_out")),
        Rule("final_layer.adaLN_modulation.1", ("norm_out.linear",), swap=True),
        *table(*_DOUBLE, start=double),
        qkv(f"{double[0]}img_attn.qkv", f"{double[1]}attn.", "to_q", "to_k", "to_v"),
        qkv(f"{double[0]}txt_attn.qkv", f"{double[1]}attn.", "add_q_proj", "add_k_proj", "add_v_proj"),
        *table(*_SINGLE, start=single),
        Rule(
            f"{single[0]}linear1",
            tuple(single[1] + name for name in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")),
            (inner, inner, inner, both - 3 * inner),
        ),
    ]


def layer_rules() -> list[Rule]:
    """The rules without the sizes of what is cut."""
    return rules({"double_blocks.0.img_attn.qkv.weight": ()})


def config_of(shapes: Shapes) -> dict[str, Any]:
    found = sizes_of(shapes)
    return {
        **found,
        "patch_size": 1,
        "out_channels": sides_of(shapes)("proj_out.weight", 0),
        "axes_dims_rope": AXES.get(found["attention_head_dim"], (16, 56, 56)),
    }


def sizes_of(shapes: Shapes) -> dict[str, Any]:
    """The sizes that a transformer and its ControlNets have in common."""
    side = sides_of(shapes)
    head = side("transformer_blocks.0.attn.norm_q.weight", 0) or 128
    return {
        "in_channels": side("x_embedder.weight", 1),
        "num_layers": count(shapes, "transformer_blocks."),
        "num_single_layers": count(shapes, "single_transformer_blocks."),
        "attention_head_dim": head,
        "num_attention_heads": side("x_embedder.weight", 0) // head,
        "joint_attention_dim": side("context_embedder.weight", 1),
        "pooled_projection_dim": side("time_text_embed.text_embedder.linear_1.weight", 1),
        "guidance_embeds": any(name.startswith("time_text_embed.guidance_embedder.") for name in shapes),
    }
