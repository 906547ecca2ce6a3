"""The refiner of Stable Diffusion XL: it makes the last steps of an image that the base model began.

Podell et al. 2023, https://arxiv.org/abs/2307.01952, section 2.5. It works on the latents of XL, reads prompts with the
second of its text encoders alone, and is told how beautiful the image is to be (`scored`).
"""

from __future__ import annotations

from safelight.families._clip.towers import CLIP_BIG_G, Tower
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.releases import UNET_REFINER, VAE_XL, XL_LATENT
from safelight.sdk.leased import Presets

FAMILY = UNetFamily(
    id="sdxl_refiner",
    title="Stable Diffusion XL refiner",
    latent=XL_LATENT,
    presets=Presets(width=1024, height=1024),
    architectures=("stable-diffusion-xl-v1-refiner",),
    width=1280,
    towers=(
        Tower(
            "text_encoder_2",
            "tokenizer_2",
            "conditioner.embedders.0.",
            CLIP_BIG_G,
            pad="!",
            projected=True,
            sort="clip_g",
        ),
    ),
    sized=True,
    scored=True,
    linear=True,
    layer=-2,
    unet=UNET_REFINER,
    vae_config=VAE_XL,
)
