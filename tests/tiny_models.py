"""Small random models in the layouts of the real ones, written in well under a second each.

They stand in for Stable Diffusion 1, 2 and XL, ControlNet, IP-Adapter and LoRA wherever a test needs weights: the
same classes, the same files, the same names of tensors, only narrow. Weights are float32 and the same for the same
`seed` on one machine. `diffusers` loads every one of them, so a test may compare with its pipelines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safelight.families import load_families
from safelight.families._clip.tiny import TEXT_WIDTH, seeded, text_tower
from safelight.families._unet.generation import Generation
from safelight.families._unet.tiny import unet, unet_config

if TYPE_CHECKING:
    import torch

Family = Literal["sd1", "sd2", "sdxl"]

FAMILIES = load_families()


def tiny_sd1(folder: Path | str, seed: int = 1) -> Path:
    """Stable Diffusion 1: one text encoder, noise prediction, images of 64 x 64 pixels by default."""
    return FAMILIES["sd1"].tiny(Path(folder), seed)


def tiny_sd2(folder: Path | str, seed: int = 2) -> Path:
    """Stable Diffusion 2: a text encoder as open_clip makes it, velocity prediction."""
    return FAMILIES["sd2"].tiny(Path(folder), seed)


def tiny_sdxl(folder: Path | str, seed: int = 3) -> Path:
    """Stable Diffusion XL: two text encoders, pooled text and size conditions, a VAE that wants float32."""
    return FAMILIES["sdxl"].tiny(Path(folder), seed)


def tiny_controlnet(folder: Path | str, family: Family = "sd1", seed: int = 4) -> Path:
    """A ControlNet for the tiny model of a family. Its closing convolutions are not zero, so it has an effect."""
    import torch
    from diffusers import ControlNetModel

    wanted = unet_config(_generation(family))
    for unknown in ("sample_size", "out_channels", "up_block_types"):
        wanted.pop(unknown)
    with seeded(seed):
        model = ControlNetModel(**wanted, conditioning_embedding_out_channels=(4, 4, 8, 8))
        for module in model.controlnet_cond_embedding.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
        for closing in (*model.controlnet_down_blocks, model.controlnet_mid_block):
            torch.nn.init.normal_(closing.weight, std=0.1)
    model.save_pretrained(folder, safe_serialization=True)
    return Path(folder)


def tiny_ip_adapter(folder: Path | str, family: Family = "sd1", seed: int = 5) -> Path:
    """An IP-Adapter: `ip_adapter.safetensors` with flat keys, and `image_encoder/` beside it.

    `load_ip_adapter(folder, subfolder="", weight_name="ip_adapter.safetensors")` reads it.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with seeded(seed):
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                image_size=32,
                patch_size=8,
                projection_dim=TEXT_WIDTH,
            )
        )
        context = unet_config(_generation(family))["cross_attention_dim"]
        tensors: dict[str, torch.Tensor] = {
            "image_proj.proj.weight": torch.randn(4 * context, TEXT_WIDTH) / TEXT_WIDTH**0.5,
            "image_proj.proj.bias": torch.randn(4 * context) * 0.1,
            "image_proj.norm.weight": torch.ones(context),
            "image_proj.norm.bias": torch.zeros(context),
        }
        # The attentions are numbered in the order of `attn_processors`; every second one looks at the text.
        modules = dict(unet(_generation(family), meta=True).named_modules())
        names = [name.removesuffix(".processor") for name in unet(_generation(family), meta=True).attn_processors]
        for number, name in enumerate(names):
            if name.endswith("attn2"):
                inner = modules[name + ".to_k"].out_features
                for part in ("to_k_ip", "to_v_ip"):
                    tensors[f"ip_adapter.{number}.{part}.weight"] = torch.randn(inner, context) / context**0.5
    encoder.save_pretrained(folder / "image_encoder", safe_serialization=True)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder / "image_encoder"
    )
    save_file(tensors, folder / "ip_adapter.safetensors", _metadata(family, "ip-adapter"))
    return folder


