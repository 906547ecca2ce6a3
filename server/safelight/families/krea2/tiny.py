"""Krea 2 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save
from safelight.families._vaes.qwen import tiny as autoencoder

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, distilled: bool = False) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.Krea2Pipeline(
            transformer=lively(
                diffusers.Krea2Transformer2DModel(
                    in_channels=64,
                    num_layers=2,
                    attention_head_dim=8,
                    num_attention_heads=4,
                    num_key_value_heads=2,
                    intermediate_size=32,
                    timestep_embed_dim=8,
                    text_hidden_dim=TEXT_WIDTH,
                    num_text_layers=2,
                    text_num_attention_heads=2,
                    text_num_key_value_heads=1,
                    text_intermediate_size=16,
                    num_layerwise_text_blocks=1,
                    num_refiner_text_blocks=1,
                    axes_dims_rope=(4, 2, 2),
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=lm.qwen3_vl(TEXT_WIDTH),
            tokenizer=None,
            text_encoder_select_layers=(1, 2),
            is_distilled=distilled,
        )
    return save(family, pipeline, folder)
