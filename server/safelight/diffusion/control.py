"""ControlNets and T2I-Adapters during a run: their hints prepared once, their residuals added up at each step.

Sources: ControlNet: Zhang et al. 2023, https://arxiv.org/abs/2302.05543; T2I-Adapter: Mou et al. 2023,
https://arxiv.org/abs/2302.08453.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Conditioning, Context, Control, Latent, Problem, ProblemError
from safelight.sdk.models import covers

from .latents import expanded, image_size, on_canvas, padded

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class _Kept:
    """Stands in for the network that embeds the hint: the hint never changes, so its embedding is made once a run."""

    def __init__(self, embedding: Tensor) -> None:
        self._embedding = embedding

    def __call__(self, hint: Tensor) -> Tensor:
        return _for_all(self._embedding, hint.shape[0])


TYPES = ("openpose", "depth", "soft_edge", "line", "normal", "segment", "tile", "inpaint")
"""What hints a ControlNet of several kinds (union) tells apart, in the order of its inputs. The last two are not in
all of them."""


@dataclass(frozen=True)
class _Active:
    """A ControlNet of a run with its hint on the canvas, or what a T2I-Adapter makes of its hint (`features`).

    `mask` (B or 1, 1, H, W) is on the canvas as well.
    """

    control: Control
    sides: tuple[bool, ...]
    dtype: torch.dtype
    net: Any = None
    hint: Tensor | None = None
    features: tuple[Tensor, ...] = ()
    mask: Tensor | None = None
    _small: dict[tuple[int, ...], Tensor] = field(default_factory=dict, init=False, compare=False)
    """The mask by the sizes of residuals."""

    def weight(self, window: tuple[float, float]) -> float:
        """How much it says in a part of the schedule."""
        return strength_at(self.control, window)

    def shaped(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Its residuals, from the finest to the coarsest, weighed by block and by place."""
        from torch.nn.functional import interpolate

        found = list(parts)
        if self.control.blocks:
            factors = spread(self.control.blocks, len(found))
            found = [part * factor for part, factor in zip(found, factors, strict=True)]
        if self.mask is not None:
            for place, part in enumerate(found):
                size = tuple(part.shape[-2:])
                if size not in self._small:
                    self._small[size] = interpolate(self.mask, size, mode="area").to(part.device, part.dtype)
                found[place] = part * _for_all(self._small[size], part.shape[0])
        return found


class Residuals(NamedTuple):
    """What is added to the denoiser's down blocks, its middle block and inside its down blocks; None for nothing."""

    down: list[Tensor] | None = None
    middle: Tensor | None = None
    inner: list[Tensor] | None = None


class Controls:
    """The ControlNets and T2I-Adapters of a run. Without any, `residuals` has nothing and costs nothing."""

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
    ) -> Residuals:
        """What they add to the denoiser at a step.

        `batched` holds a batch for every entry of `sides` (True: a positive prompt). A ControlNet that guides one side
        only is called with that side, and adds nothing to the other.
        """
        outer: list[Tensor] | None = None
        inner: list[Tensor] | None = None
        for entry in self._active:
            weight = entry.weight(window)
            if weight == 0:
                continue
            if entry.features:
                inner = _summed(inner, _features(entry, weight, batched, sides))
            else:
                outer = _summed(outer, _called(entry, weight, batched, timestep, text, added, sides))
        return Residuals(None if outer is None else outer[:-1], None if outer is None else outer[-1], inner)


def strength_at(control: Control, window: tuple[float, float]) -> float:
    """How much a control says in a part (from, to) of the schedule."""
    if not covers(control.start, control.end, window):
        return 0.0
    if not control.curve:
        return control.strength
    # Where the list has as many numbers as there are steps, each step has its own; the rest is for rounding.
    place = (window[0] - control.start) / (control.end - control.start) * len(control.curve) + 1e-6
    return control.strength * control.curve[min(int(place), len(control.curve) - 1)]


_STRETCHED = 0.04
"""From this difference of proportions on it is told that a hint is stretched; sides that are rounded differ by less."""


def hint_planes(control: Control, latent: Latent, ctx: Context) -> Tensor:
    """The hint of a control (B, 3, H, W) in 0..1, brought to the size of a latent's image and padded like it.

    Warns with `hint_stretched` where the two have other proportions.
    """
    planes = control.image.pixels[..., :3].movedim(-1, 1).contiguous()
    (height, width), (tall, wide) = planes.shape[-2:], image_size(latent)
    if abs(width * tall / (height * wide) - 1) > _STRETCHED:
        message = (
            f"The control image of {width} x {height} pixels is stretched to the {wide} x {tall} of the image that is "
            "made, which has other proportions."
        )
        hint = "Crop it, or make an empty latent of the same proportions."
        ctx.warn(Problem(code="hint_stretched", message=message, hint=hint, port="positive").warning())
    return on_canvas(planes, latent)


def spread(numbers: Sequence[float], count: int) -> list[float]:
    """As many numbers as wanted, by straight lines between those given; as many as wanted stay as they are."""
    if count == 1 or len(numbers) == 1:
        return [float(numbers[0])] * count
    found: list[float] = []
    for place in range(count):
        at = place * (len(numbers) - 1) / (count - 1)
        low = min(int(at + 1e-9), len(numbers) - 2)
        share = at - low
        found.append(numbers[low] * (1 - share) + numbers[low + 1] * share)
    return found


def _summed(before: list[Tensor] | None, more: list[Tensor]) -> list[Tensor]:
    return more if before is None else [old + new for old, new in zip(before, more, strict=True)]


def _features(entry: _Active, weight: float, batched: Tensor, sides: Sequence[bool]) -> list[Tensor]:
    """What a T2I-Adapter adds: the same at each step, to the sides that it guides."""
    import torch

    size = batched.shape[0] // len(sides)
    return [
        torch.cat([part if side in entry.sides else torch.zeros_like(part) for side in sides]).to(batched.dtype)
        for part in (_for_all(feature, size) * weight for feature in entry.features)
    ]


def _called(
    entry: _Active,
    weight: float,
    batched: Tensor,
    timestep: Tensor,
    text: Tensor,
    added: dict[str, Tensor] | None,
    sides: Sequence[bool],
) -> list[Tensor]:
    """What a ControlNet adds to the down blocks, and last to the middle block."""
    chosen = [place for place, side in enumerate(sides) if side in entry.sides]
    size = batched.shape[0] // len(sides)
    everywhere = len(chosen) == len(sides)

    def picked(tensor: Tensor) -> Tensor:
        return tensor if everywhere else tensor.unflatten(0, (len(sides), size))[chosen].flatten(0, 1)

    def back(tensor: Tensor) -> Tensor:
        if everywhere:
            return tensor
        whole = tensor.new_zeros((len(sides), size, *tensor.shape[1:]))
        whole[chosen] = tensor.unflatten(0, (len(chosen), size))
        return whole.flatten(0, 1)

    assert entry.hint is not None
    count = size * len(chosen)
    hint = _for_all(entry.hint, count)
    down, middle = entry.net(
        picked(batched).to(entry.dtype),
        timestep,
        encoder_hidden_states=picked(text).to(entry.dtype),
        controlnet_cond=[hint] if _is_union(entry.net) else hint,
        conditioning_scale=weight,
        **(_told(entry, count) if _is_union(entry.net) else {}),
        **({"guess_mode": True} if entry.control.guess else {}),
        added_cond_kwargs=None if added is None else {k: picked(v).to(entry.dtype) for k, v in added.items()},
        return_dict=False,
    )
    return [back(part).to(batched.dtype) for part in entry.shaped([*down, middle])]


def _is_union(net: Any) -> bool:
    return "num_control_type" in net.config


def _told(entry: _Active, count: int) -> dict[str, Any]:
    """What a ControlNet of several kinds is told of its hint: which kind it is."""
    assert entry.hint is not None
    kind = TYPES.index(entry.control.type)
    marks = entry.hint.new_zeros(count, entry.net.config.num_control_type)
    marks[:, kind] = 1
    return {"control_type": marks, "control_type_idx": [kind]}


@contextmanager
def leased_controls(
    ctx: Context,
    family: str,
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    joined: Callable[[Any], Any],
) -> Iterator[Controls]:
    """Leases the ControlNets of both sides and embeds their hints, brought to the size of the latent's image.

    `joined` makes what can be called of one that was leased: some are kept as differences to the denoiser.
    """
    wanted = merged(positive, negative)
    if not wanted:
        yield Controls()
        return
    check_controls(family, wanted, latent.samples.shape[0])
    active: list[_Active] = []
    embedders: list[Any] = []
    with ExitStack() as stack:
        try:
            for control, sides in wanted:
                active.append(_prepared(ctx, stack, control, sides, latent, joined))
            for entry in active:
                # One that works with two hints at once has to embed them again at each step.
                if entry.net is not None and sum(other.net is entry.net for other in active) == 1:
                    embedders.append(_keep_embedding(ctx, entry))
            yield Controls(active)
        finally:
            for embedder in embedders:
                del embedder.__dict__["forward"]


