"""One prediction of the denoiser from all prompts: one batched call, regions, and classifier-free guidance.

Sources: Ho and Salimans 2022, https://arxiv.org/abs/2207.12598 (guidance); Lin et al. 2023,
https://arxiv.org/abs/2305.08891, section 3.4 (rescaling it); Brooks et al. 2023, https://arxiv.org/abs/2211.09800,
equation 3 (a second guidance, by an image); Ahn et al. 2024, https://arxiv.org/abs/2403.17377 (perturbed attention).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from safelight.sdk import Conditioning, Latent, Problem, ProblemError, Prompt, Shown

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


Switch = Callable[[tuple[float, float]], None]


@dataclass(frozen=True)
class Perturbed:
    """A further prediction for the positive prompts, made `within` a context that weakens the denoiser: guidance leads
    away from it, `scale` strongly, in the calls that begin from `start` up to `end` of the schedule."""

    scale: float
    start: float
    end: float
    within: Callable[[], AbstractContextManager[None]]

    def at(self, window: tuple[float, float]) -> bool:
        return self.scale != 0 and self.start <= window[0] < self.end


@dataclass
class Guide:
    """Predicts from all prompts at once. Made once a run; `switch` is told of each part of the schedule before it."""

    call: Call
    family: str
    parts: Sequence[Part]
    guidance: float
    rescale: float
    device: torch.device
    dtype: torch.dtype
    shown_guidance: float = 1.0
    switch: Switch | None = None
    perturbed: Perturbed | None = None
    _bundles: dict[tuple[int, ...], tuple[Any, list[Tensor | None]]] = field(default_factory=dict)

    def predict(self, model_input: Tensor, timestep: Tensor, window: tuple[float, float]) -> Tensor:
        """The guided prediction (B, C, H, W) in float32 for an input already scaled by the scheduler."""
        if self.switch is not None:
            self.switch(window)
        active = active_parts(self.parts, window)
        inputs, shares = self._bundle(tuple(active))
        model_input = model_input.to(self.dtype)
        sums = self._sums(active, inputs, shares, model_input, timestep, window)
        wanted, unwanted, unseen = sums[True, False], sums.get((False, False)), sums.get((False, True))
        further = None
        if self.perturbed is not None and self.perturbed.at(window):
            further = self.perturbed.scale * (wanted - self._weakened(active, shares, model_input, timestep, window))
        if unwanted is None:
            return wanted if further is None else wanted + further
        if self._added(active):
            # Each adds what it does to the unguided prediction, so what is left of that counts once.
            share: Any = sum(
                share
                for place, share in zip(active, shares, strict=True)
                if share is not None and self.parts[place].positive
            )
            wanted = wanted + (1 - share) * unwanted
        guided = unwanted + self.guidance * (wanted - unwanted)
        if unseen is not None:
            guided = unseen + self.guidance * (wanted - unwanted) + self.shown_guidance * (unwanted - unseen)
        if further is not None:
            guided = guided + further
        return _rescaled(guided, wanted, self.rescale) if self.rescale > 0 else guided

    def _sums(
        self,
        places: Sequence[int],
        inputs: Any,
        shares: Sequence[Tensor | None],
        model_input: Tensor,
        timestep: Tensor,
        window: tuple[float, float],
    ) -> dict[tuple[bool, bool], Tensor]:
        """What one call predicts for the parts at these places, each with its share, added up for each side."""
        import torch

        count = len(places)
        batched = torch.cat([model_input] * count) if count > 1 else model_input
        sides = [self.parts[place].positive for place in places]
        found = self.call(batched, timestep, inputs, sides, window).float()
        sums: dict[tuple[bool, bool], Tensor] = {}
        for place, share, chunk in zip(places, shares, found.chunk(count), strict=True):
            weighed, side = chunk if share is None else chunk * share, self.parts[place].side
            sums[side] = sums[side] + weighed if side in sums else weighed
        return sums

    def _weakened(
        self,
        active: Sequence[int],
        shares: Sequence[Tensor | None],
        model_input: Tensor,
        timestep: Tensor,
        window: tuple[float, float],
    ) -> Tensor:
        """The prediction for the positive prompts among the active ones, each with the share that it has there."""
        assert self.perturbed is not None
        kept = [(place, share) for place, share in zip(active, shares, strict=True) if self.parts[place].positive]
        places = [place for place, _ in kept]
        # A call of its own: ControlNets and adapters say the same to it, and it holds no more than the first one did.
        inputs, _ = self._bundle(tuple(places))
        with self.perturbed.within():
            return self._sums(places, inputs, [share for _, share in kept], model_input, timestep, window)[True, False]

    def _added(self, active: Sequence[int]) -> bool:
        """Whether positive prompts are added up rather than averaged: several, of which one is so, and something that
        they are compared with."""
        sides = [self.parts[place] for place in active if not self.parts[place].blind]
        wanted = [part.prompt for part in sides if part.positive]
        compared = any(not part.positive for part in sides)
        return compared and len(wanted) > 1 and any(prompt.added for prompt in wanted)

    def _bundle(self, active: tuple[int, ...]) -> tuple[Any, list[Tensor | None]]:
        if active not in self._bundles:
            chosen = [self.parts[place] for place in active]
            inputs = self.call.inputs([part.prompt for part in chosen], [part.positive for part in chosen])
            self._bundles[active] = inputs, _shares(chosen, self._added(active))
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
        problems += _shown_apart(positive, negative)
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
    return [place for place, part in enumerate(parts) if part.prompt.speaks(window[0])]


def check_coverage(parts: Sequence[Part], windows: Sequence[tuple[float, float]]) -> None:
    """Raises ProblemError where a step has no prompt on one side, which would leave the denoiser without direction."""
    problems = []
    for port, positive in (("positive", True), ("negative", False)):
        prompts = [part.prompt for part in parts if part.positive is positive]
        silent = [window for window in windows if not any(prompt.speaks(window[0]) for prompt in prompts)]
        if prompts and silent:
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


def _shown_apart(positive: Conditioning, negative: Conditioning) -> list[Problem]:
    """The problem of a negative side that is shown what the positive one is not: the denoiser sees that one's."""
    if negative.shown is None or (positive.shown is not None and _alike(positive.shown, negative.shown)):
        return []
    message = "The negative conditioning is shown an image that the positive one is not; the model would not see it."
    hint = "Put guide.edit, guide.depth or guide.frames on the positive conditioning alone."
    return [Problem(code="shown_on_negative", message=message, hint=hint, port="negative")]


def _alike(one: Shown, other: Shown) -> bool:
    import torch

    if one.kind != other.kind or len(one.images) != len(other.images):
        return False
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(one.images, other.images, strict=True))


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


def _shares(parts: Sequence[Part], added: bool = False) -> list[Tensor | None]:
    """Each part's share in the average of its side; where no prompt's area reaches, all of them count the same.

    Positive ones that are `added` have their strength instead.
    """
    found: list[Tensor | None] = []
    for part in parts:
        others = [other.weight for other in parts if other.side == part.side]
        if len(others) == 1 or part.weight is None:
            found.append(None)
            continue
        if added and part.positive:
            found.append(part.weight)
            continue
        total: Any = sum(weight for weight in others if weight is not None)
        found.append((part.weight / total).where(total > 0, 1 / len(others)))
    return found


def _rescaled(guided: Tensor, wanted: Tensor, amount: float) -> Tensor:
    axes = tuple(range(1, guided.ndim))
    matched = guided * (wanted.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
    return amount * matched + (1 - amount) * guided
