"""Stable Diffusion XL: https://arxiv.org/abs/2307.01952."""

from __future__ import annotations

from safelight.families._clip.towers import CLIP_BIG_G, CLIP_L, Tower
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.releases import UNET_XL, VAE_XL, XL_LATENT
from safelight.sdk.leased import Presets

FAMILY = UNetFamily(
    id="sdxl",
    title="Stable Diffusion XL",
    latent=XL_LATENT,
    presets=Presets(width=1024, height=1024),
    architectures=("stable-diffusion-xl", "sdxl"),
    width=2048,
    towers=(
        Tower("text_encoder", "tokenizer", "conditioner.embedders.0.", CLIP_L),
        Tower(
            "text_encoder_2",
            "tokenizer_2",
            "conditioner.embedders.1.",
            CLIP_BIG_G,
            pad="!",
            projected=True,
            sort="clip_g",
        ),
    ),
    sized=True,
    linear=True,
    layer=-2,
    zero_negative=True,
    unet=UNET_XL,
    vae_config=VAE_XL,
)
