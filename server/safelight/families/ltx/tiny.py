"""LTX-Video in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._modular.tiny import lively, save
from safelight.families._t5 import tiny as t5

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

TEXT_WIDTH = 32


def write(family: ModularFamily, folder: Path, seed: int, *, timed: bool = False) -> Path:
    """`timed`: with an autoencoder that is told of noise in what it decodes, as those of later releases."""
    import diffusers as library
    import torch

    diffusers: Any = library
    channels = family.latent.channels
    with seeded(seed):
        vae = diffusers.AutoencoderKLLTXVideo(
            latent_channels=channels,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
            timestep_conditioning=timed,
        )
        vae.latents_mean = torch.randn(channels) * 0.1
        vae.latents_std = torch.rand(channels) + 0.5
        pipeline = diffusers.LTXPipeline(
            transformer=lively(
                diffusers.LTXVideoTransformer3DModel(
                    in_channels=channels,
                    out_channels=channels,
                    num_attention_heads=2,
                    attention_head_dim=16,
                    cross_attention_dim=32,
                    num_layers=2,
                    caption_channels=TEXT_WIDTH,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
                **{key: value for key, value in family.default_scheduler({}).items() if key != "_class_name"}
            ),
            vae=lively(vae),
            text_encoder=t5.encoder(TEXT_WIDTH),
            tokenizer=None,
        )
    return save(family, pipeline, folder)
