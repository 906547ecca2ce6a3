"""ControlNets of transformers during a run: their hints prepared once, what they say added up at each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safelight.diffusion.autoencoder import leased_codec
from safelight.diffusion.control import check_controls, hint_planes, merged, strength_at
from safelight.diffusion.latents import expanded
from safelight.sdk import Context, Control, Problem, ProblemError

from .controlnet import Guided, NetKind, Residuals
from .packing import whole_tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest

_CAST = ("hidden_states", "encoder_hidden_states", "pooled_projections")
"""What a transformer is given that has its number format."""


@dataclass(frozen=True)
class _Active:
    """A ControlNet of a run, with its hint as it takes it (B or 1, ...), and the sides of guidance that it is on."""

    control: Control
    sides: tuple[bool, ...]
    net: Any
    dtype: torch.dtype
    hint: Tensor
    mode: int | None
    said: dict[str, list[Tensor]] = field(default_factory=dict)
    """What it said at this step, where that counts for both sides."""


class Controls:
    """The ControlNets of a run. `at` is told of each step; within `beside` they add to each call of the transformer."""

    def __init__(self, kind: NetKind | None = None, active: Sequence[_Active] = ()) -> None:
        self._kind = kind
        self._active = active
        self._window = (0.0, 1.0)
        self._calls = 0

    def __len__(self) -> int:
        return len(self._active)

    def at(self, step: int, steps: int) -> None:
        self._window, self._calls = (step / steps, (step + 1) / steps), 0
        for entry in self._active:
            entry.said.clear()

    @contextmanager
    def beside(self, guided: Guided, guidance: float) -> Iterator[None]:
        kind = self._kind
        if not self._active or kind is None:
            yield
            return

        def add(module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            del module
            # Guiders ask about the positive prompt first, and about the negative one next.
            positive = self._calls != 1
            self._calls += 1
            found: dict[str, list[Tensor]] = {}
            for entry in self._active:
                weight = strength_at(entry.control, self._window)
                if weight and positive in entry.sides:
                    said = _said(kind, entry, guided, guidance, given)
                    for name, parts in said.items():
                        weighed = [part.to(given["hidden_states"].dtype) * weight for part in parts]
                        found[name] = _summed(found.get(name, []), weighed)
            return args, {**given, **{name: parts for name, parts in found.items() if parts}}

        hook = guided.transformer.register_forward_pre_hook(add, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()


def _summed(before: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    """Some have nothing for one kind of blocks."""
    return [one + other for one, other in zip(before, more, strict=True)] if before and more else before or more


def _said(
    kind: NetKind, entry: _Active, guided: Guided, guidance: float, given: Mapping[str, Any]
) -> Mapping[str, Sequence[Tensor]]:
    if entry.said:
        return entry.said
    cast = {name: given[name].to(entry.dtype) for name in _CAST if given.get(name) is not None}
    hint = expanded(entry.hint, len(given["hidden_states"]))
    found: Residuals = kind.says(entry.net, guided, guidance, {**given, **cast}, hint, entry.mode)
    if kind.shared:
        entry.said.update({name: list(parts) for name, parts in found.items()})
    return found


@contextmanager
def leased_controls(
    kind: NetKind | None, family: str, cells: int, guided: Guided, request: SampleRequest, ctx: Context
) -> Iterator[Controls]:
    """Leases the ControlNets of both sides and prepares their hints, brought to the size of the latent's image.

    Raises:
        ProblemError: one is of another family, does not fit the batch, or lacks the VAE that encodes its hint.
    """
    wanted = merged(request.positive, request.negative)
    if not wanted or kind is None:
        yield Controls()
        return
    check_controls(family, wanted, len(request.latent.samples))
    active: list[_Active] = []
    with ExitStack() as stack:
        for control, sides in wanted:
            lease = stack.enter_context(ctx.models.lease(control.model))
            net, dtype = lease.component, lease.dtype
            mode = kind.mode(net, control)
            pixels = whole_tokens(hint_planes(control, request.latent, ctx), cells * request.latent.downsampling)
            planes = pixels * 2 - 1 if kind.sees_pixels(net) else _encoded(control, pixels, guided, family, ctx)
            hint = kind.hint(net, guided, planes.to(lease.device, dtype))
            active.append(_Active(control, sides, net, dtype, hint, mode))
        yield Controls(kind, active)


def _encoded(control: Control, pixels: Tensor, guided: Guided, family: str, ctx: Context) -> Tensor:
    """The latent of a hint's pixels (B, 3, H, W)."""
    name = control.model.source.name
    if control.vae is None:
        message = f"The ControlNet {name!r} looks at the latent of its hint, and has no VAE."
        hint = "Connect the model's VAE to the node that applies it."
        raise ProblemError(Problem(code="controlnet_vae", message=message, hint=hint, port="positive"))
    height, width = pixels.shape[-2:]
    with leased_codec(ctx, control.vae, (height, width), family) as codec:
        found = codec.encode(pixels.movedim(1, -1))
    if found.shape[1] != guided.latent.channels:
        message = (
            f"The VAE of the ControlNet {name!r} makes {found.shape[1]} channels instead of {guided.latent.channels}."
        )
        hint = "Connect the VAE that belongs to the model."
        raise ProblemError(Problem(code="controlnet_vae", message=message, hint=hint, port="positive"))
    return found
