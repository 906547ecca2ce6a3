"""What tells the generations of Stable Diffusion apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safelight.families._clip.towers import Tower
from safelight.families.base import Family


@dataclass(frozen=True, eq=False)
class Generation(Family):
    """One generation of Stable Diffusion.

    `width` is that of the text embeddings its denoiser attends to, `sized` that it is told pooled text and sizes
    (`text_time`), `scored` that it is told an aesthetic score in place of the target size, `linear` that its attention
    projects with linear layers (what tells generations of other widths apart). `layer` is the hidden layer of the text
    encoders that it reads, counted from the end, or 0 for the normalised output of the last one. `zero_negative` is
    True where training used zeros for "no text", so an unconnected negative means zeros. `both` says that models exist
    which predict noise, and others which predict velocity. `unet` and `vae_config` are the configurations of the
    releases, for files that hold weights alone.
    """

    width: int = 0
    towers: tuple[Tower, ...] = ()
    sized: bool = False
    scored: bool = False
    linear: bool = False
    layer: int = 0
    zero_negative: bool = False
    both: bool = False
    wraps: bool = True
    moves: bool = True
    unet: Mapping[str, Any] = field(default_factory=dict)
    vae_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pipeline(self) -> str:
        kind = "XL" if self.sized else ""
        return f"StableDiffusion{kind}{'Img2Img' if self.scored else ''}Pipeline"
