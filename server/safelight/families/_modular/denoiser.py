"""A denoiser that modular blocks run: what is asked of it, checked and handed to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from safelight.diffusion.guidance import make_parts
from safelight.diffusion.modular import denoise
from safelight.diffusion.noise import draw, generators
from safelight.diffusion.preview import Previewer
from safelight.sdk import Conditioning, Context, Latent, Problem, ProblemError, Prompt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Held
    from safelight.sdk.leased import Presets, SampleRequest

    from .family import ModularFamily

SCHEDULERS: Mapping[str, Mapping[str, bool]] = {
    "model": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
}
"""The spacings of noise levels that a flow's scheduler offers, by what its configuration calls them."""
NUMBERS_ALIVE = 20
"""Numbers that live at once at the peak of a call, for each token and each channel of the transformer.

Counted tensor by tensor over calls of the transformers of Stable Diffusion 3 (12) and of Flux.1 (19).
"""
LATENTS_ALIVE = 8
"""Latents that a step holds beside that: noise, original, the samples before and after, predictions, what is kept."""


@dataclass(frozen=True)
class Work:
    """One run, with all tensors where and how the transformer computes.

    `noise` and `original` (None for a fresh run) are (B, C, h, w), or (B, C, t, h, w) for videos; their sides are whole
    tokens.
    """

    request: SampleRequest
    positive: Prompt
    negative: Prompt | None
    noise: Tensor
    original: Tensor | None
    device: torch.device
    dtype: torch.dtype

    def text(self, prompt: Prompt, name: str) -> Tensor:
        """A tensor of a prompt, for every image of the batch."""
        found = prompt.tensors[name].to(self.device, self.dtype)
        return found.expand(len(self.noise), *found.shape[1:])


