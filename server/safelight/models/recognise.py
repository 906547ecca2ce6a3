"""What a file of weights is, told by the names in its header: one row a kind.

Only what cannot be run needs a row here; what can be is told by its family. Nothing is guessed: a file that no
row fits is said to be unknown.
"""

from __future__ import annotations

from typing import NamedTuple

from safelight.families.files import PREFIXES, lora_layers, lora_module
from safelight.sdk.problem import Problem, ProblemError

from .headers import Header


class Sign(NamedTuple):
    """A kind of file: what it is called, and names that all must be there."""

    said: str
    names: tuple[str, ...]


SIGNS: tuple[Sign, ...] = (
    # Transformers and other denoisers, in the layout of their makers and in that of diffusers.
    Sign("a Chroma model", ("distilled_guidance_layer.in_proj.weight",)),
    Sign("a HunyuanVideo model", ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight",)),
    Sign("a HunyuanVideo model", ("context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight",)),
    Sign("a Z-Image model", ("noise_refiner.0.attention_norm1.weight", "x_pad_token")),
    Sign("a Lumina 2 model", ("noise_refiner.0.attention_norm1.weight", "cap_embedder.1.weight")),
    Sign("a Wan model", ("patch_embedding.weight", "head.modulation")),
    Sign("a Wan model", ("patch_embedding.weight", "condition_embedder.time_proj.weight")),
    Sign("an Anima model", ("llm_adapter.blocks.0.self_attn.q_proj.weight",)),
    Sign("an LTX-2 model", ("audio_patchify_proj.weight", "patchify_proj.weight")),
    Sign("an LTX-2 model", ("audio_proj_in.weight", "proj_in.weight", "transformer_blocks.0.scale_shift_table")),
    Sign("an LTX-Video model", ("patchify_proj.weight", "transformer_blocks.0.scale_shift_table")),
    Sign("an LTX-Video model", ("proj_in.weight", "transformer_blocks.0.scale_shift_table")),
    Sign("a Sana model", ("blocks.0.cross_attn.q_linear.weight", "attention_y_norm.weight")),
    Sign("a Sana model", ("transformer_blocks.0.scale_shift_table", "caption_norm.weight")),
    Sign("a PixArt model", ("blocks.0.scale_shift_table", "y_embedder.y_embedding")),
    Sign("a PixArt model", ("transformer_blocks.0.scale_shift_table", "pos_embed.proj.weight")),
    Sign("a Mochi model", ("blocks.0.attn.qkv_x.weight",)),
    Sign("an AuraFlow model", ("double_layers.0.attn.w1q.weight",)),
    Sign("a MiniMax H3 model", ("token_refiner.blocks.0.attn.qkv_proj.weight",)),
    Sign("stage C of Stable Cascade", ("clip_txt_mapper.weight",)),
    Sign("stage B of Stable Cascade", ("down_blocks.1.0.channelwise.0.weight",)),
    # What goes beside a denoiser.
    Sign(
        "a motion module that looks at an image as well (PIA)",
        ("down_blocks.0.motion_modules.0.temporal_transformer.norm.weight", "conv_in.weight"),
    ),
    Sign("a ControlNet of Flux", ("controlnet_x_embedder.weight",)),
    Sign("a ControlNet of Z-Image", ("control_all_x_embedder.2-1.weight",)),
    # Text encoders, image encoders.
    Sign("a CLIP model of texts and images", ("text_projection", "visual.conv1.weight")),
    Sign("an image encoder of a kind that is not read", ("vision_model.encoder.layers.0.self_attn.q_proj.weight",)),
    Sign("an image encoder of a kind that is not read", ("visual.conv1.weight",)),
    Sign("a UMT5 text encoder alone", ("encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",)),
    Sign("a T5 text encoder alone", ("encoder.block.0.layer.0.SelfAttention.q.weight",)),
    Sign("a CLIP text encoder alone", ("text_model.encoder.layers.0.self_attn.q_proj.weight",)),
    Sign("a CLIP text encoder alone", ("encoder.layers.0.self_attn.q_proj.weight", "final_layer_norm.weight")),
    Sign("a CLIP text encoder alone", ("transformer.resblocks.0.attn.in_proj_weight",)),
    Sign("a CLIP text encoder alone", ("resblocks.0.attn.in_proj_weight",)),
    Sign("a language model", ("layers.0.self_attn.q_proj.weight", "layers.0.mlp.gate_proj.weight")),
    # VAEs of other latents.
    Sign("a VAE of Wan or Qwen-Image", ("decoder.middle.0.residual.0.gamma",)),
    Sign("a VAE of Wan or Qwen-Image", ("decoder.mid_block.resnets.0.norm1.gamma",)),
    Sign("an autoencoder of Sana", ("decoder.stages.1.op_list.0.main.conv.conv.bias",)),
    Sign("a tiny VAE for previews", ("decoder.layers.1.weight", "encoder.layers.0.weight")),
    Sign("a tiny VAE for previews", ("decoder.1.weight", "encoder.0.weight")),
)

_LORAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Chroma", ("distilled_guidance_layer",)),
    ("HunyuanVideo", ("txt_in_individual_token_refiner",)),
    (
        "Wan, of a size that is not known",
        ("blocks_0_self_attn_", "blocks_0_cross_attn_", "blocks_0_ffn_"),
    ),
    ("Stable Cascade", ("down_blocks_0_1_attention_", "down_blocks_0_2_attention_")),
)


