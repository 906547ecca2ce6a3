"""Qwen-Image in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.QwenImagePipeline(
            transformer=lively(
                diffusers.QwenImageTransformer2DModel(
                    patch_size=2,
                    in_channels=64,
                    out_channels=16,
                    num_layers=2,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=TEXT_WIDTH,
                    axes_dims_rope=(8, 4, 4),
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=lm.qwen2_vl(TEXT_WIDTH),
            tokenizer=None,
        )
    return save(family, pipeline, folder)


def autoencoder() -> Any:
    import diffusers as library

    diffusers: Any = library
    return diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=16,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[place / 16 - 0.5 for place in range(16)],
        latents_std=[1 + place / 8 for place in range(16)],
    ).eval()
