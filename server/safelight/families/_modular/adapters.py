"""IP-Adapters in a transformer that modular blocks run: their attention in place of its own, for one run.

Sources: the processors and projections of diffusers for Flux.1 (XLabs) and Stable Diffusion 3 (InstantX).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from safelight.diffusion.adapter_kinds import is_timed
from safelight.diffusion.adapters import check, converted, require_filled, unguided
from safelight.diffusion.latents import expanded
from safelight.sdk import Adapter, Context, ProblemError
from safelight.sdk.models import block_factor, covers, unknown_block

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest


@contextmanager
def adapted(
    ctx: Context,
    transformer: Any,
    family: str,
    request: SampleRequest,
    scheduler: Any,
    guider: Any,
    blocks: Callable[[Iterable[str]], Mapping[str, str]],
) -> Iterator[None]:
    """Within it the transformer looks at the images of the request's IP-Adapters.

    `scheduler` tells the step, `guider` (None where nothing is compared) the side of guidance, `blocks` the block of
    each layer.
    """
    adapters, negative = request.positive.adapters, request.negative
    check(family, request.positive, negative, len(request.latent.samples))
    if not adapters:
        yield
        return
    before = dict(transformer.attn_processors)
    with ExitStack() as stack:
        weights = [stack.enter_context(ctx.models.lease(adapter.model)).component for adapter in adapters]
        timed = is_timed(weights[0]["image_proj"])
        given = weights[0]["ip_adapter"] if timed else weights
        processors = converted(adapters, lambda: transformer._convert_ip_adapter_attn_to_diffusers(given))
        require_filled(adapters, processors.values())
        looking = []
        for adapter, weight in zip(adapters, weights, strict=True):
            project = partial(transformer._convert_ip_adapter_image_proj_to_diffusers, weight["image_proj"])
            projection = converted((adapter,), project)
            require_filled((adapter,), (projection,))
            projection.to(transformer.device, transformer.dtype)
            looking.append(_Looking(adapter, projection, unguided(adapter, negative), timed))
        used = _placed(adapters, processors, blocks)
        for _, processor in used:
            processor.to(transformer.device, transformer.dtype)

        def look(module: Any, args: Any, told: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            del module
            step = scheduler.step_index if scheduler.step_index is not None else scheduler.begin_index or 0
            total = len(scheduler.timesteps)
            _weigh(adapters, used, (step / total, (step + 1) / total), timed)
            guided = guider is None or guider.is_conditional
            seen = _seen(looking, guided, len(told["hidden_states"]), told["timestep"], timed)
            return args, {**told, "joint_attention_kwargs": {**(told.get("joint_attention_kwargs") or {}), **seen}}

        try:
            transformer.set_attn_processor(dict(processors))
            stack.callback(transformer.register_forward_pre_hook(look, with_kwargs=True).remove)
            yield
        finally:
            transformer.set_attn_processor(before)


class _Looking:
    """The images of an adapter as the transformer takes them. Where the timestep has no say, that is the same at each
    step."""

    def __init__(self, adapter: Adapter, projection: Any, unwanted: Tensor, timed: bool) -> None:
        self._projection = projection
        self._sides = {True: adapter.embeddings, False: unwanted}
        self._kept = {} if timed else {side: self._projected(side) for side in self._sides}

    def at(self, guided: bool) -> Tensor:
        """(B, images, tokens, channels)."""
        return self._kept[guided]

    def at_time(self, guided: bool, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """(B, images * tokens, channels), and what is made of the timestep, (1, channels)."""
        images = self._sides[guided]
        flat = self._placed(images).flatten(0, 1)
        tokens, time = self._projection(flat, timestep[:1].expand(len(flat)))
        return tokens.unflatten(0, images.shape[:2]).flatten(1, 2), time[:1]

    def _projected(self, side: bool) -> Tensor:
        images = self._sides[side]
        return self._projection(self._placed(images).flatten(0, 1)).unflatten(0, images.shape[:2])

    def _placed(self, images: Tensor) -> Tensor:
        like = next(self._projection.parameters())
        return images.to(like.device, like.dtype)


def _seen(looking: Sequence[_Looking], guided: bool, batch: int, timestep: Tensor, timed: bool) -> dict[str, Any]:
    """What the processors are told at a call, for every image of the batch."""
    if not timed:
        return {"ip_hidden_states": [expanded(one.at(guided), batch) for one in looking]}
    tokens, time = looking[0].at_time(guided, timestep)
    return {"ip_hidden_states": expanded(tokens, batch), "temb": expanded(time, batch)}


def _placed(
    adapters: Sequence[Adapter], processors: Mapping[str, Any], blocks: Callable[[Iterable[str]], Mapping[str, str]]
) -> list[tuple[str, Any]]:
    """The processors that look at images, each with the block that it is in.

    Raises:
        ProblemError: `bad_blocks`, when an adapter is weighed by blocks that are not there.
    """
    names = {name: name.removesuffix(".processor") + ".to_q" for name in processors}
    placed = blocks(names.values())
    found = [(placed[names[name]], one) for name, one in processors.items() if hasattr(one, "to_k_ip")]
    for adapter in adapters:
        problem = unknown_block(adapter.blocks, {block for block, _ in found}, "the IP-Adapter")
        if problem is not None:
            raise ProblemError(problem.at(port="positive"))
    return found


def _weigh(
    adapters: Sequence[Adapter], used: Sequence[tuple[str, Any]], window: tuple[float, float], timed: bool
) -> None:
    """Turns each adapter on inside its own range of the schedule."""
    on = [adapter.scale if covers(adapter.start, adapter.end, window) else 0.0 for adapter in adapters]
    for block, processor in used:
        scales = [scale * block_factor(one.blocks, block) for one, scale in zip(adapters, on, strict=True)]
        processor.scale = scales[0] if timed else scales
