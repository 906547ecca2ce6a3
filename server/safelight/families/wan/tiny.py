"""Wan in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import seeded
from safelight.families._modular.tiny import lively, save
from safelight.families._t5 import tiny as t5

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

TEXT_WIDTH, IMAGE_WIDTH, IMAGE_TOKENS = 32, 32, 17


def write(
    family: ModularFamily,
    folder: Path,
    seed: int,
    *,
    led: bool = False,
    two: bool = False,
    encoder: bool = False,
    both_ends: bool = False,
    tokenwise: bool = False,
) -> Path:
    """`led` by frames, and by an image `encoder` as well; of `two` transformers; for what lies between `both_ends`;
    `tokenwise` as the model of 5B."""
    import diffusers as library

    diffusers: Any = library

    def transformer() -> Any:
        return lively(
            diffusers.WanTransformer3DModel(
                patch_size=(1, 2, 2),
                num_attention_heads=2,
                attention_head_dim=12,
                in_channels=family.latent.channels + (family.latent.channels + 4 if led and not tokenwise else 0),
                out_channels=family.latent.channels,
                text_dim=TEXT_WIDTH,
                freq_dim=32,
                ffn_dim=48,
                num_layers=2,
                rope_max_seq_len=64,
                image_dim=IMAGE_WIDTH if encoder else None,
                added_kv_proj_dim=24 if encoder else None,
                pos_embed_seq_len=2 * IMAGE_TOKENS if both_ends else None,
            )
        )

    with seeded(seed):
        parts: dict[str, Any] = {
            "transformer": transformer(),
            "scheduler": diffusers.UniPCMultistepScheduler(**_scheduler(family)),
            "vae": lively(_autoencoder(family, tokenwise)),
            "text_encoder": t5.encoder(TEXT_WIDTH, "UMT5"),
            "tokenizer": None,
            "expand_timesteps": tokenwise,
        }
        if two:
            parts |= {"transformer_2": transformer(), "boundary_ratio": 0.9}
        if encoder:
            parts |= _image_encoder()
        made = diffusers.WanImageToVideoPipeline if led else diffusers.WanPipeline
        pipeline = made(**parts)
    return save(family, pipeline, folder)


def _autoencoder(family: ModularFamily, tokenwise: bool) -> Any:
    import diffusers as library

    diffusers: Any = library
    channels = family.latent.channels
    if not tokenwise:
        return diffusers.AutoencoderKLWan(base_dim=4, z_dim=channels, num_res_blocks=1)
    return diffusers.AutoencoderKLWan(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=channels,
        num_res_blocks=1,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=family.latent.downsampling,
        latents_mean=[0.1 * place for place in range(channels)],
        latents_std=[1.0 + 0.05 * place for place in range(channels)],
    )


def _image_encoder() -> dict[str, Any]:
    import transformers

    size = 32
    config = transformers.CLIPVisionConfig(
        hidden_size=IMAGE_WIDTH,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=size,
        patch_size=8,
    )
    return {
        "image_encoder": transformers.CLIPVisionModel(config).eval(),
        "image_processor": transformers.CLIPImageProcessor(
            size={"shortest_edge": size}, crop_size={"height": size, "width": size}
        ),
    }


def _scheduler(family: ModularFamily) -> dict[str, Any]:
    return {name: value for name, value in family.default_scheduler({}).items() if name != "_class_name"}
