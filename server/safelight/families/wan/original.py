"""Wan as its makers write it, and as ComfyUI keeps it: github.com/Wan-Video/Wan2.1, wan/modules/model.py and vae.py."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any

from safelight.families._original.names import Rule, Shapes, count, sides_of
from safelight.families._original.names import rules as table

if TYPE_CHECKING:
    from safelight.families.files import Header

HEAD = 128
"""Channels of an attention head in every release; shapes do not tell it."""
_TOP = (
    ("time_embedding.0", "time_embedder.linear_1"),
    ("time_embedding.2", "time_embedder.linear_2"),
    ("text_embedding.0", "text_embedder.linear_1"),
    ("text_embedding.2", "text_embedder.linear_2"),
    ("time_projection.1", "time_proj"),
    ("img_emb.proj.0", "image_embedder.norm1"),
    ("img_emb.proj.1", "image_embedder.ff.net.0.proj"),
    ("img_emb.proj.3", "image_embedder.ff.net.2"),
    ("img_emb.proj.4", "image_embedder.norm2"),
    ("img_emb.emb_pos", "image_embedder.pos_embed"),
)
_ATTENTION = (
    *(("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"), ("norm_q", "norm_q"), ("norm_k", "norm_k")),
    *(("k_img", "add_k_proj"), ("v_img", "add_v_proj"), ("norm_k_img", "norm_added_k")),
)
_BLOCK = (
    *((f"{old}.{one}", f"{new}.{other}") for old, new in (("self_attn", "attn1"), ("cross_attn", "attn2"))
      for one, other in _ATTENTION),
    ("ffn.0", "ffn.net.0.proj"),
    ("ffn.2", "ffn.net.2"),
    # The norm before the look at the text, the only one with weights.
    ("norm3", "norm2"),
    ("modulation", "scale_shift_table"),
)  # fmt: skip
_MARK = "decoder.upsamples.0.residual.0.gamma"
_RESIDUAL = {"0": "norm1", "2": "conv1", "3": "norm2", "6": "conv2"}
_ENDS = {"conv1": "conv_in", "head.0": "norm_out", "head.2": "conv_out"}
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def rules(shapes: Shapes) -> list[Rule]:
    if "head.modulation" not in shapes:
        return []
    return [
        *table(*_TOP, start=("", "condition_embedder.")),
        *table(("head.head", "proj_out"), ("head.modulation", "scale_shift_table")),
        *table(*_BLOCK, start=("blocks.{}.", "blocks.{}.")),
    ]


def config_of(shapes: Shapes) -> dict[str, Any]:
    side = sides_of(shapes)
    patch = shapes.get("patch_embedding.weight", ())[2:] or (1, 2, 2)
    embedder = "condition_embedder."
    return {
        "patch_size": patch,
        "in_channels": side("patch_embedding.weight", 1),
        "out_channels": side("proj_out.weight", 0) // prod(patch),
        "num_layers": count(shapes, "blocks."),
        "attention_head_dim": HEAD,
        "num_attention_heads": side("patch_embedding.weight", 0) // HEAD,
        "text_dim": side(f"{embedder}text_embedder.linear_1.weight", 1) or None,
        "freq_dim": side(f"{embedder}time_embedder.linear_1.weight", 1) or None,
        "ffn_dim": side("blocks.0.ffn.net.0.proj.weight", 0) or None,
        "cross_attn_norm": "blocks.0.norm2.weight" in shapes,
        "image_dim": side(f"{embedder}image_embedder.ff.net.0.proj.weight", 1) or None,
        "added_kv_proj_dim": side("blocks.0.attn2.add_k_proj.weight", 1) or None,
        "pos_embed_seq_len": side(f"{embedder}image_embedder.pos_embed", 1) or None,
    }


def dotted(name: str) -> str:
    """A tensor of a LoRA with the names of the makers, where its trainer wrote them with underscores (musubi)."""
    layer, _, end = name.removeprefix("lora_unet_").partition(".")
    block = re.fullmatch(r"blocks_(\d+)_(.+)", layer)
    known = {old.replace(".", "_"): old for old, _ in (_BLOCK if block else (*_TOP, ("head.head", "")))}
    inner = known.get(block[2] if block else layer, layer)
    return f"diffusion_model.{f'blocks.{block[1]}.' if block else ''}{inner}.{end}"


def vae_channels(header: Header) -> int:
    """The channels of the latents of an autoencoder of Wan alone in a file, in either layout; 0 for anything else."""
    if _MARK in header.tensors:
        shape = header.shape("decoder.conv1.weight")
    elif "decoder.up_blocks.0.resnets.0.norm1.gamma" in header.tensors:
        shape = header.shape("decoder.conv_in.weight")
    else:
        return 0
    return shape[1] if len(shape) == 5 else 0


def vae_names(shapes: Shapes) -> dict[str, str]:
    """The names of an autoencoder's tensors by those of the makers, who number blocks and what scales them in one
    row."""
    if _MARK not in shapes:
        return {name: name for name in shapes}
    row = _level(shapes)
    return {name: _vae_name(name, row) for name in shapes}


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of an autoencoder whose tensors, by the names of diffusers, have these shapes."""
    start = "encoder.down_blocks."
    rows = range(count(shapes, start))
    scaled = [row for row in rows if f"{start}{row}.resample.1.weight" in shapes]
    width = shapes["encoder.conv_in.weight"][0]
    each = scaled[0]
    first = [shapes[f"{start}{level * (each + 1)}.conv1.weight"][0] for level in range(len(scaled) + 1)]
    return {
        "base_dim": width,
        "z_dim": shapes["decoder.conv_in.weight"][1],
        "dim_mult": [found // width for found in first],
        "num_res_blocks": each,
        "attn_scales": [],
        "temperal_downsample": [f"{start}{row}.time_conv.weight" in shapes for row in scaled],
    }


def _level(shapes: Shapes) -> int:
    """How many blocks of the decoder stand before the first that scales."""
    return min(int(name.split(".")[2]) for name in shapes if re.match(r"decoder\.upsamples\.\d+\.resample\.", name))


def _vae_name(name: str, level: int) -> str:
    if name.startswith(("conv1.", "conv2.")):
        return {"conv1": "quant_conv", "conv2": "post_quant_conv"}[name[:5]] + name[5:]
    side, rest = name.split(".", 1)
    for old, new in _ENDS.items():
        if rest.startswith(f"{old}."):
            return f"{side}.{new}.{rest.removeprefix(f'{old}.')}"
    place, number, rest = rest.split(".", 2)
    residual = re.fullmatch(r"residual\.(\d)\.(.+)", rest)
    inner = f"{_RESIDUAL[residual[1]]}.{residual[2]}" if residual else rest.replace("shortcut.", "conv_shortcut.")
    if place == "middle":
        return f"{side}.mid_block.{_MIDDLE[number]}.{inner}"
    if place == "downsamples":
        return f"{side}.down_blocks.{number}.{inner}"
    block, inside = divmod(int(number), level + 1)
    part = f"resnets.{inside}" if inside < level else "upsamplers.0"
    return f"{side}.up_blocks.{block}.{part}.{inner}"
