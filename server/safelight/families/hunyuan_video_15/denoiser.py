"""The transformer of HunyuanVideo 1.5: a token a cell, prompts in two tongues, and a first frame that may be given."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from safelight.families._modular.video import VideoDenoiser
from safelight.sdk import Latent, ProblemError, Shown

if TYPE_CHECKING:
    from safelight.families._modular.denoiser import Work
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk.leased import Presets, SampleRequest


class HunyuanDenoiser(VideoDenoiser):
    """One that is `led` makes a video of an image, which it looks at with an image encoder as well."""

    schedulers = ("model",)
    usual_shift = (7.0, 1000)
    reads: ClassVar[Mapping[str, str]] = {
        "prompt_embeds": "embeddings",
        "prompt_embeds_mask": "mask",
        "prompt_embeds_2": "glyphs",
        "prompt_embeds_mask_2": "glyph_mask",
    }

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, *, led: bool) -> None:
        super().__init__(family, held, presets)
        self.led = led
        if led:
            self.shows = ("frames",)

    @property
    def widths(self) -> Mapping[str, int]:
        config = self.transformer.config
        return {"embeddings": config.text_embed_dim, "glyphs": config.text_embed_2_dim}

    def inputs(self, work: Work) -> dict[str, Any]:
        given = super().inputs(work)
        shown = work.request.positive.shown
        if shown is None or shown.embeddings is None:
            return given
        # The blocks repeat both for every video of the batch.
        return given | {
            "image_latents": self.placed(self.first_cell(shown), work)[:1],
            "image_embeds": shown.embeddings.to(work.device, work.dtype),
        }

    def _blocks(self, work: Work) -> Any:
        found = super()._blocks(work)
        if not self.led:
            return found
        # In diffusers 0.42 the step that draws the noise puts zeros in the place of what the image encoder saw.
        found = deepcopy(found.sub_blocks["image2video"])
        del found.sub_blocks["prepare_latents"]
        return found

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        given = super()._start(work, size)
        return {name: given[name] for name in ("latents", "num_inference_steps")} if self.led else given

    def _refuse(self, request: SampleRequest) -> None:
        super()._refuse(request)
        if self.led and request.positive.shown is None:
            raise self.lacks_frames()

    def refuse_frames(self, shown: Shown, latent: Latent) -> None:
        super().refuse_frames(shown, latent)
        if self.shows_last(shown):
            raise ProblemError(self.cannot("a last frame", "Take it out at guide.frames.", "positive"))
        self.require_seen(shown, self.transformer.config.image_embed_dim, "SigLIP, in the folder of the model")
