"""Small random models in the layouts of the real ones, written in well under a second each.

They stand in for Stable Diffusion 1, 2 and XL, ControlNet, IP-Adapter and LoRA wherever a test needs weights: the
same classes, the same files, the same names of tensors, only narrow. Weights are float32 and the same for the same
`seed` on one machine. `diffusers` loads every one of them, so a test may compare with its pipelines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

Family = Literal["sd1", "sd2", "sdxl"]

TEXT_WIDTH = 32
"""Channels of every text encoder here."""

_MERGED_WORDS = [
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
]
_LONGEST_PROMPT = 77

_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}


def tiny_sd1(folder: Path | str, seed: int = 1) -> Path:
    """Stable Diffusion 1: one text encoder, noise prediction, images of 64 x 64 pixels by default."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline

    with _seeded(seed):
        pipeline = StableDiffusionPipeline(
            vae=_vae(0.18215),
            text_encoder=_text_encoder("quick_gelu", projected=False),
            tokenizer=None,
            unet=_unet("sd1"),
            scheduler=PNDMScheduler(**_BETAS, skip_prk_steps=True, set_alpha_to_one=False),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return _save(pipeline, folder, {"tokenizer": "<|endoftext|>"})


def tiny_sd2(folder: Path | str, seed: int = 2) -> Path:
    """Stable Diffusion 2: a text encoder as open_clip makes it, velocity prediction."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    with _seeded(seed):
        pipeline = StableDiffusionPipeline(
            vae=_vae(0.18215),
            text_encoder=_text_encoder("gelu", projected=False),
            tokenizer=None,
            unet=_unet("sd2"),
            scheduler=DDIMScheduler(
                **_BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return _save(pipeline, folder, {"tokenizer": "!"})


def tiny_sdxl(folder: Path | str, seed: int = 3) -> Path:
    """Stable Diffusion XL: two text encoders, pooled text and size conditions, a VAE that wants float32."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    with _seeded(seed):
        pipeline = StableDiffusionXLPipeline(
            vae=_vae(0.13025, force_upcast=True),
            text_encoder=_text_encoder("quick_gelu", projected=False),
            text_encoder_2=_text_encoder("gelu", projected=True),
            tokenizer=None,
            tokenizer_2=None,
            unet=_unet("sdxl"),
            scheduler=EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading"),
            force_zeros_for_empty_prompt=True,
        )
    return _save(pipeline, folder, {"tokenizer": "<|endoftext|>", "tokenizer_2": "!"})


def tiny_controlnet(folder: Path | str, family: Family = "sd1", seed: int = 4) -> Path:
    """A ControlNet for the tiny model of a family. Its closing convolutions are not zero, so it has an effect."""
    import torch
    from diffusers import ControlNetModel

    wanted = _unet_config(family)
    for unknown in ("sample_size", "out_channels", "up_block_types"):
        wanted.pop(unknown)
    with _seeded(seed):
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
    with _seeded(seed):
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
        context = _unet_config(family)["cross_attention_dim"]
        tensors: dict[str, torch.Tensor] = {
            "image_proj.proj.weight": torch.randn(4 * context, TEXT_WIDTH) / TEXT_WIDTH**0.5,
            "image_proj.proj.bias": torch.randn(4 * context) * 0.1,
            "image_proj.norm.weight": torch.ones(context),
            "image_proj.norm.bias": torch.zeros(context),
        }
        # The attentions are numbered in the order of `attn_processors`; every second one looks at the text.
        modules = dict(_unet(family, meta=True).named_modules())
        names = [name.removesuffix(".processor") for name in _unet(family, meta=True).attn_processors]
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
    with _seeded(seed):
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


def _metadata(family: Family, part: str) -> dict[str, str]:
    """What says the family of a file too narrow to tell it by its shapes: github.com/Stability-AI/ModelSpec."""
    names = {"sd1": "stable-diffusion-v1", "sd2": "stable-diffusion-v2-768-v", "sdxl": "stable-diffusion-xl-v1-base"}
    return {"format": "pt", "modelspec.architecture": f"{names[family]}/{part}"}


def _lora_layers(family: Family) -> list[tuple[str, str, list[tuple[str, Any]]]]:
    import torch

    wanted = ("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj")
    with torch.device("meta"):
        text = [("text_encoder", "lora_te", _text_encoder("quick_gelu", projected=False))]
        if family == "sdxl":
            text = [
                ("text_encoder", "lora_te1", _text_encoder("quick_gelu", projected=False)),
                ("text_encoder_2", "lora_te2", _text_encoder("gelu", projected=True)),
            ]
    parts = [("unet", "lora_unet", _unet(family, meta=True)), *text]
    found: list[tuple[str, str, list[tuple[str, Any]]]] = []
    for part, kohya, model in parts:
        layers = [(name, module) for name, module in model.named_modules() if name.endswith(wanted)]
        if part != "unet":  # shared files keep the level that CLIPTextModel had before transformers 5
            layers = [("text_model." + name.removeprefix("text_model."), module) for name, module in layers]
        found.append((part, kohya, layers))
    return found


def _unet_config(family: Family) -> dict[str, Any]:
    config: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": TEXT_WIDTH,
        "attention_head_dim": 4,
    }
    if family == "sd2":
        config |= {"attention_head_dim": (2, 4), "use_linear_projection": True}
    if family == "sdxl":
        config |= {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": 2 * TEXT_WIDTH,
            "attention_head_dim": (2, 4),
            "use_linear_projection": True,
            "transformer_layers_per_block": (1, 2),
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + TEXT_WIDTH,
        }
    return config


def _unet(family: Family, meta: bool = False) -> Any:
    import torch
    from diffusers import UNet2DConditionModel

    with torch.device("meta" if meta else "cpu"):
        return UNet2DConditionModel(**_unet_config(family))


def _vae(scaling_factor: float, force_upcast: bool = False) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=scaling_factor,
        force_upcast=force_upcast,
    )


def _text_encoder(activation: str, projected: bool) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    size = len(_vocabulary()[0])
    config = CLIPTextConfig(
        vocab_size=size,
        hidden_size=TEXT_WIDTH,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=_LONGEST_PROMPT,
        projection_dim=TEXT_WIDTH,
        hidden_act=activation,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,  # as the published models have it; the encoder then looks for the largest id
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _save(pipeline: Any, folder: Path | str, tokenizers: dict[str, str]) -> Path:
    """Saves a pipeline without its tokenizers, then writes those, as the published repositories have them."""
    folder = Path(folder)
    pipeline.save_pretrained(folder, safe_serialization=True)
    index_file = folder / "model_index.json"
    index = json.loads(index_file.read_text())
    for name, pad in tokenizers.items():
        _write_tokenizer(folder / name, pad)
        index[name] = ["transformers", "CLIPTokenizer"]
    index_file.write_text(json.dumps(index, indent=2))
    return folder


def _write_tokenizer(folder: Path, pad: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = _vocabulary()
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad,
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": _LONGEST_PROMPT, "do_lower_case": True, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    """A byte-level BPE like CLIP's: every byte, every byte that ends a word, some merged words, two special tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
    tokens = letters + [letter + "</w>" for letter in letters]
    merges: list[str] = []
    for word in _MERGED_WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        built = parts[0]
        for part in parts[1:]:
            if f"{built} {part}" not in merges:
                merges.append(f"{built} {part}")
                tokens.append(built + part)
            built += part
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}, merges


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers from a seed inside the block, without touching those of the test around it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
