"""ERNIE-Image in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save
from safelight.families._vaes.flux2 import tiny as autoencoder

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.ErnieImagePipeline(
            transformer=lively(
                diffusers.ErnieImageTransformer2DModel(
                    hidden_size=32,
                    num_attention_heads=2,
                    num_layers=2,
                    ffn_hidden_size=48,
                    text_in_dim=TEXT_WIDTH,
                    rope_axes_dim=(4, 6, 6),
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=lm.mistral3(TEXT_WIDTH),
            tokenizer=None,
        )
    return save(family, pipeline, folder)
