"""Wan in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._modular.tiny import lively, save
from safelight.families._t5 import tiny as t5

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

TEXT_WIDTH = 32


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.WanPipeline(
            transformer=lively(
                diffusers.WanTransformer3DModel(
                    patch_size=(1, 2, 2),
                    num_attention_heads=2,
                    attention_head_dim=12,
                    in_channels=16,
                    out_channels=16,
                    text_dim=TEXT_WIDTH,
                    freq_dim=32,
                    ffn_dim=48,
                    num_layers=2,
                    rope_max_seq_len=64,
                )
            ),
            scheduler=diffusers.UniPCMultistepScheduler(**_scheduler(family)),
            vae=lively(diffusers.AutoencoderKLWan(base_dim=4, z_dim=16, num_res_blocks=1)),
            text_encoder=t5.encoder(TEXT_WIDTH, "UMT5"),
            tokenizer=None,
        )
    return save(family, pipeline, folder)


def _scheduler(family: ModularFamily) -> dict[str, Any]:
    return {name: value for name, value in family.default_scheduler({}).items() if name != "_class_name"}
