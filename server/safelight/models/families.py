"""Which model family weights belong to, told from their configuration or from the names and shapes in their header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.sdk.models import Family
from safelight.sdk.problem import Problem, ProblemError

from .headers import Header

SUPPORTED = "Stable Diffusion 1, 2 and XL"
SHOWN = {"sd1": "Stable Diffusion 1", "sd2": "Stable Diffusion 2", "sdxl": "Stable Diffusion XL"}
_WIDTHS: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Channels of the text embeddings that each family's denoiser attends to."""

_ARCHITECTURES: tuple[tuple[str, Family], ...] = (
    ("stable-diffusion-xl", "sdxl"),
    ("stable-diffusion-v2", "sd2"),
    ("stable-diffusion-v1", "sd1"),
    ("sdxl", "sdxl"),
    ("sd_v2", "sd2"),
    ("sd_v1", "sd1"),
)
"""What the metadata `modelspec.architecture` (https://github.com/Stability-AI/ModelSpec) and `ss_base_model_version`
(kohya-ss/sd-scripts) begin with."""

_LDM = "model.diffusion_model."
_ATTENTION = _LDM + "input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
_REFINER_WIDTH = 1280
EDM = "was trained with the noise levels of EDM, as Playground 2.5, which no sampler here has"
REFINER = "is the refiner of Stable Diffusion XL"
CHECKPOINT_PARTS = {
    "Denoiser": (_LDM,),
    "VAE": ("first_stage_model.", "encoder.", "decoder."),
    "TextEncoder": ("cond_stage_model.", "conditioner."),
}
"""How the names of each part begin in a whole model's file."""


def of_pipeline(name: str, index: Mapping[str, Any], unet: Mapping[str, Any]) -> Family:
    """The family of a diffusers pipeline, from its `model_index.json` and the configuration of its UNet.

    Raises:
        ProblemError: `unsupported_family`, when it is none that can be run.
    """
    pipeline = str(index.get("_class_name", ""))
    if not pipeline.startswith(("StableDiffusion", "LatentConsistencyModel")) or pipeline.startswith(
        "StableDiffusion3"
    ):
        raise unsupported(name, f"is a {pipeline or 'pipeline without a class'}")
    family = of_denoiser(name, unet)
    if family == "sdxl" and not _given(index, "text_encoder"):
        if unet.get("cross_attention_dim") == _REFINER_WIDTH:
            raise unsupported(name, REFINER)
        message = f"{name!r} is a Stable Diffusion XL whose model_index.json names no text_encoder."
        hint = "Get the whole model; there is nothing in it that reads a prompt."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=name))
    return family


def of_denoiser(name: str, config: Mapping[str, Any]) -> Family:
    """The family of a UNet or a ControlNet, from its `config.json`."""
    kind = str(config.get("_class_name", ""))
    if kind not in ("UNet2DConditionModel", "ControlNetModel"):
        raise unsupported(name, f"holds a {kind or 'model without a class'}")
    if config.get("addition_embed_type") == "text_time":
        return "sdxl"
    known = _WIDTHS.get(config.get("cross_attention_dim") or 0)
    # Models of other widths are told apart by what version 2 introduced.
    return known or ("sd2" if config.get("use_linear_projection") else "sd1")


def of_vae(name: str, config: Mapping[str, Any]) -> Family:
    """The family of a VAE on its own. Those of versions 1 and 2 are interchangeable and count as version 1."""
    kind = str(config.get("_class_name", ""))
    if kind != "AutoencoderKL":
        raise unsupported(name, f"holds a {kind or 'model without a class'}")
    return "sdxl" if abs(config.get("scaling_factor", 0.18215) - 0.13025) < 1e-6 else "sd1"


_CHANNELS: dict[tuple[int, ...], str] = {
    (5,): "is a model that is led by depth, which is not supported yet",
    (7,): "is the upscaler of Stable Diffusion 2",
    (8,): "is a model that edits by instructions (InstructPix2Pix), which is not supported yet",
}
"""What a denoiser is that takes so many channels in."""


def is_checkpoint(header: Header) -> bool:
    """Whether a file is a whole model in the layout of the original releases."""
    return f"{_LDM}input_blocks.0.0.weight" in header.tensors


def of_checkpoint(name: str, header: Header) -> Family:
    """The family of a whole model in one file, also of one whose text encoders or VAE were left out."""
    # The first of these blocks pays no attention to the text in Stable Diffusion XL.
    widths = [header.shape(_ATTENTION.format(block))[-1:] for block in (1, 4)]
    width = next((width[0] for width in widths if width), 0)
    labelled = f"{_LDM}label_emb.0.0.weight" in header.tensors
    if any(".time_stack." in key or ".time_mixer." in key for key in header.tensors):
        raise unsupported(name, "is a Stable Video Diffusion model")
    channels = header.shape(f"{_LDM}input_blocks.0.0.weight")[1:2]
    if channels in _CHANNELS:
        raise unsupported(name, _CHANNELS[channels])
    if "edm_mean" in header.tensors or "edm_vpred.sigma_max" in header.tensors:
        raise unsupported(name, EDM)
    if labelled and width == _REFINER_WIDTH:
        raise unsupported(name, REFINER)
    if labelled and width == 1024:
        raise unsupported(name, "is a Stable Diffusion 2 unCLIP model, which is led by an image's embedding")
    if width in _WIDTHS and labelled == (_WIDTHS[width] == "sdxl"):
        return _WIDTHS[width]
    raise unsupported(name, f"attends to a text of {width} channels, which no supported family does")


