"""Which generation of Stable Diffusion a model belongs to, by its configurations or by the header of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from safelight.families.base import FileKind, Folder, unsupported
from safelight.families.files import Header, embedding_vectors, lora_layers
from safelight.sdk.problem import Problem, ProblemError

from . import controlnets

if TYPE_CHECKING:
    from .generation import Generation

_LDM = "model.diffusion_model."
_ATTENTION = _LDM + "input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
_REFINER_WIDTH = 1280
_WIDTHS = (768, 1024, 2048)
"""Channels of the text embeddings that the denoisers of the generations attend to."""
_EDM = "was trained with the noise levels of EDM, as Playground 2.5, which no sampler here has"
_REFINER = "is the refiner of Stable Diffusion XL"
_PIPELINES = ("StableDiffusion", "LatentConsistencyModel")
_OTHER_PIPELINES = ("StableDiffusion3",)
_TOWERS = ("CLIPTextModel", "CLIPTextModelWithProjection")
_DIFFUSERS_ATTENTION = "down_blocks.{}.attentions.0.transformer_blocks.0.attn2.to_k.weight"
_KOLORS_LABELS = 5632
_DEPTH = re.compile(re.escape(_LDM) + r"input_blocks\.(\d+)\.1\.transformer_blocks\.(\d+)\.")
_CHANNELS: dict[tuple[int, ...], str] = {
    (5,): "is a model that is led by depth, which is not supported yet",
    (7,): "is the upscaler of Stable Diffusion 2",
    (8,): "is a model that edits by instructions (InstructPix2Pix), which is not supported yet",
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
    if family.sized and not _class_of(folder, "text_encoder"):
        if unet.get("cross_attention_dim") == _REFINER_WIDTH:
            raise unsupported(folder.name, _REFINER)
        message = f"{folder.name!r} is a {family.title} whose model_index.json names no text_encoder."
        hint = "Get the whole model; there is nothing in it that reads a prompt."
        raise ProblemError(Problem(code="model_incomplete", message=message, hint=hint, value=folder.name))
    for tower in family.towers:
        read_by = _class_of(folder, tower.part)
        if read_by and read_by not in _TOWERS:
            raise unsupported(folder.name, f"reads prompts with a {read_by}, where {family.title} has CLIP")
    return True


def component(family: Generation, config: Mapping[str, Any]) -> FileKind | None:
    made = config.get("_class_name")
    if made in ("UNet2DConditionModel", "ControlNetModel"):
        found: FileKind = "unet" if made == "UNet2DConditionModel" else "controlnet"
        return found if _is_generation(family, config) else None
    if made == "AutoencoderKL" and config.get("latent_channels", 4) == family.latent.channels:
        # Those of versions 1 and 2 are interchangeable, and count as those of whichever is asked first.
        scale = config.get("scaling_factor", 0.18215)
        scales = {0.13025: "sdxl"}
        return "vae" if scales.get(round(scale, 6), "sd") == family.space else None
    return None


def claims(family: Generation, kind: FileKind, name: str, header: Header) -> bool:
    if kind == "pipeline":
        return f"{_LDM}input_blocks.0.0.weight" in header.tensors and _is_checkpoint(family, name, header)
    if kind == "vae":
        # All generations have one shape, so a file without metadata is claimed by each of them.
        original = "decoder.up.0.block.0.conv1.weight" in header.tensors and "encoder.conv_in.weight" in header.tensors
        return original and header.shape("decoder.conv_in.weight")[1:2] == (family.latent.channels,)
    if kind == "controlnet":
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


_PARTS: tuple[tuple[str, str, str], ...] = (
    ("diffusion_model.input_blocks.0.0.weight", _ATTENTION.removeprefix("model."), "a UNet alone"),
    ("input_blocks.0.0.weight", _ATTENTION.removeprefix(_LDM), "a UNet alone"),
    ("up_blocks.0.resnets.0.conv1.weight", _DIFFUSERS_ATTENTION, "a UNet alone"),
    ("decoder.up_blocks.0.resnets.0.conv1.weight", "", "a VAE in diffusers layout without its config.json"),
)  # fmt: skip
"""A name that a part of a model has, where its attention to the text stands (by block), and what it is."""


def part(family: Generation, header: Header) -> str:
    """What a file is that holds a part of a model of this generation; of any, where nothing tells which."""
    for mark, attention, said in _PARTS:
        if mark in header.tensors:
            widths = [header.shape(attention.format(block))[-1:] for block in (0, 1, 4)]
            width = next((width[0] for width in widths if width), 0)
            if width in _WIDTHS:
                return f"{said} of {family.title}" if width == family.width else ""
            return said
    return ""


def text_width(header: Header) -> int:
    """The channels of the text embeddings that the denoiser of a whole model attends to; 0 when nothing tells."""
    # The first of these blocks pays no attention to the text in Stable Diffusion XL.
    widths = [header.shape(_ATTENTION.format(block))[-1:] for block in (1, 4)]
    return next((width[0] for width in widths if width), 0)


def _is_generation(family: Generation, config: Mapping[str, Any]) -> bool:
    """Whether a UNet or a ControlNet is of this generation. Those of other widths than the releases are told apart by
    what version 2 introduced."""
    if config.get("addition_embed_type") == "text_time":
        return family.sized
    if family.sized:
        return False
    width = config.get("cross_attention_dim") or 0
    return width == family.width if width in _WIDTHS else bool(config.get("use_linear_projection")) == family.linear


def _is_checkpoint(family: Generation, name: str, header: Header) -> bool:
    """Whether a whole model in the layout of the original releases is of this generation; text encoders or VAE may have
    been left out."""
    width = text_width(header)
    labelled = f"{_LDM}label_emb.0.0.weight" in header.tensors
    if any(".time_stack." in key or ".time_mixer." in key for key in header.tensors):
        raise unsupported(name, "is a Stable Video Diffusion model")
    channels = header.shape(f"{_LDM}input_blocks.0.0.weight")[1:2]
    if channels in _CHANNELS:
        raise unsupported(name, _CHANNELS[channels])
    if "edm_mean" in header.tensors or "edm_vpred.sigma_max" in header.tensors:
        raise unsupported(name, _EDM)
    if labelled and width == _REFINER_WIDTH:
        raise unsupported(name, _REFINER)
    if labelled and width == 1024:
        raise unsupported(name, "is a Stable Diffusion 2 unCLIP model, which is led by an image's embedding")
    if header.shape(f"{_LDM}label_emb.0.0.weight")[1:] == (_KOLORS_LABELS,):
        raise unsupported(name, "is a Kolors model, which reads prompts with ChatGLM")
    if labelled and width == family.width:
        _require_depth(family, name, header)
    if width not in _WIDTHS:
        raise unsupported(name, f"attends to a text of {width} channels, which no supported family does")
    return width == family.width and labelled == family.sized


def _require_depth(family: Generation, name: str, header: Header) -> None:
    """Raises ProblemError for a model with fewer layers than the release, as SSD-1B, whose file does not say which."""
    given: dict[int, int] = {}
    for key in header.tensors:
        found = _DEPTH.match(key)
        if found:
            block, layer = int(found[1]), int(found[2])
            given[block] = max(given.get(block, 0), layer + 1)
    wanted = dict.fromkeys((4, 5), 2) | dict.fromkeys((7, 8), 10)
    if given.keys() == wanted.keys() and given != wanted:
        hint = f"Use it in diffusers layout, where config.json says how many layers there are. {family.title} has more."
        raise unsupported(name, "has other layers than Stable Diffusion XL, as SSD-1B and Segmind Vega", hint)


def _is_controlnet(family: Generation, name: str, header: Header) -> bool:
    """Whether a ControlNet in one file is of this generation; one without attention is told by its sizes alone."""
    found = controlnets.layout(header)
    assert found is not None
    prefix, original = found
    names = header.tensors
    if "lora_controlnet" in names:
        return False
    if "difference" in names:
        raise unsupported(name, "is a ControlNet kept as the difference to a denoiser", "Get the whole one.")
    if f"{prefix}task_embedding" in names or f"{prefix}control_add_embedding.linear_1.weight" in names:
        raise unsupported(name, "is a ControlNet of several kinds in one (union), which is not supported yet")
    sized = f"{prefix}label_emb.0.0.weight" in names or f"{prefix}add_embedding.linear_1.weight" in names
    if sized:
        return family.sized
    attention = _ATTENTION.removeprefix(_LDM) if original else _DIFFUSERS_ATTENTION
    widths = [header.shape(prefix + attention.format(block))[-1:] for block in (0, 1, 2, 4)]
    width = next((width[0] for width in widths if width), 0)
    if width in _WIDTHS:
        return width == family.width
    # Of other widths than the releases: version 2 projects with linear layers.
    projected = [name for name in names if name.endswith(".proj_in.weight")]
    return bool(projected) and not family.sized and (len(header.shape(projected[0])) == 2) == family.linear


def _is_lora(family: Generation, header: Header) -> bool:
    """Told by a second text encoder, or by the channels that its attention to the text takes in."""
    names = header.tensors
    if any(key.startswith(("lora_te2_", "text_encoder_2.")) for key in names):
        return len(family.towers) == 2
    for key, inputs in lora_layers(header).items():
        if inputs and "attn2" in key and key.endswith(("to_k", "to_v")):
            return inputs == family.width
    return False


def _class_of(folder: Folder, part: str) -> str:
    """The class that a model_index.json names for a part; empty when it names none."""
    entry = folder.index.get(part)
    return str(entry[1]) if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None else ""
