"""Which generation of Stable Diffusion a model belongs to, by its configurations or by the header of its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families._original.vae import channels, vae_prefix
from safelight.families.base import FileKind, Folder, unsupported
from safelight.families.files import Header, embedding_vectors, lora_layers
from safelight.sdk.problem import Problem, ProblemError

from . import control_loras, controlnets, t2i

if TYPE_CHECKING:
    from .generation import Generation

_LDM = "model.diffusion_model."
_ATTENTION = _LDM + "input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
_REFINER_WIDTH = 1280
_WIDTHS = (768, 1024, _REFINER_WIDTH, 2048)
"""Channels of the text embeddings that the denoisers of the generations attend to."""
_EDM = "was trained with the noise levels of EDM, as Playground 2.5, which no sampler here has"
_PIPELINES = ("StableDiffusion", "LatentConsistencyModel")
_OTHER_PIPELINES = ("StableDiffusion3",)
CONTROLNETS = ("ControlNetModel", "ControlNetUnionModel", "ControlNetModel_Union")
"""Classes of ControlNets in configurations; the last is what the authors of the union one call it."""
_TO_TEXT = ("attn2_to_k", "attn2_to_v", "attn2.to_k", "attn2.to_v")
_TOWERS = ("CLIPTextModel", "CLIPTextModelWithProjection")
_DIFFUSERS_ATTENTION = "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight"
_KOLORS_LABELS = 5632
_CHANNELS: dict[tuple[int, ...], str] = {
    (7,): "is the upscaler of Stable Diffusion 2",
}
"""What a denoiser is that takes so many channels in."""


def is_pipeline(family: Generation, folder: Folder) -> bool:
    made = str(folder.index.get("_class_name", ""))
    if not made.startswith(_PIPELINES) or made.startswith(_OTHER_PIPELINES):
        return False
    unet = folder.config("unet")
    if unet and unet.get("_class_name") != "UNet2DConditionModel":
        raise unsupported(folder.name, f"holds a {unet.get('_class_name') or 'model without a class'}")
    if not unet or not _is_generation(family, unet):
        return False
    if str(folder.config("scheduler").get("_class_name", "")).startswith("EDM"):
        raise unsupported(folder.name, _EDM)
    first = family.towers[0].part
    if family.sized and not _class_of(folder, first):
        message = f"{folder.name!r} is a {family.title} whose model_index.json names no {first}."
        hint = "Get the whole model; there is nothing in it that reads a prompt."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=folder.name))
    for tower in family.towers:
        read_by = _class_of(folder, tower.part)
        if read_by and read_by not in _TOWERS:
            raise unsupported(folder.name, f"reads prompts with a {read_by}, where {family.title} has CLIP")
    return True


def component(family: Generation, config: Mapping[str, Any]) -> FileKind | None:
    made = config.get("_class_name")
    if made == "T2IAdapter":
        # A cell of those for XL is made of 16 x 16 pixels.
        wide = config.get("downscale_factor") == 16
        return "controlnet" if family.id == ("sdxl" if wide else "sd1") else None
    if made in ("UNet2DConditionModel", *CONTROLNETS):
        found: FileKind = "unet" if made == "UNet2DConditionModel" else "controlnet"
        return found if _is_generation(family, config) else None
    # One of another number of channels is ours where nothing shifts its latents: training.autoencoder makes such.
    ours = config.get("latent_channels", 4) == family.latent.channels or config.get("shift_factor") is None
    if made == "AutoencoderKL" and ours:
        # Those of versions 1 and 2 are interchangeable, and count as those of whichever is asked first.
        scale = config.get("scaling_factor", 0.18215)
        scales = {0.13025: "sdxl"}
        return "vae" if scales.get(round(scale, 6), "sd") == family.space else None
    return None


def claims(family: Generation, kind: FileKind, name: str, header: Header) -> bool:
    if kind == "pipeline":
        return f"{_LDM}input_blocks.0.0.weight" in header.tensors and _is_checkpoint(family, name, header)
    if kind == "unet":
        return _is_unet(family, name, header)
    if kind == "vae":
        # All generations have one shape, so a file without metadata is claimed by each of them.
        # The refiner has that of XL.
        return not family.scored and vae_prefix(header) == "" and channels(header) == family.latent.channels
    if kind == "controlnet":
        if t2i.is_one(header):
            return family.id == ("sdxl" if t2i.is_wide(name, header) else "sd1")
        if control_loras.MARK in header.tensors:
            return _is_control_lora(family, name, header)
        return controlnets.layout(header) is not None and _is_controlnet(family, name, header)
    if kind == "ip_adapter":
        widths = {entry.shape[-1] for key, entry in header.tensors.items() if key.endswith("to_k_ip.weight")}
        return widths == {family.width}
    if kind == "lora":
        return _is_lora(family, header)
    if kind == "embedding":
        names = embedding_vectors(header)
        if len(names) == 2 or len(family.towers) == 2:
            return len(names) == len(family.towers)
        return bool(names) and header.shape(names[0])[-1] == family.width
    return False


ORIGINAL = "input_blocks.0.0.weight"
_DIFFUSERS = ("up_blocks.0.resnets.0.conv1.weight", "conv_in.weight", "time_embedding.linear_1.weight")


def unet_prefix(header: Header) -> str:
    """What stands before the names of the denoiser in a single file."""
    for prefix in (_LDM, "diffusion_model.", "unet."):
        if prefix + ORIGINAL in header.tensors or prefix + _DIFFUSERS[0] in header.tensors:
            return prefix
    return ""


def _is_unet(family: Generation, name: str, header: Header) -> bool:
    """Whether a file holds a denoiser of this generation and nothing else."""
    prefix = unet_prefix(header)
    names = {key.removeprefix(prefix): entry for key, entry in header.tensors.items() if key.startswith(prefix)}
    if "input_hint_block.0.weight" in names or "controlnet_cond_embedding.conv_in.weight" in names:
        return False
    if ORIGINAL in names:
        renamed = {_LDM + key: entry for key, entry in names.items()}
        return _is_checkpoint(family, name, Header(renamed, header.metadata, header.start))
    if not set(_DIFFUSERS) <= names.keys():
        return False
    whole = Header(names, {}, 0)
    widths = [whole.shape(_DIFFUSERS_ATTENTION.format(block))[-1:] for block in (0, 1)]
    width = next((width[0] for width in widths if width), 0)
    labelled = "add_embedding.linear_1.weight" in names
    taken = whole.shape("conv_in.weight")[1:2]
    if taken in _CHANNELS:
        raise unsupported(name, _CHANNELS[taken])
    return width == family.width and labelled == family.sized


def text_width(header: Header) -> int:
    """The channels of the text embeddings that the denoiser of a whole model attends to; 0 when nothing tells."""
    # The first of these blocks pays no attention to the text in Stable Diffusion XL.
    widths = [header.shape(_ATTENTION.format(block))[-1:] for block in (1, 4)]
    return next((width[0] for width in widths if width), 0)


def _is_generation(family: Generation, config: Mapping[str, Any]) -> bool:
    """Whether a UNet or a ControlNet is of this generation. Those of other widths than the releases are told apart by
    what version 2 introduced."""
    if config.get("addition_embed_type") == "text_time":
        return family.sized and family.scored == _is_scored(config)
    if family.sized:
        return False
    width = config.get("cross_attention_dim") or 0
    return width == family.width if width in _WIDTHS else bool(config.get("use_linear_projection")) == family.linear


def _is_scored(config: Mapping[str, Any]) -> bool:
    """Whether a denoiser with size conditions is told five numbers, a score the last, rather than six."""
    # The pooled text of one text encoder is as wide as its embeddings.
    width, numbers = config.get("cross_attention_dim"), config.get("addition_time_embed_dim")
    taken = config.get("projection_class_embeddings_input_dim")
    if not (isinstance(width, int) and isinstance(numbers, int) and isinstance(taken, int)):
        return width == _REFINER_WIDTH
    return taken - width == 5 * numbers


def _is_checkpoint(family: Generation, name: str, header: Header) -> bool:
    """Whether a whole model in the layout of the original releases is of this generation; text encoders or VAE may have
    been left out."""
    width = text_width(header)
    labelled = f"{_LDM}label_emb.0.0.weight" in header.tensors
    if any(".time_stack." in key or ".time_mixer." in key for key in header.tensors):
        raise unsupported(name, "is a Stable Video Diffusion model")
    taken = header.shape(f"{_LDM}{ORIGINAL}")[1:2]
    if taken in _CHANNELS:
        raise unsupported(name, _CHANNELS[taken])
    if "edm_mean" in header.tensors or "edm_vpred.sigma_max" in header.tensors:
        raise unsupported(name, _EDM)
    if labelled and width == 1024:
        raise unsupported(name, "is a Stable Diffusion 2 unCLIP model, which is led by an image's embedding")
    if header.shape(f"{_LDM}label_emb.0.0.weight")[1:] == (_KOLORS_LABELS,):
        raise unsupported(name, "is a Kolors model, which reads prompts with ChatGLM")
    if width not in _WIDTHS:
        raise unsupported(name, f"attends to a text of {width} channels, which no supported family does")
    return width == family.width and labelled == family.sized


def _is_controlnet(family: Generation, name: str, header: Header) -> bool:
    """Whether a ControlNet in one file is of this generation; one without attention is told by its sizes alone."""
    found = controlnets.layout(header)
    assert found is not None
    prefix, original = found
    names = header.tensors
    if "difference" in names:
        raise unsupported(name, "is a ControlNet kept as the difference to a denoiser", "Get the whole one.")
    sized = f"{prefix}label_emb.0.0.weight" in names or f"{prefix}add_embedding.linear_1.weight" in names
    if sized:
        return family.sized and not family.scored
    attention = _ATTENTION.removeprefix(_LDM) if original else _DIFFUSERS_ATTENTION
    widths = [header.shape(prefix + attention.format(block))[-1:] for block in (0, 1, 2, 4)]
    width = next((width[0] for width in widths if width), 0)
    if width in _WIDTHS:
        return width == family.width
    # Of other widths than the releases: version 2 projects with linear layers.
    projected = [name for name in names if name.endswith(".proj_in.weight")]
    return bool(projected) and not family.sized and (len(header.shape(projected[0])) == 2) == family.linear


def _is_control_lora(family: Generation, name: str, header: Header) -> bool:
    width = control_loras.text_width(header)
    if not width:
        message = f"The Control-LoRA {name!r} lacks the attention to the text."
        hint = "Copy or download it again."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=name))
    sized = any(f"label_emb.0.0.{end}" in header.tensors for end in ("down", "weight"))
    if sized != family.sized or family.scored:
        return False
    # Those for other widths than the releases are told by what they lie on, when they are used.
    return width == family.width if width in _WIDTHS else True


def _is_lora(family: Generation, header: Header) -> bool:
    """Told by a second text encoder, or by the channels that its attention to the text takes in."""
    names = header.tensors
    if any(key.startswith(("lora_te2_", "text_encoder_2.")) for key in names):
        return len(family.towers) == 2
    for key, inputs in lora_layers(header).items():
        # Transformers have such layers as well, but no blocks inside of blocks.
        if inputs and "block" in key.partition("transformer_block")[0] and key.endswith(_TO_TEXT):
            return inputs == family.width
    return False


def _class_of(folder: Folder, part: str) -> str:
    """The class that a model_index.json names for a part; empty when it names none."""
    entry = folder.index.get(part)
    return str(entry[1]) if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None else ""
