"""Qwen-Image 2.1 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, sigmas: tuple[float, ...] | None = None) -> Path:
    """`sigmas` are the noise levels of a model that was distilled to them."""
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.QwenImage21Pipeline(
            transformer=lively(
                diffusers.QwenImage21Transformer2DModel(
                    num_layers=2,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    context_in_dim=TEXT_WIDTH,
                    mlp_ratio=2,
                    axes_dims_rope=(8, 4, 4),
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=lively(
                diffusers.AutoencoderKLQwenImage21(
                    base_dim=4, decoder_base_dim=4, dim_mult=[1, 1, 1, 2, 2], num_res_blocks=1
                )
            ),
            text_encoder=lm.qwen3_vl(TEXT_WIDTH, head=True),
            processor=lm.seeing_processor(),
            sample_sigmas=sigmas and list(sigmas),
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder
