"""The configurations of the releases of Stable Diffusion, and what is known of their latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.families.base import LatentSpace

# Linear fits for previews. SD 1 and 2: Kevin Turner, "Decoding latents to RGB without upscaling", 2022,
# discuss.huggingface.co/t/23204. SDXL: Timothy Alexis Vass, "Explaining the SDXL latent space", 2023, in 0..255 there.
SD_LATENT = LatentSpace(
    "sd",
    scaling=0.18215,
    rgb=(
        (0.149, 0.1035, 0.104),
        (0.0935, 0.143, 0.0865),
        (-0.079, 0.0945, 0.132),
        (-0.092, -0.1355, -0.2365),
        (0.5, 0.5, 0.5),
    ),
)
XL_LATENT = LatentSpace(
    "sdxl",
    scaling=0.13025,
    rgb=(
        (60 / 255, 60 / 255, 60 / 255),
        (-60 / 255, -5 / 255, 10 / 255),
        (25 / 255, 15 / 255, -5 / 255),
        (-70 / 255, -50 / 255, -35 / 255),
        (150 / 255, 140 / 255, 130 / 255),
    ),
)
UNET_1: Mapping[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
UNET_2: Mapping[str, Any] = {
    "sample_size": 96,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
UNET_XL: Mapping[str, Any] = {
    "sample_size": 128,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
UNET_REFINER: Mapping[str, Any] = {
    **UNET_XL,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (384, 768, 1536, 1536),
    "cross_attention_dim": 1280,
    "attention_head_dim": (6, 12, 24, 24),
    "transformer_layers_per_block": 4,
    "projection_class_embeddings_input_dim": 2560,
}
_VAE: Mapping[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
}
VAE_1: Mapping[str, Any] = {**_VAE, "scaling_factor": 0.18215, "sample_size": 512, "force_upcast": False}
VAE_2: Mapping[str, Any] = {**VAE_1, "sample_size": 768}
VAE_XL: Mapping[str, Any] = {**_VAE, "scaling_factor": 0.13025, "sample_size": 1024, "force_upcast": True}
VAE_OF_NONE: Mapping[str, Any] = {"scaling_factor": None, "sample_size": 512, "force_upcast": True}
"""For a VAE that does not tell its family: the scale comes from what it is used with, the type from the safer one."""
SCHEDULER: Mapping[str, Any] = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
"""The schedule that these families were trained on, for a UNet that comes without one."""
