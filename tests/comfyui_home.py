"""A data folder with tiny models by the names that the workflows of `comfyui_workflows` give them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from families import written
from families.test_file_matrix import SORTS, as_released, small
from safelight.families import load_families
from safelight.families._clip.tiny import seeded
from safelight.families.flux import tiny as flux
from safelight.families.qwen_image import tiny as qwen_image
from safelight.families.wan import tiny as wan


def fill(home: Path, patch: pytest.MonkeyPatch) -> Path:
    """Writes it all below `home`. `patch` says of miniatures in files of their own what no shape of theirs tells."""
    models, families = home / "models", cast("Any", load_families())
    _photos(home / "input")
    checkpoints = models / "checkpoints"
    for name in ("sd1", "sdxl", "sd3", "ltx"):
        families[name].tiny(checkpoints / name, 1)
    families["sdxl_refiner"].tiny(checkpoints / "refiner", 2)
    qwen_image.write(families["qwen_image"], checkpoints / "qwen_edit", 3, made="QwenImageEditPlusPipeline")
    flux.write(families["flux"], checkpoints / "kontext", 4, made="FluxKontextPipeline")
    wan.write(families["wan"], checkpoints / "wan_image", 2, led=True)
    tiny_models.tiny_lora(models / "loras" / "it.safetensors")
    tiny_models.tiny_controlnet(models / "controlnet" / "canny")
    adapter = tiny_models.tiny_ip_adapter(models / "ipadapter")
    shutil.copytree(adapter / "image_encoder", models / "clip_vision" / "image_encoder")
    _upscaler(models / "upscale_models" / "twice.safetensors")
    _split_flux(models, families["flux"], patch)
    encoders = models / "text_encoders"
    shutil.copyfile(checkpoints / "wan_image" / "text_encoder" / "model.safetensors", encoders / "umt5.safetensors")
    return home


def _split_flux(models: Path, family: Any, patch: pytest.MonkeyPatch) -> None:
    """Flux.1 as people keep it: denoiser, text encoders and VAE apart; the denoiser in eight bits and as GGUF too."""
    mine = family.tiny(models / "mine", 1)
    as_released("flux", mine)
    small(patch, "flux", mine)
    tensors = written.denoiser(family, mine)
    folder = models / "diffusion_models"
    written.save(tensors, folder / "flux.safetensors")
    written.save(written.eight_bits(tensors, torch.float8_e4m3fn, scaled=True), folder / "eight.safetensors")
    written.write_gguf(tensors, folder / "flux.gguf", "Q8_0", "flux")
    for sort, part in SORTS["flux"].items():
        file = models / "text_encoders" / f"{sort}.safetensors"
        written.save(load_file(mine / part / "model.safetensors"), file, sort=sort)
    written.save(written.vae(mine), models / "vae" / "flux.safetensors")


def _photos(folder: Path) -> None:
    from PIL import Image

    from safelight.places import shipped_workflows

    folder.mkdir(parents=True)
    apple = Image.open(shipped_workflows() / "input" / "apple.png").convert("RGB").resize((64, 64))
    apple.save(folder / "photo.png")
    hole = Image.linear_gradient("L").resize((64, 64)).point([255] * 128 + [0] * 128)
    hole.convert("RGB").save(folder / "mask.png")
    apple.putalpha(hole)
    apple.save(folder / "clear.png")


def _upscaler(file: Path) -> None:
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    file.parent.mkdir(parents=True)
    with seeded(4):
        net = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)
    save_file(net.state_dict(), file)
