"""One driver for the modular blocks of diffusers: their denoising loop, made to report, stop, keep and resume.

It knows no family. The blocks bring the arithmetic; a family brings models, scheduler, guider and inputs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from safelight.sdk import Cancelled, Context, Image, ProblemError
from safelight.sdk.memory import is_out_of_memory

from .finite import Watch
from .latents import painted_part
from .state import carried, marks, put_back, rewind

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
REPORTER = "diffusers.modular_pipelines.modular_pipeline"
"""The logger to which each level of nested blocks tells an error, with its traceback, before raising it further."""


def denoise(
    blocks: Any,
    components: Mapping[str, Any],
    inputs: Mapping[str, Any],
    ctx: Context,
    show: Callable[[Tensor], Image | None],
    outside: Outside | None = None,
    at: Callable[[int, int], None] | None = None,
    resumable: bool = True,
) -> Tensor:
    """The latents that a set of blocks makes of its inputs, as its pipeline would, bit for bit.

    After each step there is progress, with a preview when somebody looks. Before each step the state is kept when it
    is due, and the run stops when it is cancelled. A run that finds the state of an earlier one goes on from there.

    Args:
        blocks: the `denoise` blocks of a modular pipeline. They are not changed: what runs is a copy.
        components: what the blocks expect, and values of their configuration, by name. Scheduler and guider must be
            made for this call.
        inputs: what the blocks take, by name; noise is drawn by the caller and given as `latents`.
        show: makes a preview of latents as the loop has them (packed, where a family packs).
        outside: what stays as it is, for inpainting; it needs a scheduler of flows.
        at: is told of each step (its number, how many there are) before it is made, or made again.
        resumable: off where a step goes by more than its state: nothing is kept, and a run that is killed begins again.

    Raises:
        ProblemError: `not_finite`, when the samples are no numbers any more.
        Cancelled: the run is to stop.
        ValueError: the blocks know no such component or input, or do not have exactly one loop.
    """
    import torch

    pipeline = made_quietly(blocks.get_execution_blocks(**inputs).init_pipeline)
    running = pipeline._blocks  # a copy: sub-blocks are objects that all pipelines of a family share
    _require("components", components, [*running.component_names, *(one.name for one in running.expected_configs)])
    _require("inputs", inputs, running.input_names)
    made_quietly(lambda: pipeline.update_components(**components))
    loop = _loop(running)
    loop.set_progress_bar_config(disable=True)
    steps = _Steps(loop.loop_step, ctx, show, outside, at, resumable)
    loop.loop_step = steps
    # Not inference_mode: its tensors track no versions, so changes in place could not be told.
    with _own_stops_unreported(), torch.no_grad():
        latents = pipeline(**inputs, output="latents")
    steps.finish()
    return latents


def predicted(blocks: Any, components: Mapping[str, Any], inputs: Mapping[str, Any]) -> Tensor:
    """What the first step of a set of blocks hands to its scheduler, as the loop has its latents.

    Where gradients are on, they flow through it: the blocks of diffusers turn them off for themselves, so their inner
    functions are called. Arguments are those of `denoise`, with one step.
    """
    import torch

    with_gradients = torch.is_grad_enabled()
    pipeline = made_quietly(blocks.get_execution_blocks(**inputs).init_pipeline)
    running = pipeline._blocks
    made_quietly(lambda: pipeline.update_components(**components))
    loop = _loop(running)
    loop.set_progress_bar_config(disable=True)
    found: list[Tensor] = []

    def noted(model_output: Tensor, timestep: Any, sample: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
        del timestep
        found.append(model_output)
        return (sample,)

    def step(parts: Any, state: Any, **given: Any) -> tuple[Any, Any]:
        with torch.set_grad_enabled(with_gradients):
            for block in loop.sub_blocks.values():
                call = type(block).__call__
                parts, state = getattr(call, "__wrapped__", call)(block, parts, state, **given)
        return parts, state

    components["scheduler"].step = noted
    loop.loop_step = step
    pipeline(**inputs, output="latents")
    return found[0]


@dataclass(frozen=True)
class Outside:
    """What is put back after each step where a mask is not 1, with the noise of that step, as the inpainting pipelines
    of diffusers do. All are as the loop has its latents; `mask` is 0..1, and `greys` are those of a `Latent`."""

    original: Tensor
    noise: Tensor
    mask: Tensor
    greys: str = "mix"

    def put_back(self, latents: Tensor, scheduler: Any, done: float) -> Tensor:
        """Latents after a step of the scheduler, with the original outside of the mask, when the share `done` of the
        steps is made. The last step leaves none of the noise: its sigma is 0."""
        mask = painted_part(self.mask, self.greys, done)
        sigma = scheduler.sigmas[scheduler.step_index].to(latents.device, latents.dtype)
        outside = sigma * self.noise + (1 - sigma) * self.original
        return (1 - mask) * outside + mask * latents


@dataclass
class _Steps:
    """Takes the place of `loop_step` of a loop: the same step, watched. Steps that an earlier run made are left out."""

    step: Callable[..., tuple[Any, Any]]
    ctx: Context
    show: Callable[[Tensor], Image | None]
    outside: Outside | None
    at: Callable[[int, int], None] | None = None
    resumable: bool = True
    _before: dict[str, Any] = field(default_factory=dict)
    _kept: Mapping[str, Any] | None = None
    _watch: Watch = field(default_factory=lambda: Watch(0))

    def __call__(self, components: Any, state: Any, *, i: int, **given: Any) -> tuple[Any, Any]:
        ctx, total = self.ctx, len(state.timesteps)
        parts = _stateful(components, state)
        if i == 0:
            self._begin(parts, state, total)
        first = self._kept["step"] if self._kept else 0
        if i < first:
            return components, state
        if self._kept and i == first:
            for name, kept in self._kept["parts"].items():
                put_back(parts[name], kept, state.latents.device)
        elif i and self.resumable and ctx.checkpoint_due(i, total):
            self._watch.settle()
            whole = [one for one in components.components.values() if one is not None]
            # Steps that choose among several components note which: the next one does so again.
            chosen = tuple(name for name, value in vars(state).items() if any(value is one for one in whole))
            kept = {
                name: carried(part, self._before[name], chosen if name == "state" else ())
                for name, part in parts.items()
            }
            ctx.checkpoint({"step": i, "steps": total, "parts": kept})
        ctx.check_cancelled()
        noisy = state.latents

        def attempt() -> tuple[Any, Any]:
            here = {name: marks(part) for name, part in parts.items()}
            if self.at is not None:
                self.at(i, total)
            try:
                return self.step(components, state, i=i, **given)
            except BaseException:
                # So that the step can be made again, to the same bits, when it was memory that ran out.
                for name, part in parts.items():
                    rewind(part, here[name])
                raise

        components, state = ctx.models.retry(attempt, ctx.warn)
        if self.outside is not None:
            state.latents = self.outside.put_back(state.latents, components.scheduler, (i + 1) / total)
        self._watch.see(i + 1, state.latents)
        preview = self.show(_clean(components.scheduler, state, noisy)) if ctx.wants_preview() else None
        ctx.progress(i + 1, total, preview)
        return components, state

    def finish(self) -> None:
        """Raises ProblemError `not_finite` for steps that have not been looked at yet."""
        self._watch.settle()

    def _begin(self, parts: Mapping[str, Any], state: Any, total: int) -> None:
        self._before = {name: marks(part) for name, part in parts.items()}
        self._watch = Watch(total)
        kept = self.ctx.restore()
        if kept and kept["steps"] == total and kept["parts"]["state"]["latents"].shape == state.latents.shape:
            self._kept = kept


def _stateful(components: Any, state: Any) -> dict[str, Any]:
    """What steps may change: the state of the blocks, and the scheduler, the guider and their like; schedulers that the
    state holds by themselves."""
    import torch
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    found = {
        name: part
        for name, part in components.components.items()
        if part is not None and not isinstance(part, torch.nn.Module)
    }
    held = {f"state.{name}": part for name, part in vars(state).items() if isinstance(part, SchedulerMixin)}
    return {"state": state, **held, **found}


def _clean(scheduler: Any, state: Any, noisy: Tensor) -> Tensor:
    """What a step expects the finished latents to be, where its prediction is a flow; else the latents after it.

    A flow leads straight from noise to data, x = (1 - sigma) * data + sigma * noise, so data = x - sigma * flow.
    """
    flow = getattr(state, "noise_pred", None)
    is_flow = type(scheduler).__name__.startswith("FlowMatch") or (
        scheduler.config.get("prediction_type") == "flow_prediction"
    )
    if flow is None or flow.shape != noisy.shape or not is_flow or scheduler.order != 1:
        return state.latents
    return noisy - float(scheduler.sigmas[scheduler.step_index - 1]) * flow


def _loop(blocks: Any) -> Any:
    from diffusers.modular_pipelines.modular_pipeline import LoopSequentialPipelineBlocks

    inner = blocks.sub_blocks.values()
    found = [block for block in inner if isinstance(block, LoopSequentialPipelineBlocks)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} loops in these blocks, where one was expected")
    return found[0]


def _require(what: str, given: Mapping[str, Any], known: list[str]) -> None:
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise ValueError(f"the blocks know no {what} {', '.join(unknown)}; they know {', '.join(map(str, known))}")


@contextmanager
def _own_stops_unreported() -> Iterator[None]:
    """Within the block, what stops a run on purpose (or is tried again) is not logged as an error of the blocks."""

    def is_news(_: logging.LogRecord) -> bool:
        error = sys.exc_info()[1]
        return error is None or not (isinstance(error, Cancelled | ProblemError) or is_out_of_memory(error))

    reporter = logging.getLogger(REPORTER)
    reporter.addFilter(is_news)
    try:
        yield
    finally:
        reporter.removeFilter(is_news)


_SPEAKERS = ("diffusers.guiders.guider_utils", "diffusers.modular_pipelines.modular_pipeline_utils")


def made_quietly(make: Callable[[], T]) -> T:
    """What `make` makes of diffusers' guiders and blocks, which say that guiders are experimental and parts made by
    hand (we know)."""
    speakers = [logging.getLogger(name) for name in _SPEAKERS]
    for speaker in speakers:
        speaker.addFilter(_nothing)
    try:
        return make()
    finally:
        for speaker in speakers:
            speaker.removeFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False
