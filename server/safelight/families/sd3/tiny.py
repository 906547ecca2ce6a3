"""Stable Diffusion 3 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded, text_tower
from safelight.families._modular.tiny import autoencoder, lively, save
from safelight.families._t5 import tiny as t5

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.StableDiffusion3Pipeline(
            transformer=lively(
                diffusers.SD3Transformer2DModel(
                    sample_size=8,
                    patch_size=2,
                    in_channels=16,
                    out_channels=16,
                    num_layers=2,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    caption_projection_dim=32,
                    joint_attention_dim=2 * TEXT_WIDTH,
                    pooled_projection_dim=2 * TEXT_WIDTH,
                    pos_embed_max_size=16,
                    qk_norm="rms_norm",
                    dual_attention_layers=(0,),
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=autoencoder(family.latent.scaling, family.latent.shift),
            text_encoder=text_tower("quick_gelu", projected=True),
            tokenizer=None,
            text_encoder_2=text_tower("gelu", projected=True),
            tokenizer_2=None,
            text_encoder_3=t5.encoder(2 * TEXT_WIDTH),
            tokenizer_3=None,
        )
    return save(family, pipeline, folder)
