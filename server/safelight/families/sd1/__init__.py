"""Stable Diffusion 1: https://arxiv.org/abs/2112.10752."""

from __future__ import annotations

from safelight.families._clip.towers import CLIP_L, Tower
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.releases import SD_LATENT, UNET_1, VAE_1
from safelight.sdk.leased import Presets

FAMILY = UNetFamily(
    id="sd1",
    title="Stable Diffusion 1",
    latent=SD_LATENT,
    presets=Presets(width=512, height=512),
    architectures=("stable-diffusion-v1", "sd_v1"),
    width=768,
    towers=(Tower("text_encoder", "tokenizer", "cond_stage_model.", CLIP_L),),
    unet=UNET_1,
    vae_config=VAE_1,
)
