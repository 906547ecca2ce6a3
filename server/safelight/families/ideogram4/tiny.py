"""Ideogram 4 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save
from safelight.families._vaes.flux2 import tiny as autoencoder

from .text import LAYERS

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

_WIDTH = 16


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    def transformer() -> Any:
        return lively(
            diffusers.Ideogram4Transformer2DModel(
                in_channels=128,
                num_layers=2,
                attention_head_dim=16,
                num_attention_heads=2,
                intermediate_size=32,
                adaln_dim=16,
                llm_features_dim=_WIDTH * len(LAYERS),
                mrope_section=(4, 2, 2),
            )
        )

    with seeded(seed):
        pipeline = diffusers.Ideogram4Pipeline(
            transformer=transformer(),
            unconditional_transformer=transformer(),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=lm.qwen3_vl(_WIDTH, layers=LAYERS[-1] + 1),
            tokenizer=None,
        )
    return save(family, pipeline, folder)
