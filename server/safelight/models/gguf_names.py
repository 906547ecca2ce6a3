"""The names that llama.cpp gives to the layers of text encoders, and those of transformers, which everything else has.

Source: github.com/ggml-org/llama.cpp, gguf-py/gguf/tensor_mapping.py. Denoisers keep the names of their makers.
"""

from __future__ import annotations

import re

_T5 = {
    "token_embd": "shared",
    "enc.output_norm": "encoder.final_layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "attn_norm": "layer.0.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
    "ffn_norm": "layer.1.layer_norm",
}
_LANGUAGE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TABLES = {
    "t5": ("encoder.block.", _T5),
    "t5encoder": ("encoder.block.", _T5),
    "qwen2": ("model.layers.", _LANGUAGE),
    "qwen2vl": ("model.layers.", _LANGUAGE),
    "qwen3": ("model.layers.", _LANGUAGE),
    "qwen3vl": ("model.layers.", _LANGUAGE),
}
_LAYER = re.compile(r"(?:enc\.)?blk\.(\d+)\.(.+)")


def plain_name(name: str, architecture: str) -> str:
    """A tensor's name as transformers has it; as it is where the table has none."""
    blocks, table = _TABLES.get(architecture, ("", {}))
    path, _, kind = name.rpartition(".")
    layer = _LAYER.fullmatch(path)
    found = table.get(layer[2] if layer else path)
    if found is None:
        return name
    return f"{blocks}{layer[1]}.{found}.{kind}" if layer else f"{found}.{kind}"
