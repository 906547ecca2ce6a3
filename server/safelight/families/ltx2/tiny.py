"""LTX-2 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

_WIDTH, _LAYERS = 16, 2


def write(family: ModularFamily, folder: Path, seed: int) -> Path:
    import diffusers as library
    import torch
    from diffusers.pipelines.ltx2 import connectors, vocoder

    diffusers: Any = library
    channels = family.latent.channels
    with seeded(seed):
        vae = diffusers.AutoencoderKLLTX2Video(
            latent_channels=channels,
            block_out_channels=(8, 16, 32, 64),
            decoder_block_out_channels=(8, 16, 32),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1),
            spatial_compression_ratio=family.latent.downsampling,
            temporal_compression_ratio=family.latent.frames,
        )
        vae.latents_mean = torch.randn(channels) * 0.1
        vae.latents_std = torch.rand(channels) + 0.5
        pipeline = diffusers.LTX2Pipeline(
            transformer=lively(
                diffusers.LTX2VideoTransformer3DModel(
                    in_channels=channels,
                    out_channels=channels,
                    num_attention_heads=2,
                    attention_head_dim=16,
                    cross_attention_dim=32,
                    audio_in_channels=16,
                    audio_out_channels=16,
                    audio_num_attention_heads=2,
                    audio_attention_head_dim=8,
                    audio_cross_attention_dim=16,
                    num_layers=2,
                    caption_channels=_WIDTH,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(
                **{key: value for key, value in family.default_scheduler({}).items() if key != "_class_name"}
            ),
            vae=lively(vae),
            audio_vae=diffusers.AutoencoderKLLTX2Audio(
                base_channels=16, ch_mult=(1, 1, 1), num_res_blocks=1, latent_channels=2, mel_bins=32, resolution=32
            ),
            vocoder=vocoder.LTX2Vocoder(
                in_channels=64,
                hidden_channels=32,
                upsample_kernel_sizes=[4, 4],
                upsample_factors=[2, 2],
                resnet_kernel_sizes=[3],
                resnet_dilations=[[1]],
            ),
            text_encoder=lm.gemma3(_WIDTH, _LAYERS),
            tokenizer=lm.gemma_tokenizer(),
            connectors=connectors.LTX2TextConnectors(
                caption_channels=_WIDTH,
                text_proj_in_factor=_LAYERS + 1,
                video_connector_num_attention_heads=2,
                video_connector_attention_head_dim=8,
                video_connector_num_layers=1,
                video_connector_num_learnable_registers=8,
                audio_connector_num_attention_heads=2,
                audio_connector_attention_head_dim=8,
                audio_connector_num_layers=1,
                audio_connector_num_learnable_registers=8,
            ),
        )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder
