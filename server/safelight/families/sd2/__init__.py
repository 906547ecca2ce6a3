"""Stable Diffusion 2: other text encoder, linear projections, and models that predict velocity."""

from __future__ import annotations

from safelight.families._clip.towers import CLIP_H, Tower
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.releases import SD_LATENT, UNET_2, VAE_2
from safelight.sdk.leased import Presets

FAMILY = UNetFamily(
    id="sd2",
    title="Stable Diffusion 2",
    latent=SD_LATENT,
    presets=Presets(width=768, height=768),
    architectures=("stable-diffusion-v2", "sd_v2"),
    width=1024,
    towers=(Tower("text_encoder", "tokenizer", "cond_stage_model.", CLIP_H, pad="!", sort="clip_h"),),
    linear=True,
    both=True,
    unet=UNET_2,
    vae_config=VAE_2,
)