def _prepared(
    ctx: Context,
    stack: ExitStack,
    control: Control,
    sides: tuple[bool, ...],
    latent: Latent,
    joined: Callable[[Any], Any],
) -> _Active:
    mask = None if control.mask is None else on_canvas(control.mask.coverage[:, None].float(), latent)
    with ExitStack() as own:
        lease = own.enter_context(ctx.models.lease(control.model))
        hint = hint_planes(control, latent, ctx).to(lease.device, lease.dtype)
        common = _Active(control, sides, lease.dtype, mask=None if mask is None else mask.to(lease.device))
        net = joined(lease.component)
        if hasattr(net, "total_downscale_factor"):
            # A T2I-Adapter looks at its hint alone, so once is enough, and it need not stay in memory.
            features = ctx.models.retry(lambda: net(_for_adapter(net, hint)), ctx.warn)
            return replace(common, features=tuple(common.shaped(features)))
        _check_type(net, control)
        stack.push(own.pop_all())
        return replace(common, net=net, hint=hint)


def _for_adapter(net: Any, hint: Tensor) -> Tensor:
    """A hint as a T2I-Adapter takes it: grey where it has one channel, its sides multiples of what it shrinks by."""
    if net.config.in_channels == 1:
        red, green, blue = hint.split(1, dim=1)
        hint = 0.299 * red + 0.587 * green + 0.114 * blue
    step = net.downscale_factor
    height, width = (-(-side // step) * step for side in hint.shape[-2:])
    return padded(hint, (height, width))


def _check_type(net: Any, control: Control) -> None:
    """Raises `control_type`: a ControlNet of several kinds must be told which, and others must not."""
    name, count = control.model.source.name, net.config.get("num_control_type", 0)
    if not count and not control.type:
        return
    known = ", ".join(TYPES[:count])
    if not count:
        message = f"The ControlNet {name!r} is for one kind of hint, and takes no control_type."
        hint = "Set control_type to auto."
    elif not control.type:
        message = f"The ControlNet {name!r} is for several kinds of hints (a union), and is not told which this is."
        hint = f"Set control_type to one of {known}."
    elif TYPES.index(control.type) >= count:
        message = f"The ControlNet {name!r} knows {count} kinds of hints, and {control.type} is not among them."
        hint = f"Set control_type to one of {known}."
    else:
        return
    raise ProblemError(
        Problem(code="control_type", message=message, hint=hint, port="positive", value=control.type or "auto")
    )


def _keep_embedding(ctx: Context, entry: _Active) -> Any:
    embedder = entry.net.controlnet_cond_embedding
    flipped = entry.net.config.controlnet_conditioning_channel_order == "bgr"
    hint = entry.hint
    assert hint is not None
    kept = ctx.models.retry(lambda: embedder(hint.flip(1) if flipped else hint), ctx.warn)
    embedder.__dict__["forward"] = _Kept(kept)
    return embedder


def _for_all(hint: Tensor, count: int) -> Tensor:
    return expanded(hint, count) if hint.shape[0] == 1 else hint.repeat(count // hint.shape[0], 1, 1, 1)


def merged(positive: Conditioning, negative: Conditioning | None) -> list[tuple[Control, tuple[bool, ...]]]:
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

    names = ("model", "strength", "start", "end", "guess", "curve", "blocks", "type")
    if any(getattr(one, name) != getattr(other, name) for name in names):
        return False
    if (one.mask is None) != (other.mask is None):
        return False
    if one.mask is not None and other.mask is not None and not torch.equal(one.mask.coverage, other.mask.coverage):
        return False
    return one.image is other.image or torch.equal(one.image.pixels, other.image.pixels)


def check_controls(family: str, wanted: Sequence[tuple[Control, tuple[bool, ...]]], batch: int) -> None:
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
        masks = 1 if control.mask is None else control.mask.coverage.shape[0]
        if masks not in (1, batch):
            message = f"The ControlNet has {masks} masks, and the latent holds {batch}."
            problems.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port=port))
    if problems:
        raise ProblemError(problems)
