"""A denoiser that our own loop runs: what a family gives of it, and the run that follows from that."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from safelight.sdk import Conditioning, Context, Latent, ModelRef, Problem, ProblemError
from safelight.sdk.leased import FamilyFacts, Prediction, Presets, SampleRequest

from .guidance import Call, Guide, Part, Perturbed, Switch, active_parts, check_coverage, make_parts
from .inversion import invert
from .k_diffusion import plan as k_diffusion
from .loop import Run
from .preview import Previewer
from .schedule import Schedule, plan_steps

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True, eq=False)
class LoopDenoiser(ABC):
    """Fits `sdk.leased.DenoiserModel` for families whose denoiser predicts from latent, timestep and conditioning.

    `scheduler` are the settings of its noise schedule, `rows` the linear map from latent to colour for previews.
    `switch` is told of each part (from, to) of the schedule before it is made: some LoRAs are on for a part of them.
    `zero_negative` is True where training used zeros for "no text", so that an unconnected negative means zeros.
    `guiders` are the ways of guidance that it takes beside the usual one (see `sdk.Guider`).
    A subclass says how the denoiser is called (`running`), and what it can take.
    """

    ref: ModelRef[Any]
    family: FamilyFacts
    modules: Mapping[str, Any]
    scheduler: Mapping[str, Any]
    presets: Presets
    device: torch.device
    dtype: torch.dtype
    rows: Rows = ()
    samplers: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()
    zero_negative: bool = False
    switch: Switch | None = None
    guiders: tuple[str, ...] = ()

    def guided(self, guidance: float) -> bool:
        """Whether a call with this strength compares with a negative prompt."""
        return guidance > 1

    @abstractmethod
    def check(self, request: SampleRequest, parts: Sequence[Part]) -> None:
        """Raises ProblemError when the latent or the encoded text does not fit the denoiser."""

    @abstractmethod
    def running(
        self, request: SampleRequest, negative: Conditioning | None, ctx: Context
    ) -> AbstractContextManager[Call]:
        """The denoiser's call for one run, with all that it leases and installs for it.

        `negative` is the conditioning of the unguided half; None without guidance.
        """

    @abstractmethod
    def working_bytes(self, shape: Sequence[int], prompts: int, controlled: bool) -> int:
        """Bytes of activations of one step on a latent of `shape`, for `prompts` that share a call.

        `controlled` says that ControlNets add to what the denoiser computes.
        """

    def shown(self, request: SampleRequest) -> Tensor | None:
        """What the denoiser sees beside the latent, (B or 1, channels, H, W); None for one that sees nothing else.

        Raises:
            ProblemError: it needs something that it is not given, or is given what it cannot see.
        """
        if request.positive.shown is not None:
            raise cannot_see(self.family.title, request.positive.shown.kind)
        return None

    def weakened(self, layers: tuple[str, ...]) -> Callable[[], AbstractContextManager[None]]:
        """Makes contexts within which the denoiser predicts without the self-attention of these blocks. One whose
        `guiders` have `pag` can do so.

        Raises:
            ProblemError: `bad_blocks`, for blocks that it does not have.
        """
        raise NotImplementedError

    def keeps_outside(self) -> bool:
        """Whether the original is put back outside of a latent's mask after each step."""
        return True

    @property
    def prediction(self) -> Prediction:
        return self.scheduler.get("prediction_type", "epsilon")

    def over(self, modules: Mapping[str, Any]) -> Self:
        made = copy.copy(self)
        object.__setattr__(made, "modules", modules)  # it is frozen, and what makes one differs by family
        return made

    def predict(self, noisy: Tensor, levels: Tensor, prompts: Sequence[Conditioning]) -> Tensor:
        """See `sdk.DenoiserModel`. A family of a pack may leave it out: it draws, and cannot be trained on."""
        del noisy, levels, prompts
        message = f"Models of the family {self.family.id} cannot be trained on."
        hint = "Choose a model of another family."
        raise ProblemError(
            Problem(code="model_not_supported", message=message, hint=hint, port="model", value=self.family.id)
        )

    def sample(self, request: SampleRequest, ctx: Context) -> Latent:
        import torch

        latent = request.latent
        with ExitStack() as stack, torch.no_grad():
            parts = make_parts(
                request,
                self.family.id,
                self.device,
                guided=self.guided(request.guidance),
                zero=self.zero_negative,
                shown=self.shown(request),
            )
            self.check(request, parts)
            schedule = _planned(self.scheduler, request)
            if request.part and latent.noise:
                _check_level(latent.noise, schedule.levels[0], request.first)
            windows = [schedule.window(call) for call in range(schedule.calls)]
            check_coverage(parts, windows)
            negative = request.negative if any(not part.positive for part in parts) else None
            call = stack.enter_context(self.running(request, negative, ctx))
            # Once all that computes together is in place, what idles makes room for its common working memory.
            prompts = max(len(active_parts(parts, window)) for window in windows)
            controlled = bool(request.positive.controls or (negative and negative.controls))
            working = self.working_bytes(latent.samples.shape, prompts, controlled)
            stack.enter_context(ctx.models.lease(self.ref, scratch=working))
            guide = Guide(
                call,
                self.family.id,
                parts,
                request.guidance,
                request.rescale,
                self.device,
                self.dtype,
                shown_guidance=request.positive.shown.guidance if request.positive.shown else 1.0,
                switch=self.switch,
                perturbed=self._perturbed(request),
            )
            previewer = Previewer(self.rows, latent.samples.shape[1])
            if request.invert:
                return invert(schedule, guide, latent, request.invert, previewer, ctx)
            run = Run(
                schedule=schedule,
                guide=guide,
                latent=latent,
                seed=request.seed,
                fresh=request.fresh,
                blend=self.keeps_outside(),
                leave_noise=request.leave_noise,
                previewer=previewer,
                ctx=ctx,
                noise=request.noise,
            )
            return run()

    def _perturbed(self, request: SampleRequest) -> Perturbed | None:
        asked = request.guider
        if asked is None or asked.kind != "pag" or not asked.layers:
            return None
        return Perturbed(asked.scale, asked.start, asked.end, self.weakened(asked.layers))


_SHOWN = {"image": "an image to edit", "depth": "depth", "frames": "frames of a video"}


def cannot_see(what: str, kind: str) -> ProblemError:
    """For a denoiser that is shown something, and has no channels for it."""
    return ProblemError(
        Problem(
            code="feature_not_in_family",
            message=f"This model of {what} has no input for {_SHOWN[kind]}.",
            hint="Choose a model that was made for it, or take the node off the conditioning; a ControlNet may do it.",
            port="positive",
            value=kind,
        )
    )


def not_trained(what: str) -> ProblemError:
    """For a denoiser that looks at more than a latent of images and its prompt, where it is to be trained."""
    message = f"This model of {what} looks at more than a latent of images and a prompt, which training cannot give it."
    hint = "Choose the model that it was made from: one that makes images from prompts."
    return ProblemError(Problem(code="model_not_supported", message=message, hint=hint, port="model"))


def _planned(settings: Mapping[str, Any], request: SampleRequest) -> Schedule:
    if request.formulas == k_diffusion.NAME:
        return k_diffusion.plan(settings, request)
    return plan_steps(
        settings,
        request.sampler,
        request.scheduler,
        request.steps,
        request.first,
        request.end,
        count_before=request.part,
        sigmas=request.sigmas,
    )


def _check_level(noise: float, expected: float, first: int) -> None:
    if abs(noise - expected) > 0.02 * max(noise, expected):
        raise ProblemError(
            Problem(
                code="wrong_noise_level",
                message=f"The latent holds noise of {noise:.3g}, and step {first} begins at {expected:.3g}.",
                hint="Let start_step be the step that the part before stopped after, with the same steps and "
                "scheduler.",
                port="start_step",
                value=first,
            )
        )
