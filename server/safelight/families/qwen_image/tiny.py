"""Qwen-Image in miniature, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save
from safelight.families._vaes.qwen import tiny as autoencoder

from .edit import KINDS
from .layered import MADE as LAYERED

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, made: str = "QwenImagePipeline") -> Path:
    """`made` is the class of its pipeline."""
    import diffusers as library

    diffusers: Any = library
    layered = made == LAYERED
    seeing = layered or made in KINDS

    with seeded(seed):
        pipeline = getattr(diffusers, made)(
            transformer=lively(
                diffusers.QwenImageTransformer2DModel(
                    patch_size=2,
                    in_channels=64,
                    out_channels=16,
                    num_layers=2,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=TEXT_WIDTH,
                    axes_dims_rope=(8, 4, 4),
                    use_additional_t_cond=layered,
                    use_layer3d_rope=layered,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(4 if layered else 3),
            text_encoder=lm.qwen2_vl(TEXT_WIDTH),
            tokenizer=None,
            **({"processor": None} if seeing else {}),
        )
    save(family, pipeline, folder)
    if seeing:
        lm.write_processor(folder / "processor")
        index = json.loads((folder / "model_index.json").read_text())
        index["processor"] = ["transformers", "Qwen2VLProcessor"]
        (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder
