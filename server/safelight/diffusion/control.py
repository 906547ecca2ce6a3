"""ControlNets during a run: their hints prepared once, their residuals added up at each step.

Source: Zhang et al. 2023, https://arxiv.org/abs/2302.05543.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safelight.sdk import Conditioning, Context, Control, Latent, Problem, ProblemError

from .latents import expanded, on_canvas

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class _Kept:
    """Stands in for the network that embeds the hint: the hint never changes, so its embedding is made once a run."""

    def __init__(self, embedding: Tensor) -> None:
        self._embedding = embedding

    def __call__(self, hint: Tensor) -> Tensor:
        own = self._embedding.shape[0]
        return self._embedding if own == 1 else self._embedding.repeat(hint.shape[0] // own, 1, 1, 1)


@dataclass(frozen=True)
class _Active:
    net: Any
    hint: Tensor
    control: Control
    sides: tuple[bool, ...]
    dtype: torch.dtype


class Controls:
    """The ControlNets of a run. Without any, `residuals` gives None and costs nothing."""

    def __init__(self, active: Sequence[_Active] = ()) -> None:
        self._active = active

    def __bool__(self) -> bool:
        return bool(self._active)

    def residuals(
        self,
        batched: Tensor,
        timestep: Tensor,
        text: Tensor,
        added: dict[str, Tensor] | None,
        sides: Sequence[bool],
        window: tuple[float, float],
    ) -> tuple[Any, Any]:
        """What the ControlNets add to the denoiser's down blocks and middle block at a step.

        `batched` holds a batch for every entry of `sides` (True: a positive prompt). A ControlNet that guides one side
        only is called with that side, and adds nothing to the other.
        """
        down: list[Tensor] | None = None
        middle: Tensor | None = None
        for entry in self._active:
            if window[0] < entry.control.start or window[1] > entry.control.end or entry.control.strength == 0:
                continue
            more, centre = self._one(entry, batched, timestep, text, added, sides)
            down = more if down is None else [old + new for old, new in zip(down, more, strict=True)]
            middle = centre if middle is None else middle + centre
        return down, middle

    @staticmethod
    def _one(
        entry: _Active,
        batched: Tensor,
        timestep: Tensor,
        text: Tensor,
        added: dict[str, Tensor] | None,
        sides: Sequence[bool],
    ) -> tuple[list[Tensor], Tensor]:
        chosen = [place for place, side in enumerate(sides) if side in entry.sides]
        size = batched.shape[0] // len(sides)
        everywhere = len(chosen) == len(sides)

        def picked(tensor: Tensor) -> Tensor:
            return tensor if everywhere else tensor.unflatten(0, (len(sides), size))[chosen].flatten(0, 1)

        def spread(tensor: Tensor) -> Tensor:
            if everywhere:
                return tensor
            whole = tensor.new_zeros((len(sides), size, *tensor.shape[1:]))
            whole[chosen] = tensor.unflatten(0, (len(chosen), size))
            return whole.flatten(0, 1)

        down, middle = entry.net(
            picked(batched).to(entry.dtype),
            timestep,
            encoder_hidden_states=picked(text).to(entry.dtype),
            controlnet_cond=_for_all(entry.hint, size * len(chosen)),
            conditioning_scale=entry.control.strength,
            **({"guess_mode": True} if entry.control.guess else {}),
            added_cond_kwargs=None if added is None else {k: picked(v).to(entry.dtype) for k, v in added.items()},
            return_dict=False,
        )
        return [spread(part).to(batched.dtype) for part in down], spread(middle).to(batched.dtype)


@contextmanager
def leased_controls(
    ctx: Context, family: str, positive: Conditioning, negative: Conditioning | None, latent: Latent
) -> Iterator[Controls]:
    """Leases the ControlNets of both sides and embeds their hints, brought to the size of the latent's image."""
    wanted = _merged(positive, negative)
    if not wanted:
        yield Controls()
        return
    _check(family, wanted, latent.samples.shape[0])
    active: list[_Active] = []
    embedders: list[Any] = []
    with ExitStack() as stack:
        try:
            for control, sides in wanted:
                lease = stack.enter_context(ctx.models.lease(control.model))
                hint = on_canvas(control.image.pixels[..., :3].movedim(-1, 1).contiguous(), latent).to(
                    lease.device, lease.dtype
                )
                active.append(_Active(lease.component, hint, control, sides, lease.dtype))
            for entry in active:
                # One that works with two hints at once has to embed them again at each step.
                if sum(other.net is entry.net for other in active) == 1:
                    embedders.append(_keep_embedding(ctx, entry))
            yield Controls(active)
        finally:
            for embedder in embedders:
                del embedder.__dict__["forward"]


def _keep_embedding(ctx: Context, entry: _Active) -> Any:
    embedder = entry.net.controlnet_cond_embedding
    flipped = entry.net.config.controlnet_conditioning_channel_order == "bgr"
    kept = ctx.models.retry(lambda: embedder(entry.hint.flip(1) if flipped else entry.hint))
    embedder.__dict__["forward"] = _Kept(kept)
    return embedder


def _for_all(hint: Tensor, count: int) -> Tensor:
    return expanded(hint, count) if hint.shape[0] == 1 else hint.repeat(count // hint.shape[0], 1, 1, 1)


def _merged(positive: Conditioning, negative: Conditioning | None) -> list[tuple[Control, tuple[bool, ...]]]:
    """Each control once with the sides it guides; the same one on both sides is one call."""
    found: list[tuple[Control, tuple[bool, ...]]] = [(control, (True,)) for control in positive.controls]
    for control in negative.controls if negative else ():
        for place, (other, sides) in enumerate(found):
            if sides == (True,) and _same(control, other):
                found[place] = (other, (True, False))
                break
        else:
            found.append((control, (False,)))
    return found


def _same(one: Control, other: Control) -> bool:
    import torch

    plain = all(getattr(one, name) == getattr(other, name) for name in ("model", "strength", "start", "end", "guess"))
    return plain and (one.image is other.image or torch.equal(one.image.pixels, other.image.pixels))


def _check(family: str, wanted: Sequence[tuple[Control, tuple[bool, ...]]], batch: int) -> None:
    problems = []
    for control, sides in wanted:
        port = "positive" if True in sides else "negative"
        if control.model.family and control.model.family != family:
            message = f"The ControlNet is of the family {control.model.family}, and the model of {family}."
            problems.append(
                Problem(code="wrong_family", message=message, hint=f"Choose a ControlNet for {family}.", port=port)
            )
        count = control.image.pixels.shape[0]
        if count not in (1, batch):
            message = f"The ControlNet has {count} images, and the latent holds {batch}."
            problems.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port=port))
    if problems:
        raise ProblemError(problems)
