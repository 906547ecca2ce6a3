"""Wan 2.2 of 5B, text and image to video, with an autoencoder of its own: https://github.com/Wan-Video/Wan2.2."""

from __future__ import annotations

from dataclasses import replace

from safelight.families.base import LatentSpace
from safelight.families.wan.family import FAMILY as WAN
from safelight.sdk.leased import Presets

FAMILY = replace(
    WAN,
    id="wan_5b",
    title="Wan 2.2 of 5B",
    latent=LatentSpace("wan_5b", channels=48, downsampling=16, frames=4),
    presets=Presets(steps=50, guidance=5.0, sampler="unipc", width=1280, height=704, frames=121, fps=24.0),
    architectures=("wan2.2-ti2v", "wan_2.2_ti2v"),
    signs=replace(WAN.signs, widths=(3072,)),
    tokenwise=True,
    channels=48,
    takes=(48,),
)

__all__ = ["FAMILY"]
