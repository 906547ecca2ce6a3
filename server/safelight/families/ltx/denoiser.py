"""The transformer of LTX-Video: a token a cell, and a first frame that may be given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.families._modular.video import VideoDenoiser
from safelight.sdk import Latent, ProblemError, Shown

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work


class LtxDenoiser(VideoDenoiser):
    schedulers = ("model",)
    usual_shift = (math.exp(2.37), 10_000)
    shows = ("frames",)
    reads: ClassVar[Mapping[str, str]] = {"prompt_embeds": "embeddings", "prompt_attention_mask": "tokens"}

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.caption_channels}

    def inputs(self, work: Work) -> dict[str, Any]:
        shown = work.request.positive.shown
        given = super().inputs(work) | {"frame_rate": self.presets.fps}
        return given if shown is None else given | {"image_latents": self.placed(self.first_cell(shown), work)}

    def packed(self, latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return latents.transpose(1, 2).unflatten(2, (-1, *size))

    def refuse_frames(self, shown: Shown, latent: Latent) -> None:
        super().refuse_frames(shown, latent)
        if self.shows_last(shown):
            raise ProblemError(self.cannot("a last frame", "Take it out at guide.frames.", "positive"))

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        cell = self.family.latent.downsampling
        return {**super()._start(work, size), "height": size[0] * cell, "width": size[1] * cell}
