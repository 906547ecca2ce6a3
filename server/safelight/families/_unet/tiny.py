"""Miniatures of Stable Diffusion, for tests: the classes, files and names of tensors of the real ones, only narrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded, text_tower, write_tokenizer

from .generation import Generation

_BETAS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}


def write(family: Generation, folder: Path, seed: int) -> Path:
    """A random model of the family, in diffusers layout; images of 64 x 64 pixels by default."""
    import diffusers

    library: Any = diffusers
    pipeline: Any

    with seeded(seed):
        parts: dict[str, Any] = {"vae": vae(family.vae_config["scaling_factor"], family.vae_config["force_upcast"])}
        for tower in family.towers:
            parts[tower.part] = text_tower(tower.config["hidden_act"], tower.projected)
            parts[tower.tokenizer] = None
        parts["unet"] = unet(family)
        if family.scored:
            pipeline = library.StableDiffusionXLImg2ImgPipeline(
                **parts,
                text_encoder=None,
                tokenizer=None,
                scheduler=library.EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading"),
                requires_aesthetics_score=True,
                force_zeros_for_empty_prompt=family.zero_negative,
            )
        elif family.sized:
            pipeline = library.StableDiffusionXLPipeline(
                **parts,
                scheduler=library.EulerDiscreteScheduler(**_BETAS, timestep_spacing="leading"),
                force_zeros_for_empty_prompt=family.zero_negative,
            )
        else:
            pndm = library.PNDMScheduler(**_BETAS, skip_prk_steps=True, set_alpha_to_one=False)
            ddim = library.DDIMScheduler(
                **_BETAS, clip_sample=False, set_alpha_to_one=False, prediction_type="v_prediction"
            )
            pipeline = library.StableDiffusionPipeline(
                **parts,
                scheduler=ddim if family.both else pndm,
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            )
    pipeline.save_pretrained(folder, safe_serialization=True)
    index_file = folder / "model_index.json"
    index = json.loads(index_file.read_text())
    for tower in family.towers:
        write_tokenizer(folder / tower.tokenizer, tower.pad)
        index[tower.tokenizer] = ["transformers", "CLIPTokenizer"]
    index_file.write_text(json.dumps(index, indent=2))
    return folder


def unet_config(family: Generation) -> dict[str, Any]:
    """The configuration of the family's UNet, narrow."""
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
    if family.linear and not family.sized:
        config |= {"attention_head_dim": (2, 4), "use_linear_projection": True}
    if family.sized:
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
    if family.scored:
        config |= {"cross_attention_dim": TEXT_WIDTH, "projection_class_embeddings_input_dim": 5 * 8 + TEXT_WIDTH}
    return config


def unet(family: Generation, meta: bool = False) -> Any:
    """The UNet; with `meta` without memory for its weights."""
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.device("meta" if meta else "cpu"):
        return UNet2DConditionModel(**unet_config(family))


def vae(scaling_factor: float, force_upcast: bool = False) -> Any:
    import diffusers

    library: Any = diffusers
    return library.AutoencoderKL(
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
