"""Small random models that guide a denoiser beside plain ControlNets, and the files that they come in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from models.original_layout import _controlnet_name  # pyright: ignore[reportPrivateUsage]
from safelight.families import load_families
from safelight.families._clip.tiny import seeded
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.tiny import unet_config
from safelight.models.files import ModelFiles
from safelight.models.layout import Layout, Part
from safelight.models.weights import Target


def family_of(name: str) -> UNetFamily:
    """A family for narrow models: what shapes do not tell is that of the tiny ones."""
    full = load_families()[name]
    assert isinstance(full, UNetFamily)
    return replace(full, unet={**full.unet, **unet_config(full)})


def t2i_adapter(family: str, sort: str = "", seed: int = 7) -> Any:
    from diffusers.models.adapter import T2IAdapter

    wide = family == "sdxl"
    sort = sort or ("full_adapter_xl" if wide else "full_adapter")
    with seeded(seed):
        net = T2IAdapter(3, [16, 32], 2, 16 if wide else 8, sort)
    return net.eval().requires_grad_(False)


def union(seed: int = 8) -> Any:
    from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel

    config = unet_config(family_of("sdxl"))
    for unknown in ("sample_size", "out_channels", "up_block_types"):
        config.pop(unknown)
    width = config["block_out_channels"][0]
    with seeded(seed):
        net = ControlNetUnionModel(
            **config,
            conditioning_embedding_out_channels=(4, 4, 8, 8),
            num_trans_channel=width,
            num_proj_channel=width,
            num_trans_head=8,
        )
        loud(net)
        for name in ("task_embedding", "spatial_ch_projs.weight"):
            torch.nn.init.normal_(dict(net.named_parameters())[name])
    return net.eval().requires_grad_(False)


def loud(net: Any) -> None:
    """Fills what is zero before training, so that the ControlNet has an effect."""
    for module in net.controlnet_cond_embedding.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    for closing in (*net.controlnet_down_blocks, net.controlnet_mid_block):
        torch.nn.init.normal_(closing.weight, std=0.1)


def control_lora(unet: Any, file: Path, rank: int = 4, seed: int = 9) -> tuple[Path, Any]:
    """A control-LoRA over a denoiser, and the dense ControlNet that it stands for."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    with seeded(seed), torch.no_grad():
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8, 8))
        loud(net)
        layers = net.config.layers_per_block
        weights: dict[str, torch.Tensor] = {"lora_controlnet": torch.zeros(0)}
        for name, tensor in net.named_parameters():
            original = _controlnet_name(name, layers)
            own = name.startswith("controlnet_")
            if own or tensor.dim() == 1:
                tensor.add_(torch.randn_like(tensor), alpha=0.0 if own else 0.05)
                weights[original] = tensor.clone()
                continue
            inputs = tensor[0].numel()
            down = torch.randn(rank, *tensor.shape[1:]) / inputs**0.5
            up = torch.randn(tensor.shape[0], rank, *[1] * (tensor.dim() - 2)) * 0.2
            tensor.add_((up.flatten(1) @ down.flatten(1)).reshape(tensor.shape))
            stem = original.removesuffix(".weight")
            weights |= {f"{stem}.up": up, f"{stem}.down": down}
    save_file(weights, file)
    return file, net.eval()


def written(net: Any, file: Path, layout: str) -> Path:
    """A T2I-Adapter as one file."""
    state = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    if layout == "original":
        light = "adapter.body.0.out_conv.weight" in state
        state = {_original(name.removeprefix("adapter."), light): tensor for name, tensor in state.items()}
    save_file(state, file)
    return file


def _original(name: str, light: bool) -> str:
    if light:
        return name.replace(".resnets.", ".body.")
    name = re.sub(r"body\.(\d+)\.resnets\.(\d+)", lambda found: f"body.{2 * int(found[1]) + int(found[2])}", name)
    return re.sub(r"body\.(\d+)\.in_conv", lambda found: f"body.{2 * int(found[1])}.in_conv", name)


def loaded(family: str, file: Path) -> Any:
    """What a lease of the file gives."""
    target = Target(torch.float32, torch.device("cpu"))
    files = ModelFiles(Layout("controlnet", family, file, {"": Part(None, (file,))}, single=True), target)
    return family_of(family).load("ControlNet", files).modules["controlnet"]
