"""Z-Image in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import autoencoder, lively, save

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, turbo: bool = False) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.ZImagePipeline(
            transformer=lively(
                diffusers.ZImageTransformer2DModel(
                    in_channels=16,
                    dim=32,
                    n_layers=1,
                    n_refiner_layers=1,
                    n_heads=2,
                    n_kv_heads=2,
                    cap_feat_dim=TEXT_WIDTH,
                    axes_dims=[8, 4, 4],
                    axes_lens=[1536, 64, 64],
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
                shift=family.default_scheduler({})["shift"] if turbo else 6.0
            ),
            vae=autoencoder(family.latent.scaling, family.latent.shift),
            text_encoder=lm.qwen3(TEXT_WIDTH),
            tokenizer=None,
        )
    return save(family, pipeline, folder)