def tiny_motion(folder: Path | str, family: Family = "sd1", seed: int = 9, frames: int = 8) -> Path:
    """A motion module for the tiny model of a family. Its last layers are not zero, so it has an effect."""
    from diffusers import MotionAdapter

    wanted = unet_config(_generation(family))
    with seeded(seed):
        MotionAdapter(
            block_out_channels=wanted["block_out_channels"],
            motion_layers_per_block=wanted["layers_per_block"],
            motion_norm_num_groups=wanted["norm_num_groups"],
            motion_num_attention_heads=2,
            motion_max_seq_length=frames,
        ).save_pretrained(folder, safe_serialization=True)
    return Path(folder)


def tiny_lora(
    file: Path | str, family: Family = "sd1", seed: int = 6, style: Literal["diffusers", "kohya"] = "diffusers"
) -> Path:
    """A LoRA of rank 2 on the attentions of the UNet and of the text encoders, as `load_lora_weights` reads it.

    `kohya` is the naming of most files that people share: flattened names, and an alpha beside each pair.
    """
    import torch
    from safetensors.torch import save_file

    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    rank, alpha = 2, 4.0
    tensors: dict[str, torch.Tensor] = {}
    with seeded(seed):
        for part, kohya, layers in _lora_layers(family):
            for name, layer in layers:
                down = torch.randn(rank, layer.in_features) / layer.in_features**0.5
                up = torch.randn(layer.out_features, rank) * 0.2
                if style == "diffusers":
                    tensors[f"{part}.{name}.lora_A.weight"] = down
                    tensors[f"{part}.{name}.lora_B.weight"] = up
                else:
                    key = f"{kohya}_{name.replace('.', '_')}"
                    tensors[f"{key}.lora_down.weight"] = down
                    tensors[f"{key}.lora_up.weight"] = up
                    tensors[f"{key}.alpha"] = torch.tensor(alpha)
    save_file(tensors, file, _metadata(family, "lora"))
    return file


def tiny_variational(folder: Path | str, seed: int = 8) -> Path:
    """A variational autoencoder for images of 16 pixels a side, as `weights.save_variational` writes one."""
    import torch

    from safelight.diffusion.variational import CLASS, Shape, fresh
    from safelight_nodes._training.folders import write_variational
    from safelight_nodes.training_values import Weights

    folder, shape = Path(folder), Shape(16, 4, 8, 8)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = fresh(shape)
    write_variational(folder, Weights(CLASS, shape.config(), network.state_dict()), "float32")
    return folder


def _generation(family: Family) -> Generation:
    found = FAMILIES[family]
    assert isinstance(found, Generation)
    return found


def _metadata(family: Family, part: str) -> dict[str, str]:
    """What says the family of a file too narrow to tell it by its shapes: github.com/Stability-AI/ModelSpec."""
    names = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-768-v", "sdxl": "stable-diffusion-xl-v1-base"}
    return {"format": "pt", "modelspec.architecture": f"{names[family]}/{part}"}


def _lora_layers(family: Family) -> list[tuple[str, str, list[tuple[str, Any]]]]:
    import torch

    wanted = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
    with torch.device("meta"):
        text = [("text_encoder", "lora_te", text_tower("quick_gelu", projected=False))]
        if family == "sdxl":
            text = [
                ("text_encoder", "lora_te1", text_tower("quick_gelu", projected=False)),
                ("text_encoder_2", "lora_te2", text_tower("gelu", projected=True)),
            ]
    parts = [("unet", "lora_unet", unet(_generation(family), meta=True)), *text]
    found: list[tuple[str, str, list[tuple[str, Any]]]] = []
    for part, kohya, model in parts:
        layers = [(name, module) for name, module in model.named_modules() if name.endswith(wanted)]
        if part != "unet":  # shared files keep the level that CLIPTextModel had before transformers 5
            layers = [("text_model." + name.removeprefix("text_model."), module) for name, module in layers]
        found.append((part, kohya, layers))
    return found
