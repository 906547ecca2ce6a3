"""HunyuanVideo 1.5 in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.families._clip.tiny import TEXT_WIDTH, seeded
from safelight.families._lm import tiny as lm
from safelight.families._modular.tiny import lively, save

if TYPE_CHECKING:
    from safelight.families._modular.family import ModularFamily

GLYPH_WIDTH, IMAGE_WIDTH = 32, 16


def write(family: ModularFamily, folder: Path, seed: int, *, led: bool = False) -> Path:
    """`led`: one that makes a video of an image."""
    import diffusers as library
    import transformers

    diffusers: Any = library
    channels = family.latent.channels
    with seeded(seed):
        made = diffusers.HunyuanVideo15ImageToVideoPipeline if led else diffusers.HunyuanVideo15Pipeline
        pipeline = made(
            transformer=lively(
                diffusers.HunyuanVideo15Transformer3DModel(
                    in_channels=family.channels,
                    out_channels=channels,
                    num_attention_heads=2,
                    attention_head_dim=16,
                    num_layers=2,
                    num_refiner_layers=1,
                    mlp_ratio=2.0,
                    text_embed_dim=TEXT_WIDTH,
                    text_embed_2_dim=GLYPH_WIDTH,
                    image_embed_dim=IMAGE_WIDTH,
                    rope_axes_dim=(2, 6, 8),
                    task_type="i2v" if led else "t2v",
                    target_size=64,
                )
            ),
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=5.0),
            vae=lively(
                diffusers.AutoencoderKLHunyuanVideo15(
                    latent_channels=channels, block_out_channels=(32, 32, 64, 64, 64), layers_per_block=1
                )
            ),
            text_encoder=lm.qwen2_vl(TEXT_WIDTH, layers=4).model.language_model,
            tokenizer=None,
            text_encoder_2=transformers.T5EncoderModel(
                transformers.T5Config(
                    vocab_size=259 + 125,
                    d_model=GLYPH_WIDTH,
                    d_kv=8,
                    d_ff=48,
                    num_layers=2,
                    num_heads=4,
                    feed_forward_proj="gated-gelu",
                )
            ),
            tokenizer_2=transformers.ByT5Tokenizer(),
            guider=diffusers.ClassifierFreeGuidance(guidance_scale=6.0),
            **(_image_encoder() if led else {}),
        )
    return save(family, pipeline, folder)


def _image_encoder() -> dict[str, Any]:
    import transformers

    size = 32
    config = transformers.SiglipVisionConfig(
        hidden_size=IMAGE_WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=size,
        patch_size=8,
    )
    return {
        "image_encoder": transformers.SiglipVisionModel(config).eval(),
        "feature_extractor": transformers.SiglipImageProcessor(size={"height": size, "width": size}),
    }