_PACKED: tuple[tuple[str, str], ...] = (
    (".quant_state.bitsandbytes__", "bitsandbytes in 4 bits"),
    (".SCB", "bitsandbytes in 8 bits"),
    ("_qdata", "torchao"),
    (".wscales", "Nunchaku (SVDQuant)"),
    (".qweight", "GPTQ or AWQ"),
    (".weight_scale_inv", "a program that gives each block of fp8 a scale"),
    (".weight_scale_2", "a program that keeps weights in 4 bits (NVFP4)"),
)
"""Parts of names that only weights have which a library packed: what is read are the numbers themselves."""


_WHOLE = ("I8", "U8", "I16", "I32", "U32", "I64")
"""Types that weights of layers have only where a library packed them."""


def packed_by(header: Header) -> str:
    """Which library packed the weights of a file ('torchao'); the empty string for those that are read as they are."""
    said = next((said for mark, said in _PACKED if any(mark in name for name in header.tensors)), "")
    whole = any(name.endswith(".weight") and one.dtype in _WHOLE for name, one in header.tensors.items())
    return said or ("a program that keeps weights as whole numbers (int8)" if whole else "")


def refuse_packed(shown: str, header: Header) -> None:
    """Stops at weights that a library packed.

    Raises:
        ProblemError: `unsupported_weights`.
    """
    packed = packed_by(header)
    if packed:
        message = f"The weights of {shown!r} are packed by {packed}, which is not read."
        hint = "Get the same model in float16, bfloat16 or fp8, or as GGUF."
        raise ProblemError(Problem(code="unsupported_weights", message=message, hint=hint, value=shown))


def is_lora(header: Header) -> bool:
    return bool(lora_layers(header))


def what_is(header: Header) -> str:
    """What a file is that is not run ('a Wan model'); the empty string when no row fits."""
    names = header.tensors
    for prefix in PREFIXES:
        found = next((sign.said for sign in SIGNS if _fits(sign, header, prefix)), "")
        if found:
            return found
    vae = header.shape("decoder.conv_in.weight") if "decoder.up.0.block.0.conv1.weight" in names else ()
    if len(vae) == 5:
        return "a VAE of videos"
    if len(vae) == 4 and vae[1] != 4:
        return f"a VAE of {vae[1]} channels, as of Flux or Stable Diffusion 3"
    return "a ControlNet-LLLite" if any(name.startswith("lllite_") for name in names) else ""


def _fits(sign: Sign, header: Header, prefix: str) -> bool:
    return all(prefix + name in header.tensors for name in sign.names)


def lora_for(header: Header) -> str:
    """What a LoRA changes, if that is a model that is not run ('Wan'); else the empty string."""
    modules = {lora_module(name) for name in header.tensors}
    # UNets have blocks inside their blocks; what is told below stands at the top.
    for said, marks in _LORAS:
        if any(module.startswith(marks) for module in modules):
            return said
    return ""
