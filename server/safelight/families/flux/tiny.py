"""Flux.1 dev in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded, text_tower
from safelight.families._modular.tiny import autoencoder, lively, save
from safelight.families._t5 import tiny as t5

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, schnell: bool = False, made: str = "FluxPipeline") -> Path:
    """`schnell` is the model that takes no guidance, `made` the class of its pipeline."""
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = getattr(diffusers, made)(
            transformer=lively(
                diffusers.FluxTransformer2DModel(
                    patch_size=1,
                    in_channels=384 if made == "FluxFillPipeline" else 64,
                    out_channels=64,
                    num_layers=1,
                    num_single_layers=1,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=2 * TEXT_WIDTH,
                    pooled_projection_dim=TEXT_WIDTH,
                    axes_dims_rope=(4, 4, 8),
                    guidance_embeds=not schnell,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
                shift=1.0 if schnell else 3.0, use_dynamic_shifting=not schnell
            ),
            vae=autoencoder(family.latent.scaling, family.latent.shift),
            text_encoder=text_tower("quick_gelu", projected=False),
            tokenizer=None,
            text_encoder_2=t5.encoder(2 * TEXT_WIDTH),
            tokenizer_2=None,
        )
    return save(family, pipeline, folder)
