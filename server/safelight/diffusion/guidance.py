"""One prediction of the denoiser from all prompts: one batched call, regions, and classifier-free guidance.

Sources: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598 (guidance); Lin et al. 2023,
https://arxiv.org/abs/2305.08891, section 3.4 (rescaling it); Brooks et al. 2023, https://arxiv.org/abs/2211.09800,
equation 3 (a second guidance, by an image).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from safelight.sdk import Conditioning, Latent, Problem, ProblemError, Prompt

from .latents import image_size, latent_mask

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest


SHOWN = "shown"
"""The name, among a prompt's tensors, of what the denoiser sees beside its latent while it follows the prompt."""


@dataclass(frozen=True)
class Part:
    """A prompt's share of the batched call, and where it counts: `weight` (B or 1, 1, H, W), None for everywhere.

    A `blind` one is a negative one that is not shown what the denoiser sees beside its latent.
    """

    prompt: Prompt
    positive: bool
    weight: Tensor | None
    blind: bool = False

    @property
    def side(self) -> tuple[bool, bool]:
        return self.positive, self.blind


class Call(Protocol):
    """A denoiser's call during one run. A family brings its own."""

    def inputs(self, prompts: Sequence[Prompt], sides: Sequence[bool]) -> Any:
        """What the denoiser is given beside the latent, for prompts that share a call; made once a choice and kept.

        `sides` says of each prompt whether it is a positive one.
        """
        ...

    def __call__(
        self, batched: Tensor, timestep: Tensor, inputs: Any, sides: Sequence[bool], window: tuple[float, float]
    ) -> Tensor:
        """The prediction for `batched`, which holds the batch once for every prompt, in the order of `inputs`.

        `window` is where in the schedule the call begins and ends, as fractions.
        """
        ...


@dataclass
class Guide:
    """Predicts from all prompts at once. Made once a run."""

    call: Call
    family: str
    parts: Sequence[Part]
    guidance: float
    rescale: float
    device: torch.device
    dtype: torch.dtype
    shown_guidance: float = 1.0
    _bundles: dict[tuple[int, ...], tuple[Any, list[Tensor | None]]] = field(default_factory=dict)

    def predict(self, model_input: Tensor, timestep: Tensor, window: tuple[float, float]) -> Tensor:
        """The guided prediction (B, C, H, W) in float32 for an input already scaled by the scheduler."""
        import torch

        active = active_parts(self.parts, window)
        inputs, shares = self._bundle(tuple(active))
        count = len(active)
        model_input = model_input.to(self.dtype)
        batched = torch.cat([model_input] * count) if count > 1 else model_input
        sides = [self.parts[place].positive for place in active]
        found = self.call(batched, timestep, inputs, sides, window).float()
        sums: dict[tuple[bool, bool], Tensor] = {}
        for place, share, chunk in zip(active, shares, found.chunk(count), strict=True):
            weighed, side = chunk if share is None else chunk * share, self.parts[place].side
            sums[side] = sums[side] + weighed if side in sums else weighed
        wanted, unwanted, unseen = sums[True, False], sums.get((False, False)), sums.get((False, True))
        if unwanted is None:
            return wanted
        guided = unwanted + self.guidance * (wanted - unwanted)
        if unseen is not None:
            guided = unseen + self.guidance * (wanted - unwanted) + self.shown_guidance * (unwanted - unseen)
        return _rescaled(guided, wanted, self.rescale) if self.rescale > 0 else guided

    def _bundle(self, active: tuple[int, ...]) -> tuple[Any, list[Tensor | None]]:
        if active not in self._bundles:
            chosen = [self.parts[place] for place in active]
            inputs = self.call.inputs([part.prompt for part in chosen], [part.positive for part in chosen])
            self._bundles[active] = inputs, _shares(chosen)
        return self._bundles[active]


def make_parts(
    request: SampleRequest,
    family: str,
    device: torch.device,
    *,
    guided: bool,
    zero: bool,
    shown: Tensor | None = None,
) -> list[Part]:
    """The parts of the batched call, the negative ones first; only the positive ones when it is not `guided`.

    `zero` says that zeros stand for "no text", so they take the place of a negative that is not connected. `shown`
    (B or 1, C, H, W) is what the denoiser sees beside its latent: it is put into each prompt, under `SHOWN`. With a
    guidance for it, every negative prompt speaks once more, blind: shown nothing but zeros.

    Raises:
        ProblemError: the conditioning is of another family than the model, or something is missing.
    """
    problems: list[Problem] = []
    positive, negative, latent = request.positive, request.negative, request.latent
    sides = [("positive", positive)]
    if guided and negative is None and zero and positive.prompts:
        negative = Conditioning((_silence(positive.prompts[0]),), family=family)
    if guided and negative is None:
        problems.append(
            Problem(
                code="negative_missing",
                message=f"Guidance of {request.guidance:g} compares with a negative prompt, and none is connected.",
                hint="Connect an encoded text (an empty one will do), or set guidance to 1.",
                port="negative",
            )
        )
    if guided and negative is not None:
        sides.insert(0, ("negative", negative))
    for port, side in sides:
        problems += _faults(family, side, latent, port)
    if problems:
        raise ProblemError(problems)
    parts = [
        Part(prompt, port == "positive", _weight(prompt, latent, device) if len(side.prompts) > 1 else None)
        for port, side in sides
        for prompt in side.prompts
    ]
    if shown is None:
        return parts
    blind: list[Part] = []
    if positive.shown is not None and positive.shown.guidance != 1:
        blind = [replace(part, blind=True) for part in parts if not part.positive]
    return [replace(part, prompt=_showing(part.prompt, shown * (not part.blind))) for part in (*blind, *parts)]


