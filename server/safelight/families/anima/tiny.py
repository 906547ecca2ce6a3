"""Anima in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save_modular
from safelight.families._t5 import tiny as t5
from safelight.families._vaes.qwen import tiny as autoencoder

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        parts = {
            "transformer": lively(
                diffusers.CosmosTransformer3DModel(
                    in_channels=16,
                    out_channels=16,
                    num_attention_heads=2,
                    attention_head_dim=16,
                    num_layers=2,
                    mlp_ratio=2.0,
                    text_embed_dim=32,
                    adaln_lora_dim=8,
                    max_size=(1, 64, 64),
                    rope_scale=(1.0, 4.0, 4.0),
                    extra_pos_embed_type=None,
                )
            ),
            "text_conditioner": lively(
                diffusers.AnimaTextConditioner(
                    source_dim=TEXT_WIDTH,
                    target_dim=32,
                    model_dim=32,
                    num_layers=2,
                    num_attention_heads=4,
                    target_vocab_size=len(t5.tokenizer()),
                    min_sequence_length=64,
                )
            ),
            "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
            "vae": autoencoder(),
            "text_encoder": lm.qwen3(TEXT_WIDTH).model,
            "tokenizer": lm.tokenizer(),
            "t5_tokenizer": t5.tokenizer(),
        }
    return save_modular(family, parts, folder)