class ModularDenoiser(ABC):
    """Fits `sdk.leased.DenoiserModel`. A subclass says what its blocks take, and in which form they have latents."""

    samplers: tuple[str, ...] = ("euler",)
    schedulers: tuple[str, ...] = tuple(SCHEDULERS)
    from_images: bool = True
    """Whether the blocks can start from an image's latent with part of its noise."""

    def __init__(self, family: ModularFamily, held: Held, presets: Presets) -> None:
        self.family = family
        self.presets = presets
        self.modules = held.modules
        self.scheduler: Mapping[str, Any] = held.settings["scheduler"]
        self._held = held

    @property
    def transformer(self) -> Any:
        return self.modules["transformer"]

    @property
    def width(self) -> int:
        """Channels of the transformer's own states."""
        return self.transformer.config.num_attention_heads * self.transformer.config.attention_head_dim

    @property
    def widths(self) -> Mapping[str, int]:
        """Channels of a prompt's tensors, by their names, that the transformer takes."""
        return {"embeddings": self.transformer.config.joint_attention_dim}

    @abstractmethod
    def guided(self, request: SampleRequest, ctx: Context) -> bool:
        """Whether the run compares with a negative prompt. Tells of settings that this model does not look at."""

    @abstractmethod
    def components(self, work: Work) -> dict[str, Any]:
        """What the blocks expect beside transformer and scheduler."""

    @abstractmethod
    def inputs(self, work: Work) -> dict[str, Any]:
        """What the blocks take beside latents, size and steps."""

    def packed(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) as the blocks take them."""
        return latents

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Latents as the loop of the blocks has them, as (B, C, h, w); `size` is (h, w)."""
        del size
        return latents

    def image(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) of an image to start from, as the blocks take them."""
        return latents

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        """Latents as the blocks hand them on in the end, as (B, C, h, w); `size` is (h, w)."""
        del size
        return latents

    def sample(self, request: SampleRequest, ctx: Context) -> Latent:
        import torch

        self._refuse(request)
        guided = self.guided(request, ctx)
        parts = make_parts(request, self.family.id, self._held.device, guided=guided, zero=False)
        prompts = {part.positive: part.prompt for part in parts}
        self._check(request.latent, prompts)
        latent = request.latent
        height, width = latent.samples.shape[-2:]
        original = whole_tokens(latent.samples, self.family.cells)
        size = original.shape[-2], original.shape[-1]
        sources = generators(request.seed, len(original))

        def placed(tensor: Tensor) -> Tensor:
            return tensor.to(self._held.device, self._held.dtype)

        work = Work(
            request,
            prompts[True],
            prompts.get(False),
            placed(draw(sources, original.shape[1:])),
            None if request.fresh else placed(original),
            self._held.device,
            self._held.dtype,
        )
        previewer = Previewer(self._held.settings.get("latent_rgb") or self.family.latent.rgb, original.shape[1])
        scratch = self.working_bytes(original.shape, work)
        with ctx.models.lease(self._held.ref, scratch=scratch), torch.no_grad():
            found = denoise(
                self._blocks(),
                {"transformer": self.transformer, "scheduler": self._scheduler(request), **self.components(work)},
                {**self._start(work, size), **self.inputs(work)},
                ctx,
                lambda latents: previewer(self.unpacked(latents, size)),
            )
        samples = self.finished(found, size).to("cpu", torch.float32)[..., :height, :width].contiguous()
        return replace(latent, samples=samples, family=latent.family or self.family.id)

    def working_bytes(self, shape: Sequence[int], work: Work) -> int:
        """Bytes of activations of one step on latents of `shape`: a call of the transformer holds one prompt."""
        tokens = prod(shape[2:]) // self.family.cells**2 + work.positive.embeddings.shape[1]
        channels = self.width
        latents = prod(shape) * LATENTS_ALIVE * 4
        return shape[0] * tokens * channels * NUMBERS_ALIVE * self._held.dtype.itemsize + latents

    def _blocks(self) -> Any:
        import diffusers

        return getattr(diffusers, self.family.blocks)().sub_blocks["denoise"]

    def _scheduler(self, request: SampleRequest) -> Any:
        from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

        return FlowMatchEulerDiscreteScheduler.from_config({**self.scheduler, **SCHEDULERS[request.scheduler]})

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        # The blocks have no VAE to ask, so they count 8 pixels a cell whatever it has.
        given = {
            "latents": self.packed(work.noise),
            "height": size[0] * 8,
            "width": size[1] * 8,
            "num_inference_steps": work.request.steps,
        }
        if work.original is None:
            return given
        # The blocks leave out int(steps - steps * strength) steps; half a step keeps that off the edge of rounding.
        strength = (work.request.steps - work.request.first - 0.5) / work.request.steps
        return {**given, "image_latents": self.image(work.original), "strength": strength}

    def _refuse(self, request: SampleRequest) -> None:
        """Raises ProblemError for everything that is asked for and that the blocks cannot do."""
        found: list[Problem] = []
        for port, side in (("positive", request.positive), ("negative", request.negative)):
            if side is not None:
                found += [self.cannot(feature, hint, port) for feature, hint in _features(side)]
        if self._held.ref.schedule:
            found.append(self.cannot("another kind of prediction", "Take out models.set_prediction.", "model"))
        latent = request.latent
        if latent.mask is not None:
            hint = "Leave the mask out; the whole image is painted."
            found.append(self.cannot("masks of latents (inpainting)", hint, "latent"))
        if not request.fresh and not self.from_images:
            hint = "Set denoise to 1, and describe the whole image."
            found.append(self.cannot("an image to start from", hint, "latent"))
        stops = request.leave_noise or (request.end is not None and request.end < request.steps)
        if latent.noise or stops:
            hint = "Let one sampler make all steps to the end."
            found.append(self.cannot("noisy latents (sampling in parts)", hint, "latent"))
        if found:
            raise ProblemError(found)

    def tell_undirected(self, request: SampleRequest, ctx: Context) -> None:
        """Tells of guidance and a negative prompt where the model was distilled to do without either."""
        if request.negative is not None:
            self.tell(ctx, "the negative prompt", "Disconnect it; say in the prompt what the image shows.", "negative")
        if request.guidance > 1:
            self.tell(ctx, "guidance: this model was distilled to do without", "Set it to 1.", "guidance")

    def tell(self, ctx: Context, what: str, hint: str, port: str) -> None:
        message = f"{self.family.title} does not look at {what}."
        ctx.warn(Problem(code="setting_unused", message=message, hint=hint, port=port).warning())

    def cannot(self, feature: str, hint: str, port: str, value: Any = None) -> Problem:
        message = f"Models of the family {self.family.title} do not take {feature}."
        return Problem(code="feature_not_in_family", message=message, hint=hint, port=port, value=value)

    def _check(self, latent: Latent, prompts: Mapping[bool, Prompt]) -> None:
        """Raises ProblemError when the latent or the encoded text does not fit the transformer."""
        found: list[Problem] = []
        channels = latent.samples.shape[1]
        if channels != self.family.latent.channels:
            message = f"The latent has {channels} channels, and the model works on {self.family.latent.channels}."
            hint = "Make or encode the latent with the VAE that belongs to the model."
            found.append(Problem(code="wrong_latent", message=message, hint=hint, port="latent", value=latent.family))
        for positive, prompt in prompts.items():
            for name, width in self.widths.items():
                tensor = prompt.tensors.get(name)
                if tensor is None or tensor.shape[-1] != width:
                    has = f"{tensor.shape[-1]} channels" if tensor is not None else "nothing"
                    message = f"The encoded text has {has} in its {name}, and the model takes {width}."
                    hint = "Encode it with the text encoder that belongs to the model."
                    port = "positive" if positive else "negative"
                    found.append(Problem(code="wrong_family", message=message, hint=hint, port=port))
        if found:
            raise ProblemError(found)


def whole_tokens(samples: Tensor, cells: int) -> Tensor:
    """Latents (B, C, h, w) or (B, C, t, h, w) whose sides are whole tokens: the right and lower edge is repeated where
    it must be."""
    from torch.nn.functional import pad

    down, right = (-side % cells for side in samples.shape[-2:])
    if not down and not right:
        return samples
    return pad(samples, (0, right, 0, down, *(0, 0) * (samples.ndim - 4)), mode="replicate")


def _features(side: Conditioning) -> list[tuple[str, str]]:
    """What a conditioning asks for beside one prompt for the whole image, and what to do instead."""
    found = []
    if len(side.prompts) > 1:
        found.append(("several prompts at once", "Write them as one prompt."))
    if any(prompt.area is not None or prompt.mask is not None for prompt in side.prompts):
        found.append(("prompts for a part of the image", "Take out text.set_area or text.set_mask."))
    if any((prompt.start, prompt.end) != (0.0, 1.0) for prompt in side.prompts):
        found.append(("prompts for a part of the steps", "Take out text.set_range."))
    if side.controls:
        found.append(("ControlNets", "Take out the node that applies it."))
    if side.adapters:
        found.append(("IP-Adapters", "Take out the node that applies it."))
    if side.shown is not None:
        found.append(("images to edit or depth beside the latent", "Take out guide.edit or guide.depth."))
    return found
