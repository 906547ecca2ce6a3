"""Headers of real layouts, stripped to the names and shapes that tell them: each is told for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.test_recognise import ATTENTION, LDM, write
from safelight.families import load_families
from safelight.models.layout import Reader
from safelight.sdk import ProblemError

Shapes = dict[str, tuple[int, ...]]
DOWN = "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight"
CLIP = "text_model.encoder.layers.0.self_attn.q_proj.weight"


def ldm(width: int, block: int = 1, channels: int = 4, labels: int = 0) -> Shapes:
    """A UNet in the layout of its makers, attending to a text of so many channels."""
    made = {"input_blocks.0.0.weight": (320, channels, 3, 3), ATTENTION.format(block): (320, width)}
    return made | ({"label_emb.0.0.weight": (1280, labels)} if labels else {})


def diffusers(width: int, block: int = 0, channels: int = 4, sized: bool = False) -> Shapes:
    made = {
        "conv_in.weight": (320, channels, 3, 3),
        "time_embedding.linear_1.weight": (1280, 320),
        "up_blocks.0.resnets.0.conv1.weight": (1280, 2560, 3, 3),
        DOWN.format(block): (320, width),
    }
    return made | ({"add_embedding.linear_1.weight": (1280, 2816)} if sized else {})


def before(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def vae(channels: int, names: str = "makers") -> Shapes:
    first = {"makers": "decoder.up.0.block.0.conv1.weight"}.get(names, "decoder.up_blocks.0.resnets.0.conv1.weight")
    return {
        first: (128, 256, 3, 3),
        "encoder.conv_in.weight": (128, 3, 3, 3),
        "decoder.conv_in.weight": (512, channels, 3, 3),
    }


def flux(channels: int = 64) -> Shapes:
    return {
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "single_blocks.0.linear1.weight": (21504, 3072),
        "img_in.weight": (3072, channels),
    }


def flux_diffusers(channels: int = 64) -> Shapes:
    return {
        "single_transformer_blocks.0.attn.to_q.weight": (3072, 3072),
        "transformer_blocks.0.attn.norm_q.weight": (128,),
        "x_embedder.weight": (3072, channels),
    }


SD3: Shapes = {
    "joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,),
    "x_embedder.proj.weight": (1536, 16, 2, 2),
    "pos_embed": (1, 36864, 1536),
}
SD3_DIFFUSERS: Shapes = {
    "transformer_blocks.0.attn.add_k_proj.weight": (1536, 1536),
    "pos_embed.proj.weight": (1536, 16, 2, 2),
}


def wan(channels: int, width: int = 5120, **more: int) -> Shapes:
    found: Shapes = {
        "patch_embedding.weight": (width, channels, 1, 2, 2),
        "head.modulation": (1, 2, width),
        "head.head.weight": (64, width),
        "blocks.0.self_attn.q.weight": (width, width),
    }
    return found | {f"{name}.0.weight": (count,) for name, count in more.items()}


SD1, SD2, XL = ldm(768), ldm(1024), ldm(2048, 4, labels=2816)
FIRST = before("first_stage_model.", vae(4))
T5: Shapes = {"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096), "shared.weight": (32128, 4096)}
UMT5: Shapes = {**T5, "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64)}
QWEN3: Shapes = {
    "embed_tokens.weight": (151936, 2560),
    "layers.0.self_attn.q_proj.weight": (4096, 2560),
    "layers.0.self_attn.q_norm.weight": (128,),
    "layers.0.mlp.gate_proj.weight": (9728, 2560),
}
Z_IMAGE: Shapes = {
    "cap_embedder.1.weight": (3840, 2560),
    "noise_refiner.0.attention.qkv.weight": (11520, 3840),
    "noise_refiner.0.attention_norm1.weight": (3840,),
    "x_embedder.weight": (3840, 64),
    "x_pad_token": (1, 3840),
}
Z_IMAGE_DIFFUSERS: Shapes = {"all_x_embedder.2-1.weight": (3840, 64), "cap_embedder.1.weight": (3840, 2560)}
EMA: Shapes = {"model_ema.diffusion_modelinput_blocks00weight": (320, 4, 3, 3), "model_ema.decay": ()}


@pytest.mark.parametrize(
    ("shapes", "kind", "families"),
    [
        # Stable Diffusion 1, 2, XL: whole models, with EMA weights, without parts.
        ({**before(LDM, SD1), **FIRST}, "pipeline", "sd1"),
        ({**before(LDM, SD1), **FIRST, **EMA}, "pipeline", "sd1"),
        (before(LDM, SD1), "pipeline", "sd1"),
        ({**before(LDM, SD2), **FIRST}, "pipeline", "sd2"),
        ({**before(LDM, XL), **FIRST}, "pipeline", "sdxl"),
        # Their denoisers alone: bare, as ComfyUI saves them, in names of diffusers.
        (SD1, "unet", "sd1"),
        (SD2, "unet", "sd2"),
        (XL, "unet", "sdxl"),
        (before("diffusion_model.", SD1), "unet", "sd1"),
        (before("diffusion_model.", XL), "unet", "sdxl"),
        (diffusers(768), "unet", "sd1"),
        (diffusers(1024), "unet", "sd2"),
        (diffusers(2048, 1, sized=True), "unet", "sdxl"),
        (before("unet.", diffusers(768)), "unet", "sd1"),
        (before("unet.", diffusers(2048, 1, sized=True)), "unet", "sdxl"),
        # Stable Diffusion 3, in every layout.
        (SD3, "unet", "sd3"),
        (before(LDM, SD3), "unet", "sd3"),
        (before("diffusion_model.", SD3), "unet", "sd3"),
        (SD3_DIFFUSERS, "unet", "sd3"),
        (before("transformer.", SD3_DIFFUSERS), "unet", "sd3"),
        ({**before(LDM, SD3), **before("first_stage_model.", vae(16))}, "pipeline", "sd3"),
        ({**before(LDM, SD3), **before("text_encoders.clip_l.transformer.", {CLIP: (768, 768)})}, "pipeline", "sd3"),
        # Flux.1.
        (flux(), "unet", "flux"),
        (flux(384), "unet", "flux"),
        (flux_diffusers(384), "unet", "flux"),
        (before(LDM, flux()), "unet", "flux"),
        (before("diffusion_model.", flux()), "unet", "flux"),
        (flux_diffusers(), "unet", "flux"),
        (before("transformer.", flux_diffusers()), "unet", "flux"),
        ({**flux(), "double_blocks.0.img_attn.qkv.scale_weight": (), "scaled_fp8": (2,)}, "unet", "flux"),
        ({**before(LDM, flux()), **before("vae.", vae(16)), "text_encoders.t5xxl.logit_scale": ()}, "pipeline", "flux"),
        # Z-Image.
        (Z_IMAGE, "unet", "z_image"),
        (before(LDM, Z_IMAGE), "unet", "z_image"),
        (before("diffusion_model.", Z_IMAGE), "unet", "z_image"),
        (Z_IMAGE_DIFFUSERS, "unet", "z_image"),
        ({**before(LDM, Z_IMAGE), **before("vae.", vae(16))}, "pipeline", "z_image"),
        (
            {**before(LDM, Z_IMAGE), **before("text_encoders.qwen3_4b.transformer.model.", QWEN3)},
            "pipeline",
            "z_image",
        ),
        # VAEs: one shape of several families.
        (vae(4), "vae", "sd1 sd2 sdxl"),
        (vae(4, "diffusers"), "vae", "sd1 sd2 sdxl"),
        (vae(16), "vae", "flux sd3 z_image"),
        (vae(16, "diffusers"), "vae", "flux sd3 z_image"),
        # Text encoders alone.
        ({CLIP: (768, 768)}, "text_encoder", "clip_l"),
        ({CLIP.removeprefix("text_model."): (768, 768), "final_layer_norm.weight": (768,)}, "text_encoder", "clip_l"),
        ({CLIP: (1280, 1280), "text_projection.weight": (1280, 1280)}, "text_encoder", "clip_g"),
        ({CLIP: (1024, 1024)}, "text_encoder", "clip_h"),
        ({"transformer.resblocks.0.attn.in_proj_weight": (3840, 1280)}, "text_encoder", "clip_g"),
        ({"model.transformer.resblocks.0.attn.in_proj_weight": (3072, 1024)}, "text_encoder", "clip_h"),
        (T5, "text_encoder", "t5"),
        (before("transformer.", T5), "text_encoder", "t5"),
        (UMT5, "text_encoder", "umt5"),
        ({**UMT5, "spiece_model": (4548313,)}, "text_encoder", "umt5"),
        (QWEN3, "text_encoder", "qwen3"),
        (before("model.", QWEN3), "text_encoder", "qwen3"),
        ({**T5, "encoder.block.0.layer.0.SelfAttention.q.scale_weight": (), "scaled_fp8": (2,)}, "text_encoder", "t5"),
        # Wan: led by text, by images, the model of 5B; its VAE.
        (wan(16), "unet", "wan"),
        (before(LDM, wan(36)), "unet", "wan"),
        (before("diffusion_model.", wan(36, 1536)), "unet", "wan"),
        (wan(48, 3072), "unet", "wan_5b"),
        ({**wan(16), "blocks.0.self_attn.q.scale_weight": (), "scaled_fp8": (2,)}, "unet", "wan"),
        (
            {"decoder.upsamples.0.residual.0.gamma": (384, 1, 1, 1), "decoder.conv1.weight": (384, 16, 3, 3, 3)},
            "vae",
            "wan",
        ),
    ],
)
def test_what_is_run_is_told(tmp_path: Path, shapes: Shapes, kind: str, families: str) -> None:
    found = Reader(load_families(), lambda _: True).read("m", write(tmp_path / "m.safetensors", shapes))
    told = " ".join(sorted(found.candidates)) if found.candidates else next(iter(found.parts))
    assert (found.kind, told) == (kind, families)
    assert found.family == (families if len(found.candidates) == 1 else "")


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (flux(128), "takes 128 channels"),
        (flux_diffusers(128), "takes 128 channels"),
        ({**SD3, "x_embedder.proj.weight": (1536, 33, 2, 2)}, "takes 33 channels"),
        (before(LDM, ldm(1024, channels=7)), "upscaler"),
        ({**flux(), "distilled_guidance_layer.in_proj.weight": (5120, 64)}, "Chroma"),
        ({"encoder.layers.0.weight": (64, 3, 3, 3), "decoder.layers.1.weight": (64, 4, 3, 3)}, "tiny VAE"),
        ({"encoder.0.weight": (64, 3, 3, 3), "decoder.1.weight": (64, 4, 3, 3)}, "tiny VAE"),
        ({CLIP: (768, 768), "vision_model.encoder.layers.0.self_attn.q_proj.weight": (1024, 1024)}, "image encoder"),
        ({"visual.conv1.weight": (1664, 3, 14, 14), "text_projection": (1280, 1280)}, "texts and images"),
        ({**before("model.", QWEN3), "model.visual.patch_embed.proj.weight": (1024, 3, 2, 16, 16)}, "language model"),
        ({**QWEN3, "layers.0.pre_feedforward_layernorm.weight": (2560,)}, "language model"),
        ({**Z_IMAGE, "siglip_embedder.1.weight": (3840, 1152)}, "Z-Image"),
        ({"layers.0.self_attn.q_proj.weight": (2560, 2560), "layers.0.mlp.gate_proj.weight": (4, 4)}, "language model"),
        ({"decoder.middle.0.residual.0.gamma": (4,)}, "VAE of Wan"),
        (wan(16, 1536, vace_blocks=1), "a Wan model"),
        (wan(32), "takes 32 channels"),
    ],
)
def test_a_relative_that_is_not_run_is_named(tmp_path: Path, shapes: Shapes, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Reader(load_families(), lambda _: True).read("m", write(tmp_path / "m.safetensors", shapes))
    (problem,) = caught.value.problems
    assert problem.code == "unsupported_family" and said in problem.message, problem.message


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("double_blocks.0.img_attn.qkv.weight.quant_state.bitsandbytes__nf4",), "bitsandbytes in 4 bits"),
        (("double_blocks.0.img_attn.qkv.weight.SCB",), "bitsandbytes in 8 bits"),
        (("double_blocks.0.img_attn.qkv._weight_qdata", "double_blocks.0.img_attn.qkv._weight_scale"), "torchao"),
        (("transformer_blocks.0.qkv_proj.wscales", "transformer_blocks.0.qkv_proj.qweight"), "Nunchaku"),
        (("encoder.block.0.layer.0.SelfAttention.q.qweight",), "GPTQ"),
    ],
)
def test_weights_that_a_library_packed_are_told(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    shapes: Shapes = {**flux(), **dict.fromkeys(names, (4,))}
    with pytest.raises(ProblemError) as caught:
        Reader(load_families(), lambda _: True).read("m", write(tmp_path / "m.safetensors", shapes))
    (problem,) = caught.value.problems
    assert problem.code == "unsupported_weights" and said in problem.message