def _showing(prompt: Prompt, planes: Tensor) -> Prompt:
    return replace(prompt, tensors={**prompt.tensors, SHOWN: planes})


def active_parts(parts: Sequence[Part], window: tuple[float, float]) -> list[int]:
    """The places of the parts that speak during a call (see `Schedule.window`)."""
    return [place for place, part in enumerate(parts) if part.prompt.start <= window[0] < part.prompt.end]


def check_coverage(parts: Sequence[Part], windows: Sequence[tuple[float, float]]) -> None:
    """Raises ProblemError where a step has no prompt on one side, which would leave the denoiser without direction."""
    problems = []
    for port, positive in (("positive", True), ("negative", False)):
        spans = [(part.prompt.start, part.prompt.end) for part in parts if part.positive is positive]
        silent = [window for window in windows if not any(start <= window[0] < end for start, end in spans)]
        if spans and silent:
            problems.append(
                Problem(
                    code="no_prompt_at_step",
                    message=f"No {port} prompt speaks from {silent[0][0]:.0%} to {silent[-1][1]:.0%} of the schedule.",
                    hint="Let the ranges of the prompts cover every step.",
                    port=port,
                )
            )
    if problems:
        raise ProblemError(problems)


def _faults(family: str, side: Conditioning, latent: Latent, port: str) -> list[Problem]:
    found: list[Problem] = []
    if not side.prompts:
        return [
            Problem(code="no_prompt", message="This conditioning holds no prompt.", hint="Encode a text.", port=port)
        ]
    if side.family and side.family != family:
        message = f"The text was encoded for {side.family}, and the model is of the family {family}."
        hint = "Encode it with the text encoder that belongs to the model."
        return [Problem(code="wrong_family", message=message, hint=hint, port=port, value=side.family)]
    batch = latent.samples.shape[0]
    for prompt in side.prompts:
        count = prompt.batch
        if count not in (1, batch):
            message = f"The conditioning is for {count} images, and the latent holds {batch}."
            found.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port=port))
        if prompt.mask is not None and prompt.mask.shape[0] not in (1, batch):
            message = f"A prompt has {prompt.mask.shape[0]} masks, and the latent holds {batch} images."
            found.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port=port))
    return found


def _silence(prompt: Prompt) -> Prompt:
    import torch

    return Prompt({name: torch.zeros_like(tensor) for name, tensor in prompt.tensors.items()}, size=prompt.size)


def _weight(prompt: Prompt, latent: Latent, device: torch.device) -> Tensor:
    import torch

    weight = torch.full((1, 1, *latent.samples.shape[-2:]), float(prompt.strength))
    if prompt.mask is not None:
        weight = weight * latent_mask(prompt.mask, latent)
    if prompt.area is not None:
        inside = torch.zeros_like(weight)
        (top, bottom), (left, right) = (
            _span(start, length, side / latent.downsampling)
            for start, length, side in zip(
                (prompt.area.y, prompt.area.x),
                (prompt.area.height, prompt.area.width),
                image_size(latent),
                strict=True,
            )
        )
        inside[..., top:bottom, left:right] = 1
        weight = weight * inside
    return weight.to(device)


def _span(start: float, length: float, cells: float) -> tuple[int, int]:
    """The cells from `start` on, both in fractions of an image that is `cells` long; at least one."""
    first, end = round(start * cells), start + length
    # What reaches the edge of the image goes on over the padding.
    return first, max(first + 1, math.ceil(cells) if end > 1 - 1e-6 else round(end * cells))


def _shares(parts: Sequence[Part]) -> list[Tensor | None]:
    """Each part's share in the average of its side; where no prompt's area reaches, all of them count the same."""
    found: list[Tensor | None] = []
    for part in parts:
        others = [other.weight for other in parts if other.side == part.side]
        if len(others) == 1 or part.weight is None:
            found.append(None)
            continue
        total: Any = sum(weight for weight in others if weight is not None)
        found.append((part.weight / total).where(total > 0, 1 / len(others)))
    return found


def _rescaled(guided: Tensor, wanted: Tensor, amount: float) -> Tensor:
    axes = tuple(range(1, guided.ndim))
    matched = guided * (wanted.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
    return amount * matched + (1 - amount) * guided
