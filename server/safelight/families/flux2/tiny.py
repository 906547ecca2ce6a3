"""Flux.2 Klein in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save

from .reading import READING

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily


def write(family: ModularFamily, folder: Path, seed: int, *, distilled: bool = False) -> Path:
    import diffusers as library

    diffusers: Any = library

    with seeded(seed):
        pipeline = diffusers.Flux2KleinPipeline(
            transformer=lively(
                diffusers.Flux2Transformer2DModel(
                    patch_size=1,
                    in_channels=128,
                    num_layers=1,
                    num_single_layers=1,
                    attention_head_dim=16,
                    num_attention_heads=2,
                    joint_attention_dim=TEXT_WIDTH * len(READING.layers),
                    axes_dims_rope=(4, 4, 4, 4),
                    guidance_embeds=False,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler.from_config(family.default_scheduler({})),
            vae=autoencoder(),
            text_encoder=lm.qwen3(TEXT_WIDTH, READING.layers[-1] + 1),
            tokenizer=None,
            is_distilled=distilled,
        )
    return save(family, pipeline, folder)


def autoencoder() -> Any:
    """With statistics that are not those of a standard normal distribution."""
    import diffusers as library
    import torch

    diffusers: Any = library
    channels = (8, 8, 16, 16)
    made = diffusers.AutoencoderKLFlux2(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=1,
        latent_channels=32,
        norm_num_groups=4,
        sample_size=64,
    )
    torch.nn.init.normal_(made.bn.running_mean)
    torch.nn.init.uniform_(made.bn.running_var, 0.5, 2)
    return made.eval()
