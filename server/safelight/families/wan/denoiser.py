"""The transformer of Wan: guidance against a negative prompt, latents with an axis of time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safelight.families._modular.denoiser import ModularDenoiser, Work
from safelight.families._modular.guiders import guider
from safelight.sdk import Context, Latent, Problem, ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk.leased import Presets, SampleRequest
    from safelight.sdk.values import Prompt


class WanDenoiser(ModularDenoiser):
    samplers = ("unipc", "euler")
    schedulers = ("model",)

    def __init__(self, family: ModularFamily, held: Held, presets: Presets) -> None:
        super().__init__(family, held, presets)
        if self.scheduler.get("_class_name") == "FlowMatchEulerDiscreteScheduler":
            self.presets = replace(presets, sampler="euler")

    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        del ctx
        return request.guidance > 1

    def components(self, work: Work) -> dict[str, Any]:
        return {"guider": guider(work.request, compared=work.negative is not None)}

    def inputs(self, work: Work) -> dict[str, Any]:
        # The blocks ask for both; without guidance the second is not looked at.
        return {
            "prompt_embeds": work.text(work.positive, "embeddings"),
            "negative_prompt_embeds": work.text(work.negative or work.positive, "embeddings"),
        }

    @property
    def widths(self) -> Mapping[str, int]:
        return {"embeddings": self.transformer.config.text_dim}

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

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        frames = (work.noise.shape[2] - 1) * self.family.latent.frames + 1
        return {**super()._start(work, size), "num_frames": frames}

    def _refuse(self, request: SampleRequest) -> None:
        super()._refuse(request)
        if not request.fresh:
            hint = "Let denoise be 1: the video is made of noise alone."
            raise ProblemError(self.cannot("videos to start from", hint, "latent"))

    def _check(self, latent: Latent, prompts: Mapping[bool, Prompt]) -> None:
        if latent.samples.ndim != 5:
            message = f"The latent holds images, and models of the family {self.family.title} make videos."
            hint = "Make it with latent.empty_video."
            raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
        super()._check(latent, prompts)
