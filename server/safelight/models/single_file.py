"""Whole models in one file, in the layout of the original releases of Stable Diffusion.

Such a file holds weights alone. The configurations below are those of the releases, and the vocabulary of CLIP, which
all families share, comes with Safelight. Names are translated by diffusers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safelight.sdk.problem import Problem, ProblemError

from .components import Loaded, TextEncoders, default_scheduler, denoiser_settings, empty, filled
from .headers import Header, read_header
from .layout import Layout
from .vocabulary import CLIP_VOCABULARY, clip_tokenizer
from .weights import Target, tensors

_UNET = "model.diffusion_model."
_VAE = "first_stage_model."

UNETS: Mapping[str, Mapping[str, Any]] = {
    "sd1": {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "sd2": {
        "sample_size": 96,
        "block_out_channels": (320, 640, 1280, 1280),
        "layers_per_block": 2,
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "sdxl": {
        "sample_size": 128,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (320, 640, 1280),
        "layers_per_block": 2,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
VAE: Mapping[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
VAE_OF_FAMILY: Mapping[str, Mapping[str, Any]] = {
    "sd1": {"scaling_factor": 0.18215, "sample_size": 512, "force_upcast": False},
    "sd2": {"scaling_factor": 0.18215, "sample_size": 768, "force_upcast": False},
    "sdxl": {"scaling_factor": 0.13025, "sample_size": 1024, "force_upcast": True},
}
VAE_OF_NONE: Mapping[str, Any] = {"scaling_factor": None, "sample_size": 512, "force_upcast": True}
"""For a VAE that does not tell its family: the scale comes from what it is used with, the type from the safer one."""
_CLIP = {"vocab_size": CLIP_VOCABULARY, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
CLIP_L: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
CLIP_H: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "projection_dim": 512,
    "hidden_act": "gelu",
}
CLIP_BIG_G: Mapping[str, Any] = {
    **_CLIP,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}


def load(kind: str, layout: Layout, target: Target) -> Loaded:
    """Loads a component out of a whole model's file.

    Raises:
        ProblemError: the file lacks it.
    """
    file = layout.parts[""].weights[0]
    header = read_header(file)
    if kind == "Denoiser":
        return _unet(layout, file, header, target)
    if kind == "VAE":
        return _vae(layout, file, header, target)
    return _text_encoders(layout, file, header, target)


def _unet(layout: Layout, file: Path, header: Header, target: Target) -> Loaded:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    velocity = _predicts_velocity(layout, header)
    # Inpainting models take the mask and the masked picture beside the latent.
    channels = header.shape(f"{_UNET}input_blocks.0.0.weight")[1]
    config = {**UNETS[layout.family], "in_channels": channels}
    module = empty(lambda: UNet2DConditionModel(**config))
    given = convert_ldm_unet_checkpoint(_read(file, target, (_UNET,)), config)
    filled(module, given.items(), target, file.name)
    settings = denoiser_settings(default_scheduler(velocity, "ztsnr" in header.tensors))
    return Loaded(module, target.dtype, target.device, {"unet": module}, settings)


def _vae(layout: Layout, file: Path, header: Header, target: Target) -> Loaded:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    config = {**VAE, **(VAE_OF_FAMILY.get(layout.family) or VAE_OF_NONE)}
    prefix = _VAE if f"{_VAE}decoder.conv_in.weight" in header.tensors else ""
    if f"{prefix}decoder.conv_in.weight" not in header.tensors:
        raise _lacks(file, "VAE", "Load one by itself, and connect that.")
    module = empty(lambda: AutoencoderKL(**config))
    given = convert_ldm_vae_checkpoint(_read(file, target, (prefix,)), config)
    filled(module, given.items(), target, file.name)
    return Loaded(module, target.dtype, target.device, {"vae": module})


def _text_encoders(layout: Layout, file: Path, header: Header, target: Target) -> Loaded:
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint, convert_open_clip_checkpoint
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    first = "conditioner.embedders.0." if layout.family == "sdxl" else "cond_stage_model."
    second = "conditioner.embedders.1." if layout.family == "sdxl" else first
    if not any(key.startswith(first) for key in header.tensors):
        raise _lacks(file, "text encoder", "Load another model of its family, and connect its text encoders.")
    modules: dict[str, Any] = {}
    if layout.family != "sd2":
        # These files were written before transformers 5, which leaves out a level of their names.
        modules["text_encoder"] = empty(lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L)))
        given = convert_ldm_clip_checkpoint(_read(file, target, (first,)))
        filled(modules["text_encoder"], given.items(), target, file.name)
    if layout.family != "sd1":
        big, config, name = CLIPTextModel, CLIP_H, "text_encoder"
        if layout.family == "sdxl":
            big, config, name = CLIPTextModelWithProjection, CLIP_BIG_G, "text_encoder_2"
        modules[name] = empty(partial(big, CLIPTextConfig(**config)))
        read = _read(file, target, (second,))
        given = convert_open_clip_checkpoint(modules[name], read, prefix=f"{second}model.")
        filled(modules[name], given.items(), target, file.name)
    # Those trained by OpenAI fill the rest of a text with its end mark, those by LAION with the token 0, "!".
    pads = ["!" if name == "text_encoder_2" or layout.family == "sd2" else "<|endoftext|>" for name in modules]
    tokenizers = tuple(clip_tokenizer(pad) for pad in pads)
    component = TextEncoders(tokenizers, tuple(modules.values()))
    return Loaded(component, target.dtype, target.device, modules)


def _predicts_velocity(layout: Layout, header: Header) -> bool:
    """What a model predicts is not in its weights; some files say it beside them.

    Raises:
        ProblemError: `model_incomplete` for version 2, which was released both ways, when nothing tells.
    """
    told = header.metadata.get("modelspec.prediction_type", "").lower()
    if "v_pred" in header.tensors or told.startswith("v"):
        return True
    if layout.family != "sd2" or told:
        return False
    message = f"{layout.root.name} does not say whether it predicts noise or velocity, and version 2 exists as both."
    hint = "Use it in diffusers layout, where scheduler_config.json says it."
    raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=layout.root.name))


def _read(file: Path, target: Target, prefixes: tuple[str, ...]) -> dict[str, Any]:
    return dict(tensors((file,), target, lambda name: name.startswith(prefixes)))


def _lacks(file: Path, what: str, hint: str) -> ProblemError:
    message = f"{file.name} holds no {what}."
    return ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=file.name))
