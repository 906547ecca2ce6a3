"""Flux.2 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save
from safelight.families._vaes.flux2 import tiny as autoencoder

from .reading import DEV_READING, READING

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, distilled: bool = False, dev: bool = False) -> Path:
    """A Klein, also `distilled`, or a dev."""
    import diffusers as library

    diffusers: Any = library

    reading = DEV_READING if dev else READING
    layers = reading.layers[-1] + 1
    with seeded(seed):
        pipeline = (diffusers.Flux2Pipeline if dev else diffusers.Flux2KleinPipeline)(
            transformer=lively(
                diffusers.Flux2Transformer2DModel(
                    patch_size=1,
                    in_channels=128,
                    num_layers=1,
                    num_single_layers=1,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=TEXT_WIDTH * len(reading.layers),
                    axes_dims_rope=(4, 4, 4, 4),
                    guidance_embeds=dev,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=(lm.mistral3 if dev else lm.qwen3)(TEXT_WIDTH, layers),
            tokenizer=None,
            **({} if dev else {"is_distilled": distilled}),
        )
    return save(family, pipeline, folder)
