"""The transformers of Wan: guidance against a negative prompt, latents with an axis of time, frames that are given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safelight.families._modular.guiders import guider
from safelight.families._modular.video import VideoDenoiser
from safelight.sdk import Context, Latent, Problem, ProblemError, Shown

from .tokenwise import tokenwise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safelight.families._modular.denoiser import Work
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk.leased import Presets, SampleRequest


BOUNDARIES = {False: 0.875, True: 0.9}
"""The share of the timesteps above which the first of two transformers is at work, where the files do not say: of those
led by text, and by frames."""


class WanDenoiser(VideoDenoiser):
    """One transformer, or two: that for much noise, and `transformer_2` for what is left below the `boundary`.

    Those that take more channels than they give are led by frames, which lie in the other channels. The model of 5B
    takes the latent alone: there a given frame lies in it, and its tokens are told that they hold no noise.
    """

    samplers = ("unipc", "euler")
    usual_shift = (8.0, 1000)
    schedulers = ("model",)

    def __init__(self, family: ModularFamily, held: Held, presets: Presets, *, tokenwise: bool = False) -> None:
        super().__init__(family, held, presets)
        config = self.transformer.config
        self.tokenwise = tokenwise
        self.led = config.in_channels > config.out_channels
        self.both_ends = config.pos_embed_seq_len is not None
        if self.led or self.tokenwise:
            self.shows = ("frames",)
        if "transformer_2" in self.modules:
            self.presets = replace(self.presets, steps=40, guidance=3.5 if self.led else 4.0)
        if self.scheduler.get("_class_name") == "FlowMatchEulerDiscreteScheduler":
            self.presets = replace(self.presets, sampler="euler")

    def sample(self, request: SampleRequest, ctx: Context) -> Latent:
        made = super().sample(request, ctx)
        shown = request.positive.shown
        if shown is None or not self.tokenwise:
            return made
        samples = made.samples.clone()
        samples[:, :, :1] = self.first_cell(shown)
        return replace(made, samples=samples)

    def components(self, work: Work) -> dict[str, Any]:
        found = super().components(work)
        if self.tokenwise:
            shown = work.request.positive.shown
            first = None if shown is None else self.placed(self.first_cell(shown), work)
            return {**found, "transformer": tokenwise(self.transformer, first)}
        if not self._in_two:
            return found
        # One that is led by frames and reads no image embeddings is run as one of two, which are the same.
        return {
            **found,
            "guider_2": guider(work.request, compared=work.negative is not None),
            "transformer_2": self.modules.get("transformer_2", self.transformer),
            "boundary_ratio": self._held.settings["boundary"] or BOUNDARIES[self.led],
        }

    def inputs(self, work: Work) -> dict[str, Any]:
        given = super().inputs(work)
        shown = work.request.positive.shown
        if not self.led or shown is None:
            return given
        given["image_condition_latents"] = self.placed(shown.planes, work)
        if shown.embeddings is not None and self._reads_images:
            seen = shown.embeddings.to(work.device, work.dtype)
            given["image_embeds"] = seen.repeat(len(work.noise), 1, 1)
        return given

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.text_dim}

    @property
    def _reads_images(self) -> bool:
        return self.transformer.config.image_dim is not None

    @property
    def _in_two(self) -> bool:
        return "transformer_2" in self.modules or (self.led and not self._reads_images)

    def _blocks(self, work: Work) -> Any:
        import diffusers

        del work
        led, two = "Image2Video" if self.led else "", "22" if self._in_two else ""
        auto = "Auto" if led and not two else ""
        return getattr(diffusers, f"Wan{two}{led}{auto}Blocks")().sub_blocks["denoise"]

    def _scheduler(self, request: SampleRequest) -> Any:
        """Both methods along the same noise levels: those of the model's own settings, whichever it came with."""
        import diffusers as library

        diffusers: Any = library
        own = self.scheduler
        steps = own.get("num_train_timesteps", 1000)
        shift = own.get("flow_shift") or own.get("shift") or 1.0
        if request.sampler == "euler":
            if own.get("_class_name") == "FlowMatchEulerDiscreteScheduler":
                return diffusers.FlowMatchEulerDiscreteScheduler.from_config(own)
            return diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=steps, shift=shift)
        if own.get("_class_name") == "UniPCMultistepScheduler":
            return diffusers.UniPCMultistepScheduler.from_config(own)
        return diffusers.UniPCMultistepScheduler(
            num_train_timesteps=steps, prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
        )

    def _refuse(self, request: SampleRequest) -> None:
        super()._refuse(request)
        if self.led and request.positive.shown is None:
            raise self.lacks_frames()

    def refuse_frames(self, shown: Shown, latent: Latent) -> None:
        super().refuse_frames(shown, latent)
        last = self.shows_last(shown)
        if self.both_ends and not last:
            message = f"This {self.family.title} makes what lies between two images, and is shown the first alone."
            hint = "Connect the last frame at guide.frames."
            raise ProblemError(Problem(code="shown_missing", message=message, hint=hint, port="positive"))
        if last and not self.both_ends and (self._reads_images or self.tokenwise):
            raise ProblemError(self.cannot("a last frame", "Take it out at guide.frames.", "positive"))
        if self._reads_images:
            self.require_seen(shown, self.transformer.config.image_dim, "CLIP-ViT-H for Wan 2.1")
