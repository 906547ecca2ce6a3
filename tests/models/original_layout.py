"""Writes a model in the layout of the original releases: one file, other names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def write_original(folder: Path, file: Path, family: str, layers: int) -> Path:
    """A diffusers folder of `layers` resnets a block as one file."""
    unet = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    attentive = {int(found[1]) for name in unet if (found := re.match(r"up_blocks\.(\d+)\.attentions", name))}
    weights = {f"model.diffusion_model.{unet_name(name, layers, attentive)}": tensor for name, tensor in unet.items()}
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    weights |= {f"first_stage_model.{name}": tensor for name, tensor in vae_in_original_names(vae).items()}
    if family == "sd2":
        given = load_file(folder / "text_encoder" / "model.safetensors")
        level = "text_model."
        leveled = {name if name.startswith(level) else level + name: tensor for name, tensor in given.items()}
        weights |= _open_clip(leveled, "cond_stage_model.model.")
        save_file(weights, file)
        return file
    clip = "conditioner.embedders.0.transformer." if family == "sdxl" else "cond_stage_model.transformer."
    for name, tensor in load_file(folder / "text_encoder" / "model.safetensors").items():
        weights[clip + (name if name.startswith("text_model.") else f"text_model.{name}")] = tensor
    if family == "sdxl":
        weights |= _open_clip(
            load_file(folder / "text_encoder_2" / "model.safetensors"), "conditioner.embedders.1.model."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, file)
    return file


def write_original_controlnet(folder: Path, file: Path, layers: int, prefix: str = "control_model.") -> Path:
    """A diffusers folder of a ControlNet as one file."""
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({prefix + _controlnet_name(name, layers): tensor for name, tensor in weights.items()}, file)
    return file


def _controlnet_name(name: str, layers: int) -> str:
    path, _, kind = name.rpartition(".")
    if path == "controlnet_mid_block":
        return f"middle_block_out.0.{kind}"
    if path.startswith("controlnet_down_blocks."):
        return f"zero_convs.{path.rpartition('.')[2]}.0.{kind}"
    if path.startswith("controlnet_cond_embedding."):
        last = path.rpartition(".")[2]
        place = {"conv_in": 0, "conv_out": 14}.get(last) if last.startswith("conv") else 2 * (int(last) + 1)
        return f"input_hint_block.{place}.{kind}"
    return unet_name(name, layers, set())


def vae_in_original_names(vae: dict[str, Tensor]) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for name, tensor in vae.items():
        found = _vae_name(name, 4)
        square = ".attn_1." in found and "norm" not in found and tensor.dim() == 2
        made[found] = (tensor[..., None, None] if square else tensor).contiguous()
    return made


def unet_name(name: str, layers: int, attentive: set[int]) -> str:
    """`attentive`: the up blocks with attention, whose upsampler stands behind it."""
    path, _, kind = name.rpartition(".")
    if path in _UNET_ENDS:
        return f"{_UNET_ENDS[path]}.{kind}"
    found = re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.*)", name)
    if found:
        side, block, what, number = found[1], int(found[2]), found[3], int(found[4])
        if what == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{kind}"
        if what == "upsamplers":
            place = (block + 1) * (layers + 1) - 1
            return f"output_blocks.{place}.{2 if block in attentive else 1}.conv.{kind}"
        place = 1 + block * (layers + 1) + number if side == "down" else block * (layers + 1) + number
        rest = _resnet(found[5]) if what == "resnets" else found[5]
        group = "input" if side == "down" else "output"
        return f"{group}_blocks.{place}.{0 if what == 'resnets' else 1}.{rest}"
    found = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name)
    assert found, name
    if found[1] == "attentions":
        return f"middle_block.1.{found[3]}"
    return f"middle_block.{2 * int(found[2])}.{_resnet(found[3])}"


def _resnet(rest: str) -> str:
    path, _, kind = rest.rpartition(".")
    return f"{_RESNET[path]}.{kind}"


def _vae_name(name: str, levels: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    if "mid_block.attentions.0." in name:
        path, _, kind = name.partition("mid_block.attentions.0.")[2].rpartition(".")
        return name.partition("mid_block")[0] + f"mid.attn_1.{_VAE_ATTENTION[path]}.{kind}"
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", name)


def _open_clip(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    import torch

    ends = {
        "text_model.embeddings.position_embedding.weight": "positional_embedding",
        "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
        "text_model.final_layer_norm.weight": "ln_final.weight",
        "text_model.final_layer_norm.bias": "ln_final.bias",
    }
    names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    made = {prefix + ends[name]: tensor for name, tensor in weights.items() if name in ends}
    if "text_projection.weight" in weights:
        made[f"{prefix}text_projection"] = weights["text_projection.weight"].T.contiguous()
    for name, tensor in weights.items():
        found = re.match(r"text_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        if not found:
            continue
        block = f"{prefix}transformer.resblocks.{found[1]}."
        if found[2] == "self_attn.q_proj":
            parts = [weights[name.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            made[f"{block}attn.in_proj_{found[3]}"] = torch.cat(parts)
        elif found[2] == "self_attn.out_proj":
            made[f"{block}attn.out_proj.{found[3]}"] = tensor
        elif found[2] in names:
            made[f"{block}{names[found[2]]}.{found[3]}"] = tensor
    return made
