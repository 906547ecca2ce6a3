"""A denoiser that modular blocks run: what is asked of it, checked and handed to them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Self

from safelight.diffusion.denoiser import not_trained
from safelight.diffusion.flow_steps import processed, steered
from safelight.diffusion.guidance import make_parts
from safelight.diffusion.k_diffusion.methods import METHODS
from safelight.diffusion.k_diffusion.plan import NAME
from safelight.diffusion.k_diffusion.process import Process
from safelight.diffusion.latents import expanded
from safelight.diffusion.modular import Outside, denoise, predicted
from safelight.diffusion.noise import draw, draw_whole, generators
from safelight.diffusion.preview import Previewer
from safelight.sdk import Conditioning, Context, Latent, Problem, ProblemError, Prompt
from safelight.sdk.leased import SampleRequest

from .adapters import adapted
from .controls import leased_controls
from .packing import whole_tokens
from .skip_layers import skipping
from .step_cache import cached_steps
from .working_memory import working_bytes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Held, LatentSpace
    from safelight.sdk.leased import Prediction, Presets

    from .family import ModularFamily

SCHEDULERS: Mapping[str, Mapping[str, bool]] = {
    "model": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
}
"""The spacings of noise levels that a flow's scheduler offers, by what its configuration calls them."""
_BLOCKS = ("transformer_blocks", "single_transformer_blocks")
_SHOWN = {
    "image": ("an image to edit beside the latent", "Take out guide.edit."),
    "depth": ("depth beside the latent", "Take out guide.depth."),
    "frames": ("frames that a video is to have", "Take out guide.frames."),
}


