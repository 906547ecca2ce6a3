"""Flux.3 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save_modular
from safelight.families._vaes.flux2 import tiny as autoencoder

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

_WIDTH, _LAYERS = 16, 33


def write(family: ModularFamily, folder: Path, seed: int, *, distilled: bool = False) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        parts = {
            "transformer": lively(
                diffusers.Flux3Transformer2DModel(
                    num_layers=1,
                    num_single_layers=1,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=_WIDTH * 8,
                    timestep_channels=16,
                    mlp_ratio=2.0,
                    axes_dims_rope=(4, 4, 4, 4),
                    flow_map=distilled,
                )
            ),
            "vae": autoencoder(),
            "text_encoder": lm.qwen3_vl(_WIDTH, layers=_LAYERS, head=True),
            "tokenizer": lm.seeing_processor(),
        }
    return save_modular(family, parts, folder, "Flux3Distilled" if distilled else "Flux3")
