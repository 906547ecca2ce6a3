"""The UNet of a lease: its call with text, ControlNets and IP-Adapters, run by our own loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from safelight.diffusion.adapters import Adapters, installed_adapters
from safelight.diffusion.control import Controls, leased_controls
from safelight.diffusion.denoiser import LoopDenoiser, not_trained
from safelight.diffusion.guidance import SHOWN, Part
from safelight.diffusion.latents import canvas_size, expanded
from safelight.diffusion.motion import moving, require_fit
from safelight.sdk import Conditioning, Context, Problem, ProblemError, Prompt

from . import control_loras
from .conditions import added_conditions, guidance_embedding
from .loading import UNKNOWN
from .perturbed import attending_to_itself, self_attention
from .presets import presets_of
from .shown import planes_of
from .working_memory import working_bytes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.families.base import Held
    from safelight.sdk.leased import SampleRequest

    from .generation import Generation


@dataclass(frozen=True)
class _Inputs:
    """What the UNet is given beside the latent, for one choice of active prompts."""

    text: Tensor
    added: dict[str, Tensor] | None
    context: Any
    guidance: Tensor | None
    shown: Tensor | None = None


@dataclass(frozen=True)
class Wider:
    """What a LoRA adds to a UNet's first convolution: it takes so many more `channels`. `kernels` are those for them
    at this part of the schedule, (outputs, channels, k, k), or None where the LoRA is off."""

    channels: int
    kernels: Callable[[], Tensor | None]


class UNetDenoiser(LoopDenoiser):
    """A UNet in memory."""

    family: Generation
    wider: Wider | None

    def __init__(self, family: Generation, held: Held) -> None:
        scheduler = _schedule(held)
        super().__init__(
            ref=held.ref,
            family=family,
            modules=held.modules,
            scheduler=scheduler,
            presets=presets_of(family, held, scheduler),
            device=held.device,
            dtype=held.dtype,
            rows=held.settings.get("latent_rgb") or family.latent.rgb,
            zero_negative=family.zero_negative,
            switch=held.settings.get("switch"),
            guiders=("cfg", "pag"),
        )
        widens = held.settings.get("widens", 0)
        # It is frozen, as all are.
        object.__setattr__(self, "wider", Wider(widens, held.settings["wider"]) if widens else None)

    @property
    def taken(self) -> int:
        """How many channels it takes: more than its latent has, if it sees more than that."""
        return self.unet.config.in_channels + (self.wider.channels if self.wider else 0)

    @property
    def unet(self) -> Any:
        return self.modules["unet"]

    def guided(self, guidance: float) -> bool:
        # One that was distilled with guidance takes its strength as an input.
        return guidance > 1 and self.unet.config.time_cond_proj_dim is None

    def keeps_outside(self) -> bool:
        # An inpainting model sees the outside, and keeps it by itself: one of a LoRA only while that is on.
        seeing = self.taken == 2 * self.unet.config.out_channels + 1
        return not seeing or (self.wider is not None and self.switch is not None)

    def check(self, request: SampleRequest, parts: Sequence[Part]) -> None:
        del request
        channels = self.unet.config.cross_attention_dim
        problems: list[Problem] = []
        if self.scheduler.get("prediction_type") == UNKNOWN:
            problems.append(self._unknown())
        for part in parts:
            width = part.prompt.embeddings.shape[-1]
            if isinstance(channels, int) and width != channels:
                message = f"The encoded text has {width} channels, and the model takes {channels}."
                hint = "Encode it with the text encoder that belongs to the model."
                port = "positive" if part.positive else "negative"
                problems.append(Problem(code="wrong_family", message=message, hint=hint, port=port))
        if problems:
            raise ProblemError(problems)

    def _unknown(self) -> Problem:
        message = (
            f"The file of this model does not say whether it predicts noise or velocity, and {self.family.title} "
            "exists as both."
        )
        hint = (
            "Put models.set_prediction behind the model. Models of 768 x 768 pixels mostly predict velocity, those of "
            "512 x 512 noise."
        )
        return Problem(code="prediction_unknown", message=message, hint=hint, port="model")

    @contextmanager
    def running(self, request: SampleRequest, negative: Conditioning | None, ctx: Context) -> Iterator[UNetCall]:
        latent, positive = request.latent, request.positive
        batch = latent.samples.shape[0]
        with ExitStack() as stack:
            controls = stack.enter_context(
                leased_controls(
                    ctx, self.family.id, positive, negative, latent, partial(control_loras.joined, self.unet)
                )
            )
            adapters = stack.enter_context(
                installed_adapters(ctx, self.unet, self.family.id, positive, negative, latent, self._blocks)
            )
            if self.ref.motion is not None:
                # It computes on what the UNet gives, so in its type.
                precision: Any = str(self.dtype).removeprefix("torch.")
                motion = stack.enter_context(ctx.models.lease(replace(self.ref.motion, precision=precision))).component
                require_fit(self.unet, motion, batch, self.ref.motion.source.name)
                stack.enter_context(moving(self.unet, motion, batch, self.ref.motion_strength))
            yield UNetCall(
                unet=self.unet,
                family=self.family,
                guidance=request.guidance,
                batch=batch,
                size=canvas_size(latent),
                device=self.device,
                dtype=self.dtype,
                controls=controls,
                adapters=adapters,
                wider=self.wider,
            )

    def predict(self, noisy: Tensor, levels: Tensor, prompts: Sequence[Conditioning]) -> Tensor:
        import torch

        if self.scheduler.get("prediction_type") == UNKNOWN:
            raise ProblemError(self._unknown())
        if self.unet.config.in_channels != noisy.shape[1] or self.ref.motion is not None:
            raise not_trained(self.family.title)
        cell = self.family.latent.downsampling
        call = UNetCall(
            unet=self.unet,
            family=self.family,
            guidance=1.0,
            batch=1,
            size=(noisy.shape[-2] * cell, noisy.shape[-1] * cell),
            device=self.device,
            dtype=self.dtype,
            controls=Controls(),
            adapters=Adapters(),
        )
        sides = [True] * len(prompts)
        given = call.inputs([one.prompts[0] for one in prompts], sides)
        placed = noisy.to(self.device, self.dtype).contiguous(memory_format=torch.channels_last)
        return call(placed, levels.to(self.device), given, sides, (0.0, 1.0)).float()

    def weakened(self, layers: tuple[str, ...]) -> Callable[[], AbstractContextManager[None]]:
        return partial(attending_to_itself, self_attention(self.unet, layers, self._blocks))

    def _blocks(self, names: Iterable[str]) -> dict[str, str]:
        return self.family.block_names("unet", self.unet, names)

    def working_bytes(self, shape: Sequence[int], prompts: int, controlled: bool) -> int:
        return working_bytes(self.unet.config, shape, self.dtype.itemsize, prompts, controlled)

    def shown(self, request: SampleRequest) -> Tensor | None:
        return planes_of(self.unet.config.out_channels, self.taken, self.family, request)


@dataclass
class UNetCall:
    """Calls a UNet. Fits `diffusion.guidance.Call`.

    `size` is that of the canvas, (height, width) in pixels.
    """

    unet: Any
    family: Generation
    guidance: float
    batch: int
    size: tuple[int, int]
    device: torch.device
    dtype: torch.dtype
    controls: Controls
    adapters: Adapters
    wider: Wider | None = None

    def inputs(self, prompts: Sequence[Prompt], sides: Sequence[bool]) -> _Inputs:
        import torch

        tokens = math.lcm(*(prompt.embeddings.shape[1] for prompt in prompts))
        text = torch.cat([_repeated(expanded(prompt.embeddings, self.batch), tokens) for prompt in prompts])
        text = text.to(self.device, self.dtype)
        width = self.unet.config.time_cond_proj_dim
        return _Inputs(
            text=text,
            added=self._added(prompts, sides),
            context=self.adapters.context(text, sides, self.batch),
            guidance=guidance_embedding(self.guidance, len(text), width, self.device, self.dtype) if width else None,
            shown=self._shown(prompts),
        )

    def _added(self, prompts: Sequence[Prompt], sides: Sequence[bool]) -> dict[str, Tensor] | None:
        if not self.family.sized:
            return None
        return added_conditions(prompts, sides, self.batch, self.size, self.family.scored, self.device, self.dtype)

    def _shown(self, prompts: Sequence[Prompt]) -> Tensor | None:
        import torch

        planes = [expanded(prompt.tensors[SHOWN], self.batch) for prompt in prompts if SHOWN in prompt.tensors]
        return torch.cat(planes).to(self.device, self.dtype) if planes else None

    def __call__(
        self, batched: Tensor, timestep: Tensor, inputs: _Inputs, sides: Sequence[bool], window: tuple[float, float]
    ) -> Tensor:
        import torch

        residuals = self.controls.residuals(batched, timestep, inputs.text, inputs.added, sides, window)
        self.adapters.set_window(window)
        with ExitStack() as stack:
            if inputs.shown is not None and self.wider is not None:
                stack.enter_context(_seeing(self.unet, inputs.shown, self.wider.kernels()))
            elif inputs.shown is not None:
                batched = torch.cat([batched, inputs.shown], dim=1)
            return self.unet(
                batched,
                timestep,
                encoder_hidden_states=inputs.context,
                timestep_cond=inputs.guidance,
                added_cond_kwargs=inputs.added,
                cross_attention_kwargs=self.adapters.arguments(),
                down_block_additional_residuals=residuals.down,
                mid_block_additional_residual=residuals.middle,
                down_intrablock_additional_residuals=residuals.inner,
                return_dict=False,
            )[0]


@contextmanager
def _seeing(unet: Any, shown: Tensor, kernels: Tensor | None) -> Iterator[None]:
    """Lets a UNet see more channels (B, more, H, W) inside the block, by kernels for them beside its own."""
    layer = getattr(unet.conv_in, "base_layer", unet.conv_in)

    def add(module: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        del module, inputs
        assert kernels is not None
        return output + layer._conv_forward(shown, kernels.to(shown), None)  # its edges may meet

    handle = unet.conv_in.register_forward_hook(add) if kernels is not None else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _schedule(held: Held) -> dict[str, Any]:
    """The settings of the noise schedule: what the user says of a model goes before what its files say."""
    told, said = held.settings["scheduler"], dict(held.ref.schedule)
    unset = [name for name in told.get("_use_default_values", ()) if name not in said]
    return {**told, **said, **({"_use_default_values": unset} if unset or "_use_default_values" in told else {})}


def _repeated(text: Tensor, tokens: int) -> Tensor:
    """Attention over a whole text twice is attention over it once, so prompts of unequal length can share a call."""
    times = tokens // text.shape[1]
    return text.repeat(1, times, 1) if times > 1 else text