@dataclass(frozen=True)
class Work:
    """One run, with all tensors where and how the transformer computes.

    `noise` and `original` (None for a fresh run) are (B, C, h, w), or (B, C, t, h, w) for videos; their sides are whole
    tokens, as those of the images to look at, `seen` (B or 1, C, h', w'). `calls` is how often the transformer is
    asked, where that is not once a step.
    """

    request: SampleRequest
    positive: Prompt
    negative: Prompt | None
    noise: Tensor
    original: Tensor | None
    outside: Outside | None
    device: torch.device
    dtype: torch.dtype
    seen: tuple[Tensor, ...] = ()
    calls: int = 0

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
    shows: tuple[str, ...] = ()
    """The kinds of what it can be shown beside its latent (see `sdk.Shown`)."""
    sees: int | None = 0
    """How many images (`guide.edit`) the transformer looks at beside its latent; None for any number."""
    draws: bool = True
    """Whether steps may draw noise, as some methods of k-diffusion do: they know the latents of one medium."""
    usual_shift: tuple[float, int] = (0.0, 0)
    """The shift of the levels, and how many there are, that ComfyUI gives to models of the family, for the formulas of
    k-diffusion; 0 where it has what the model's own settings say."""
    axes: int = 4
    """Of its latents: 5 for those of videos and of layers."""
    takes: tuple[str, str] = "latents of images", "latent.empty"
    """What it works on, and the node that makes an empty one."""
    adapters: int | None = 0
    """How many IP-Adapters at once; None for any number."""

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
    def latent(self) -> LatentSpace:
        return self.family.latent

    @property
    def width(self) -> int:
        """Channels of the transformer's own states."""
        return self.family.width(self.transformer.config)

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

    def looped(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) as the loop of the blocks has them."""
        return self.packed(latents)

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
        self._check_seen(request)
        latent = request.latent
        height, width = latent.samples.shape[-2:]
        original = whole_tokens(latent.samples, self.family.cells)
        size = original.shape[-2], original.shape[-1]
        sources = generators(request.seed, len(original))

        def placed(tensor: Tensor) -> Tensor:
            return tensor.to(self._held.device, self._held.dtype)

        scheduler = self._steps(request)
        noise, start = placed(self._noise(request, original, sources)), placed(original)
        if isinstance(scheduler, Process):
            # It puts the noise on an image by itself, and looks after the mask.
            noise, outside = self._begun(scheduler, request, start, noise), None
        else:
            outside = None if request.invert else self._outside(latent, start, noise)
        work = Work(
            request,
            prompts[True],
            prompts.get(False),
            noise,
            None if request.fresh or isinstance(scheduler, Process) else start,
            outside,
            self._held.device,
            self._held.dtype,
            tuple(placed(whole_tokens(planes, self.family.cells)) for planes in _seen(request)),
            len(scheduler.calls) if isinstance(scheduler, Process) else 0,
        )
        previewer = Previewer(self._held.settings.get("latent_rgb") or self.family.latent.rgb, original.shape[1])
        scratch = self.working_bytes(original.shape, work)
        components = self.components(work)
        looking = adapted(
            ctx, self.transformer, self.family.id, request, scheduler, components.get("guider"), self._layers
        )
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            controls = stack.enter_context(
                leased_controls(self.family.controlnet, self.family.id, self.family.cells, self, request, ctx)
            )
            scratch += len(controls) * self._residual_bytes(original.shape)
            stack.enter_context(ctx.models.lease(self._held.ref, scratch=scratch))
            caches = stack.enter_context(cached_steps(self.modules.values(), self._held.ref))
            # ControlNets first: they are to see the latent alone.
            stack.enter_context(controls.beside(self, request.guidance))
            stack.enter_context(self.beside(work))
            stack.enter_context(looking)
            stack.enter_context(skipping(self.transformer, components.get("guider")))

            def at(step: int, total: int) -> None:
                controls.at(step, total)
                for cache in caches:
                    cache.at(step)

            found = denoise(
                self._blocks(work),
                {
                    "transformer": self.transformer,
                    "scheduler": scheduler,
                    **components,
                },
                {**self._start(work, size), **self.inputs(work)},
                ctx,
                lambda latents: previewer(self.unpacked(latents, size)),
                work.outside,
                at,
                resumable=not caches,
            )
        samples = self.finished(found, size).to("cpu", torch.float32)[..., :height, :width].contiguous()
        return replace(latent, samples=samples, family=latent.family or self.family.id)

    @property
    def prediction(self) -> Prediction:
        return "flow"

    def over(self, modules: Mapping[str, Any]) -> Self:
        made = copy.copy(self)
        made.modules = modules
        return made

    def predict(self, noisy: Tensor, levels: Tensor, prompts: Sequence[Conditioning]) -> Tensor:
        import torch

        config = self.transformer.config
        if self.axes != 4 or config.get("in_channels") in self.family.takes or len(self.modules) > 1 + len(self._with):
            raise not_trained(self.family.title)
        # One at a time: prompts may differ in length, and images in size.
        rows = zip(noisy.split(1), levels.tolist(), prompts, strict=True)
        return torch.cat([self._flow(row, float(level), prompt) for row, level, prompt in rows])

    @property
    def _with(self) -> tuple[str, ...]:
        return self.family.beside.get("Denoiser", ())

    def _flow(self, noisy: Tensor, level: float, prompt: Conditioning) -> Tensor:
        """The flow of one latent (1, C, h, w) that holds this share of noise."""
        held = self._held
        height, width = noisy.shape[-2:]
        whole = whole_tokens(noisy, self.family.cells).to(held.device, held.dtype)
        size = whole.shape[-2], whole.shape[-1]
        request = SampleRequest(
            positive=prompt,
            negative=None,
            latent=Latent(whole, self.family.id),
            steps=1,
            guidance=1.0,
            sampler="euler",
            scheduler="model",
            seed=0,
            sigmas=(level, 0.0),
        )
        work = Work(request, prompt.prompts[0], None, whole, None, None, held.device, held.dtype)
        components = {"transformer": self.transformer, "scheduler": self._steps(request), **self.components(work)}
        found = predicted(self._blocks(work), components, {**self._start(work, size), **self.inputs(work)})
        return self.unpacked(found, size)[..., :height, :width].float()

    def _layers(self, names: Iterable[str]) -> Mapping[str, str]:
        """The block of each layer of the transformer."""
        return self.family.block_names("transformer", self.transformer, names)

    @property
    def blends(self) -> bool:
        """Whether the original is put back outside of a latent's mask after each step."""
        return True

    def beside(self, work: Work) -> AbstractContextManager[None]:
        """Within it, the transformer sees what it has to beside the latent."""
        del work
        return nullcontext()

    def placed(self, planes: Tensor, work: Work) -> Tensor:
        """Planes of what is shown as the blocks take them, for every image or video of the batch."""
        whole = whole_tokens(planes, self.family.cells).to(work.device, work.dtype)
        return expanded(whole, len(work.noise))

    def looked_at(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        """What the blocks take for the images to look at; `size` is that of the latent, (h, w)."""
        del work, size
        raise NotImplementedError

    def _check_seen(self, request: SampleRequest) -> None:
        """Raises ProblemError for images to look at that are too many, or do not fit the transformer or the batch."""
        seen, batch = _seen(request), len(request.latent.samples)
        if seen and self.sees and len(seen) > self.sees:
            hint = "Take out all but one guide.edit."
            raise ProblemError(self.cannot(f"{len(seen)} images to edit at once", hint, "positive", len(seen)))
        if seen and not request.fresh:
            hint = "Set denoise to 1: what is kept of the image is for the prompt to say."
            raise ProblemError(self.cannot("an image to edit and one to start from", hint, "positive"))
        channels = self.family.latent.channels
        for planes in seen:
            if planes.ndim != 4 or planes.shape[1] != channels:
                message = f"The image to edit has {planes.shape[1]} channels, and the model works on {channels}."
                hint = "Encode it with the VAE that belongs to the model."
                raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="positive"))
            if len(planes) != 1 and (self.sees is None or len(planes) != batch):
                most = "one at a time" if self.sees is None else f"one, or {batch} as the latent holds"
                message = f"The model is shown {len(planes)} images as a batch, and takes {most}."
                hint = "Select one of them (latent.select)."
                raise ProblemError(Problem(code="wrong_batch", message=message, hint=hint, port="positive"))

    def _outside(self, latent: Latent, original: Tensor, noise: Tensor) -> Outside | None:
        """What a latent's mask keeps; None without one."""
        if latent.mask is None or not self.blends:
            return None
        mask = whole_tokens(latent.mask, self.family.cells).to(noise.device, noise.dtype)
        parts = (self.looped(tensor) for tensor in (original, noise, mask.expand_as(noise)))
        return Outside(*parts, greys=latent.greys)

    def _steps(self, request: SampleRequest) -> Any:
        """The scheduler of a run."""
        if request.formulas == NAME:
            shift, count = self.usual_shift
            asked = replace(request, shift=request.shift or shift, flow_levels=request.flow_levels or count)
            return processed(self.scheduler, asked)
        return steered(self._scheduler(request), request)

    def _begun(self, process: Process, request: SampleRequest, original: Tensor, noise: Tensor) -> Tensor:
        mask = request.latent.mask if self.blends else None
        if mask is not None:
            mask = whole_tokens(mask, self.family.cells).to(noise)
        return process.begin(
            original,
            noise,
            request.seed,
            mask,
            request.latent.greys,
            placed=lambda tensor: self.looped(tensor.to(noise)),
        )

    def _noise(self, request: SampleRequest, original: Tensor, sources: Sequence[torch.Generator]) -> Tensor:
        """What the blocks begin with; inverted, the image itself."""
        if request.invert:
            return original
        if request.noise is not None:
            return whole_tokens(request.noise, self.family.cells)
        if request.formulas == NAME:
            return draw_whole(request.seed, original.shape)
        return draw(sources, original.shape[1:])

    def working_bytes(self, shape: Sequence[int], work: Work) -> int:
        """Bytes of activations of one step on latents of `shape`: a call of the transformer holds one prompt."""
        width = self.family.width(self.transformer.config)
        seen = sum(prod(planes.shape[2:]) for planes in work.seen)
        tokens = work.positive.embeddings.shape[1]
        return working_bytes(width, self.family.cells, shape, tokens, self._held.dtype.itemsize, seen)

    def _residual_bytes(self, shape: Sequence[int]) -> int:
        """Bytes of what a ControlNet adds to each block of the transformer."""
        tokens = prod(shape[2:]) // self.family.cells**2
        blocks = sum(len(getattr(self.transformer, name, ())) for name in _BLOCKS)
        return shape[0] * tokens * self.width * blocks * self._held.dtype.itemsize

    def _blocks(self, work: Work) -> Any:
        import diffusers

        del work
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
            "num_inference_steps": work.calls or work.request.steps,
        }
        if work.seen:
            given |= self.looked_at(work, size)
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
                found += self._against_adapters(side, port)
                found += [self.cannot(feature, hint, port) for feature, hint in self._of_controls(side)]
                shown = side.shown
                if shown is not None and shown.kind not in (*self.shows, *(() if self.sees == 0 else ("image",))):
                    found.append(self.cannot(*_SHOWN[shown.kind], port))
        if any(patch.ranged for patch in self._held.ref.patches):
            hint = "Let it be on from 0 to 1."
            found.append(self.cannot("LoRAs for a part of the steps", hint, "model"))
        if self._held.ref.schedule:
            found.append(self.cannot("another kind of prediction", "Take out models.set_prediction.", "model"))
        if (self._held.ref.step_cache or self._held.ref.step_forecast) and not self.family.caches_steps:
            found.append(self.cannot("a cache of steps", "Take out models.set_cache.", "model"))
        latent = request.latent
        if latent.mask is not None and latent.samples.ndim != 4:
            hint = "Leave the mask out; the whole video is made."
            found.append(self.cannot("masks of videos", hint, "latent"))
        if not request.fresh and not self.from_images and request.formulas != NAME:
            hint = "Set denoise to 1, and describe the whole image."
            found.append(self.cannot("an image to start from", hint, "latent"))
        stops = request.leave_noise or (request.end is not None and request.end < request.steps)
        if latent.noise or stops:
            hint = "Let one sampler make all steps to the end."
            found.append(self.cannot("noisy latents (sampling in parts)", hint, "latent"))
        begins = abs(request.sigmas[0] - 1) < 1e-3 or request.formulas == NAME if request.sigmas else True
        if request.sigmas and (not begins or request.sigmas[-1] > 0):
            hint = "Let them go from 1 to 0."
            found.append(self.cannot("sigmas of a part of the way", hint, "sigmas"))
        if request.formulas == NAME and METHODS[request.sampler].noise != "none" and not self.draws:
            hint = "Choose one without, such as euler or dpmpp_2m."
            found.append(self.cannot("samplers that draw noise in each step", hint, "sampler", request.sampler))
        if found:
            raise ProblemError(found)

    def _against_adapters(self, side: Conditioning, port: str) -> Iterator[Problem]:
        if side.adapters and self.adapters == 0:
            yield self.cannot("IP-Adapters", "Take out the node that applies it.", port)
        elif self.adapters is not None and len(side.adapters) > self.adapters:
            yield self.cannot(f"{len(side.adapters)} IP-Adapters at once", "Take out all but one.", port)
        elif any(adapter.mask is not None for adapter in side.adapters):
            yield self.cannot("IP-Adapters with a mask", "Disconnect the mask; it counts everywhere.", port)

    def _of_controls(self, side: Conditioning) -> list[tuple[str, str]]:
        """What a conditioning asks of its ControlNets that they cannot do, and what to do instead."""
        if side.controls and self.family.controlnet is None:
            return [("ControlNets", "Take out the node that applies it.")]
        found: dict[str, str] = {}
        for control in side.controls:
            if control.guess:
                found["the guess mode of ControlNets"] = "Switch guess off."
            if control.mask is not None:
                found["masks of ControlNets"] = "Disconnect the mask."
            if control.blocks:
                found["block weights of ControlNets"] = "Empty the list of blocks."
        if side.controls and side.shown is not None:
            found["ControlNets and an image to edit at once"] = "Take out one of the two."
        return list(found.items())

    def tell_undirected(self, request: SampleRequest, ctx: Context) -> None:
        """Tells of guidance and a negative prompt where the model was distilled to do without either."""
        if request.negative is not None:
            self.tell(ctx, "the negative prompt", "Disconnect it; say in the prompt what the image shows.", "negative")
        if request.guidance > 1:
            self.tell(ctx, "guidance: this model was distilled to do without", "Set it to 1.", "guidance")

    def tell_embedded(self, request: SampleRequest, ctx: Context) -> None:
        """Tells of a negative prompt where the strength of guidance is an input, and refuses to rescale."""
        if request.rescale:
            hint = "Set guidance_rescale to 0."
            raise ProblemError(self.cannot("rescaling of guidance", hint, "guidance_rescale", request.rescale))
        if request.negative is not None:
            self.tell(ctx, "the negative prompt", "Disconnect it; say in the prompt what the image shows.", "negative")

    def tell(self, ctx: Context, what: str, hint: str, port: str) -> None:
        message = f"{self.family.title} does not look at {what}."
        ctx.warn(Problem(code="setting_unused", message=message, hint=hint, port=port).warning())

    def cannot(self, feature: str, hint: str, port: str, value: Any = None) -> Problem:
        message = f"Models of the family {self.family.title} do not take {feature}."
        return Problem(code="feature_not_in_family", message=message, hint=hint, port=port, value=value)

    @property
    def reach(self) -> int | None:
        """Along how many cells of a side the transformer has positions; None where they have no end."""
        return None

    def _check(self, latent: Latent, prompts: Mapping[bool, Prompt]) -> None:
        """Raises ProblemError when the latent or the encoded text does not fit the transformer."""
        if latent.samples.ndim != self.axes:
            message = f"This {self.family.title} takes {self.takes[0]}, and is given another kind."
            hint = f"Make the latent with {self.takes[1]}."
            raise ProblemError(Problem(code="wrong_latent", message=message, hint=hint, port="latent"))
        found: list[Problem] = []
        channels = latent.samples.shape[1]
        if channels != self.family.latent.channels:
            message = f"The latent has {channels} channels, and the model works on {self.family.latent.channels}."
            hint = "Make or encode the latent with the VAE that belongs to the model."
            found.append(Problem(code="wrong_latent", message=message, hint=hint, port="latent", value=latent.family))
        if self.reach is not None and max(latent.samples.shape[-2:]) > self.reach:
            side = self.reach * latent.downsampling
            message = f"The model has positions for {side} x {side} pixels, and the image is larger."
            hint = "Make a smaller one, and enlarge it afterwards."
            found.append(Problem(code="latent_too_large", message=message, hint=hint, port="latent"))
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


def _features(side: Conditioning) -> list[tuple[str, str]]:
    """What a conditioning asks for beside one prompt for the whole image, and what to do instead."""
    found = []
    if len(side.prompts) > 1:
        found.append(("several prompts at once", "Write them as one prompt."))
    if any(prompt.area is not None or prompt.mask is not None for prompt in side.prompts):
        found.append(("prompts for a part of the image", "Take out text.set_area or text.set_mask."))
    if any((prompt.start, prompt.end) != (0.0, 1.0) or prompt.spans for prompt in side.prompts):
        found.append(("prompts for a part of the steps", "Take out text.set_range."))
    return found


def _seen(request: SampleRequest) -> tuple[Tensor, ...]:
    """The latents of the images to look at, in their order."""
    shown = request.positive.shown
    return () if shown is None or shown.kind != "image" else shown.images