def is_original_vae(header: Header) -> bool:
    """Whether a file is a VAE in the layout of the original releases."""
    return "decoder.up.0.block.0.conv1.weight" in header.tensors and "encoder.conv_in.weight" in header.tensors


def of_original_vae(name: str, header: Header) -> str:
    """The family of a VAE in one file; the empty string when nothing tells, as those of all families have one shape."""
    shape = header.shape("decoder.conv_in.weight")
    if len(shape) == 5:
        raise unsupported(name, "is a VAE of videos")
    if len(shape) == 4 and shape[1] != 4:
        raise unsupported(name, f"is a VAE of {shape[1]} channels, as of Flux or Stable Diffusion 3")
    return _from_metadata(header)


_PARTS: tuple[tuple[str, str, str], ...] = (
    ("control_model.input_hint_block.0.weight", "control_model." + _ATTENTION.removeprefix(_LDM), "a ControlNet"),
    ("input_hint_block.0.weight", _ATTENTION.removeprefix(_LDM), "a ControlNet"),
    ("controlnet_cond_embedding.conv_in.weight", "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight",
     "a ControlNet"),
    ("diffusion_model.input_blocks.0.0.weight", _ATTENTION.removeprefix("model."), "a UNet alone"),
    ("input_blocks.0.0.weight", _ATTENTION.removeprefix(_LDM), "a UNet alone"),
    ("up_blocks.0.resnets.0.conv1.weight", "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight",
     "a UNet alone"),
    ("decoder.up_blocks.0.resnets.0.conv1.weight", "", "a VAE in diffusers layout without its config.json"),
)  # fmt: skip
"""A name that a part of a model has, where its attention to the text stands (by block), and what it is."""


def other_part(header: Header) -> str:
    """What a file is that holds a part of a model that is only read in a folder with its configuration."""
    for mark, attention, said in _PARTS:
        if mark in header.tensors:
            widths = [header.shape(attention.format(block))[-1:] for block in (0, 1, 4)]
            family = next((SHOWN.get(_WIDTHS.get(width[0], ""), "") for width in widths if width), "")
            return f"{said}{f' of {family}' if family else ''}, in one file"
    return ""


def is_ip_adapter(header: Header) -> bool:
    return any(key.startswith("ip_adapter.") for key in header.tensors)


def of_ip_adapter(header: Header) -> str:
    """The family of an IP-Adapter; the empty string when nothing tells."""
    told = _from_metadata(header)
    widths = {t.shape[-1] for key, t in header.tensors.items() if key.endswith("to_k_ip.weight")}
    return told or (_WIDTHS.get(widths.pop(), "") if len(widths) == 1 else "")


def is_lora(header: Header) -> bool:
    marks = ("lora_A.", "lora_down.", ".lora.down.", "_lora.down.", "lora_linear_layer.down.")
    return any(mark in key for key in header.tensors for mark in marks)


def of_lora(header: Header) -> str:
    """The family of a LoRA; the empty string when nothing tells.

    Told by its metadata, by a second text encoder, or by the channels that its attention to the text takes in.
    """
    told = _from_metadata(header)
    if told:
        return told
    names = header.tensors
    if any(key.startswith(("lora_te2_", "text_encoder_2.")) for key in names):
        return "sdxl"
    for key, tensor in names.items():
        down = any(mark in key for mark in ("lora_A.", "lora_down.", ".down."))
        if down and "attn2" in key and ("to_k" in key or "to_v" in key) and len(tensor.shape) >= 2:
            return _WIDTHS.get(tensor.shape[1], "")
    return ""


def embedding_vectors(header: Header) -> list[str]:
    """The tensors of an embedding (textual inversion) in the order of the text encoders; empty when it is none.

    Files have `clip_l` and `clip_g` for Stable Diffusion XL (or what the first scripts for it called them), otherwise
    one tensor, called `emb_params` or as the word that it stands for. Each is (n, width), or (width,) for one vector.
    """
    flat = [name for name, tensor in header.tensors.items() if len(tensor.shape) in (1, 2)]
    for pair in (["clip_l", "clip_g"], ["text_encoders_0", "text_encoders_1"]):
        if set(pair) <= set(flat):
            return pair
    return flat if len(header.tensors) == 1 else []


def of_embedding(header: Header) -> str:
    """The family of an embedding; the empty string when nothing tells."""
    names = embedding_vectors(header)
    own = "sdxl" if len(names) == 2 else _WIDTHS.get(header.shape(names[0])[-1], "")
    return _from_metadata(header) or own


def unsupported(name: str, what: str) -> ProblemError:
    hint = f"Supported are {SUPPORTED}, and what is made for them."
    if what.endswith("in one file"):
        hint = "It is read as a folder in the layout of diffusers: config.json beside the weights."
    return ProblemError(Problem(code="unsupported_family", message=f"{name!r} {what}.", hint=hint, value=name))


def _from_metadata(header: Header) -> str:
    for field in ("modelspec.architecture", "ss_base_model_version"):
        told = header.metadata.get(field, "").lower()
        for start, family in _ARCHITECTURES:
            if told.startswith(start):
                return family
    return ""


def _given(index: Mapping[str, Any], part: str) -> bool:
    entry = index.get(part)
    return isinstance(entry, list) and len(entry) == 2 and entry[0] is not None
