"""The transformer of LTX-2: a token a cell, and a stream of sound beside the video that each looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.diffusion.modular import made_quietly
from safelight.diffusion.noise import draw, generators
from safelight.families._modular.video import VideoDenoiser
from safelight.sdk import Latent, ProblemError, Shown

from .parts import SOUND

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work

_OWN = {"stg_scale": 1.0, "modality_scale": 3.0, "guidance_rescale": 0.7}
"""What guidance consists of beside the comparison with a negative prompt, as the model's makers have it: what some
blocks without attention say, and what video and sound say without each other."""
_BLOCKS, _SOUND_GUIDANCE = (28,), 7.0


class Ltx2Denoiser(VideoDenoiser):
    schedulers = ("model",)
    draws = False
    guiders = ("cfg",)
    shows = ("frames",)
    reads: ClassVar[Mapping[str, str]] = {
        "connector_prompt_embeds": "embeddings",
        "connector_audio_prompt_embeds": "sound",
        "connector_attention_mask": "mask",
    }

    @property
    def widths(self) -> Mapping[str, int]:
        config = self.transformer.config
        if config.use_prompt_embeddings:
            return {"embeddings": config.caption_channels, "sound": config.caption_channels}
        return {"embeddings": config.cross_attention_dim, "sound": config.audio_cross_attention_dim}

    def components(self, work: Work) -> dict[str, Any]:
        from diffusers import guiders

        library: Any = guiders
        given: dict[str, Any] = {**_OWN, "enabled": work.negative is not None}
        if work.request.rescale:
            given["guidance_rescale"] = work.request.rescale

        def guider(scale: float) -> Any:
            return made_quietly(
                lambda: library.LTX2Guidance(
                    guidance_scale=scale, spatio_temporal_guidance_blocks=list(_BLOCKS), **given
                )
            )

        return {
            "guider": guider(work.request.guidance),
            "audio_guider": guider(_SOUND_GUIDANCE),
            SOUND: self.modules[SOUND],
        }

    def inputs(self, work: Work) -> dict[str, Any]:
        # The noise of the sound is drawn behind that of the video, from the same sources.
        sources = generators(work.request.seed, len(work.noise))
        draw(sources, work.noise.shape[1:])
        given = super().inputs(work) | {
            "batch_size": len(work.noise),
            "dtype": work.dtype,
            "frame_rate": self.presets.fps,
            "generator": sources,
        }
        shown = work.request.positive.shown
        return given if shown is None else given | {"image_latents": self.placed(self.first_cell(shown), work)}

    def packed(self, latents: Tensor) -> Tensor:
        return latents.flatten(2).transpose(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return latents.transpose(1, 2).unflatten(2, (-1, *size))

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        return self.unpacked(latents, size)

    def refuse_frames(self, shown: Shown, latent: Latent) -> None:
        super().refuse_frames(shown, latent)
        if self.shows_last(shown):
            raise ProblemError(self.cannot("a last frame", "Take it out at guide.frames.", "positive"))

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        cell = self.family.latent.downsampling
        return {**super()._start(work, size), "height": size[0] * cell, "width": size[1] * cell}
